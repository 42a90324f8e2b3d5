"""What is being sold: the line items of a link or a session."""

from sandbox.stripe.books import Books, Json, find, new_id
from sandbox.stripe.errors import RefusedError
from sandbox.stripe.money import check_total
from sandbox.stripe.resources.catalogue import make_price

MOST = 20


def make_line_items(books: Books, wanted: list[Json]) -> list[Json]:
    """Make line items from a `line_items` parameter.

    Raises:
        RefusedError: none or too many, or one that can't be sold.
    """
    if not 1 <= len(wanted) <= MOST:
        raise RefusedError(f"Give 1 to {MOST} line items; there are {len(wanted)}.", param="line_items")
    items = [_line_item(books, params, f"line_items[{place}]") for place, params in enumerate(wanted)]
    if len({item["currency"] for item in items}) > 1:
        raise RefusedError("All line items have to be in the same currency.", param="line_items")
    check_total(sum(item["amount_total"] for item in items), items[0]["currency"], "line_items")
    return items


def _line_item(books: Books, params: Json, at: str) -> Json:
    if ("price" in params) == ("price_data" in params):
        raise RefusedError("Give exactly one of price and price_data.", param=f"{at}[price]")
    quantity = params.get("quantity", 1)
    if quantity < 1:
        raise RefusedError(
            "Invalid quantity: it has to be 1 or more.", code="parameter_invalid_integer", param=f"{at}[quantity]"
        )
    price = _price(books, params, at)
    amount = price["unit_amount"] * quantity
    return {
        "id": new_id("li_"),
        "object": "item",
        "adjustable_quantity": params.get("adjustable_quantity"),
        "amount_discount": 0,
        "amount_subtotal": amount,
        "amount_tax": 0,
        "amount_total": amount,
        "currency": price["currency"],
        "description": books.products[price["product"]]["name"],
        "metadata": {},
        "price": price,
        "quantity": quantity,
    }


def _price(books: Books, params: Json, at: str) -> Json:
    if "price_data" in params:
        return make_price(books, params["price_data"], f"{at}[price_data]")
    price = find(books.prices, "price", params["price"], param=f"{at}[price]")
    if not price["active"]:
        raise RefusedError("The price is inactive, so it can't be sold.", param=f"{at}[price]")
    if not books.products[price["product"]]["active"]:
        raise RefusedError("The price's product is not active, so it can't be sold.", param=f"{at}[price]")
    return price
