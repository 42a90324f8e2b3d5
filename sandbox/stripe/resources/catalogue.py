"""Products and prices (https://docs.stripe.com/api/products, https://docs.stripe.com/api/prices)."""

import stripe.params as declared

from sandbox.stripe.books import Books, Json, find, new_id
from sandbox.stripe.calls import Call, Endpoint
from sandbox.stripe.errors import RefusedError, missing
from sandbox.stripe.listing import matching, page
from sandbox.stripe.metadata import merged
from sandbox.stripe.money import check_currency, check_unit_amount

LONGEST_NAME = 250


def make_product(books: Books, params: Json, at: str = "") -> Json:
    """Make a product; `at` is how the form calls the place of its parameters, with `[` and `]` around each.

    Raises:
        RefusedError: for a name that is too long, or metadata.
    """
    name = params["name"]
    if len(name) > LONGEST_NAME:
        raise RefusedError(
            f"Invalid string: a product's name can have up to {LONGEST_NAME} characters.",
            param=f"{at}[name]" if at else "name",
        )
    product: Json = {
        "id": new_id("prod_"),
        "object": "product",
        "active": params.get("active", True),
        "created": books.now(),
        "default_price": None,
        "description": params.get("description") or None,
        "images": params.get("images") or [],
        "livemode": False,
        "marketing_features": [],
        "metadata": merged({}, params.get("metadata")),
        "name": name,
        "package_dimensions": None,
        "shippable": None,
        "statement_descriptor": None,
        "tax_code": None,
        "type": "service",
        "unit_label": None,
        "updated": books.now(),
        "url": None,
    }
    books.products[product["id"]] = product
    return product


def make_price(books: Books, params: Json, at: str = "") -> Json:
    """Make a one-time price from the parameters of a price or of an inline `price_data`; `at` as for a product.

    Raises:
        RefusedError: for anything that Stripe or this stand-in doesn't take.
    """

    def named(name: str) -> str:
        return f"{at}[{name}]" if at else name

    if params.keys() & {"recurring", "tiers", "custom_unit_amount", "unit_amount_decimal"}:
        raise RefusedError("This stand-in sells one-time prices with a whole unit_amount only.", param=at or None)
    if ("product" in params) == ("product_data" in params):
        raise RefusedError("Give exactly one of product and product_data.", param=named("product"))
    if "unit_amount" not in params:
        raise missing(named("unit_amount"))
    amount = check_unit_amount(params["unit_amount"], named("unit_amount"))
    currency = check_currency(params["currency"], named("currency"))
    if "product_data" in params:
        product = make_product(books, params["product_data"], named("product_data"))
    else:
        product = find(books.products, "product", params["product"], param=named("product"))
        if not product["active"]:
            raise RefusedError("The product is not active, so it can't be sold.", param=named("product"))
    price: Json = {
        "id": new_id("price_"),
        "object": "price",
        "active": params.get("active", True),
        "billing_scheme": "per_unit",
        "created": books.now(),
        "currency": currency,
        "custom_unit_amount": None,
        "livemode": False,
        "lookup_key": params.get("lookup_key"),
        "metadata": merged({}, params.get("metadata")),
        "nickname": params.get("nickname"),
        "product": product["id"],
        "recurring": None,
        "tax_behavior": params.get("tax_behavior", "unspecified"),
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "one_time",
        "unit_amount": amount,
        "unit_amount_decimal": str(amount),
    }
    books.prices[price["id"]] = price
    return price


def _create_product(books: Books, call: Call) -> Json:
    if "default_price_data" in call.params:
        raise RefusedError("This stand-in makes prices with POST /v1/prices only.", param="default_price_data")
    return make_product(books, call.params)


def _retrieve_product(books: Books, call: Call) -> Json:
    return find(books.products, "product", call.object_id)


def _update_product(books: Books, call: Call) -> Json:
    product = find(books.products, "product", call.object_id)
    if len(call.params.get("name", "")) > LONGEST_NAME:
        raise RefusedError(f"Invalid string: up to {LONGEST_NAME} characters.", param="name")
    if price := call.params.get("default_price"):
        find(books.prices, "price", price, param="default_price")
    metadata = merged(product["metadata"], call.params.get("metadata"))
    product.update({key: value for key, value in call.params.items() if key in product})
    product.update(metadata=metadata, updated=books.now())
    return product


def _list_products(books: Books, call: Call) -> Json:
    products = matching(books.products.values(), call.params, ("active", "shippable", "url"))
    if wanted := call.params.get("ids"):
        products = [product for product in products if product["id"] in wanted]
    return page(call, products)


def _create_price(books: Books, call: Call) -> Json:
    return make_price(books, call.params)


def _retrieve_price(books: Books, call: Call) -> Json:
    return find(books.prices, "price", call.object_id)


def _update_price(books: Books, call: Call) -> Json:
    price = find(books.prices, "price", call.object_id)
    metadata = merged(price["metadata"], call.params.get("metadata"))
    price.update({key: value for key, value in call.params.items() if key in price})
    price.update(metadata=metadata)
    return price


def _list_prices(books: Books, call: Call) -> Json:
    prices = matching(books.prices.values(), call.params, ("active", "currency", "product", "type"))
    if wanted := call.params.get("lookup_keys"):
        prices = [price for price in prices if price["lookup_key"] in wanted]
    return page(call, prices)


ENDPOINTS = [
    Endpoint("POST", "/v1/products", declared.ProductCreateParams, _create_product),
    Endpoint("GET", "/v1/products", declared.ProductListParams, _list_products),
    Endpoint("GET", "/v1/products/{id}", declared.ProductRetrieveParams, _retrieve_product),
    Endpoint("POST", "/v1/products/{id}", declared.ProductUpdateParams, _update_product),
    Endpoint("POST", "/v1/prices", declared.PriceCreateParams, _create_price),
    Endpoint("GET", "/v1/prices", declared.PriceListParams, _list_prices),
    Endpoint("GET", "/v1/prices/{id}", declared.PriceRetrieveParams, _retrieve_price),
    Endpoint("POST", "/v1/prices/{id}", declared.PriceUpdateParams, _update_price),
]
