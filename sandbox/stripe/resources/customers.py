"""Customers (https://docs.stripe.com/api/customers)."""

import re

import stripe.params as declared

from sandbox.stripe.books import Books, Json, find, new_id
from sandbox.stripe.calls import Call, Endpoint
from sandbox.stripe.errors import RefusedError
from sandbox.stripe.listing import matching, page
from sandbox.stripe.metadata import merged

_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+\Z")
LONGEST_ADDRESS = 512
PLAYED = frozenset({"address", "description", "email", "expand", "metadata", "name", "phone"})


def make_customer(books: Books, params: Json) -> Json:
    """Make a customer.

    Raises:
        RefusedError: for an address that isn't one, or metadata.
    """
    metadata = merged({}, params.get("metadata"))
    _check(params)
    customer: Json = {
        "id": new_id("cus_"),
        "object": "customer",
        "address": params.get("address") or None,
        "balance": 0,
        "created": books.now(),
        "currency": None,
        "default_source": None,
        "delinquent": False,
        "description": params.get("description") or None,
        "discount": None,
        "email": params.get("email") or None,
        "invoice_prefix": new_id("")[:8].upper(),
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": metadata,
        "name": params.get("name") or None,
        "phone": params.get("phone") or None,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
    }
    books.customers[customer["id"]] = customer
    return customer


def _check(params: Json) -> None:
    for name in sorted(params.keys() - PLAYED):
        raise RefusedError(f"This stand-in doesn't play {name}.", param=name)
    email = params.get("email")
    if email and (len(email) > LONGEST_ADDRESS or not _ADDRESS.match(email)):
        raise RefusedError(f"Invalid email address: {email}", code="email_invalid", param="email")


def _create(books: Books, call: Call) -> Json:
    return make_customer(books, call.params)


def _retrieve(books: Books, call: Call) -> Json:
    return find(books.customers, "customer", call.object_id)


def _update(books: Books, call: Call) -> Json:
    customer = _retrieve(books, call)
    metadata = merged(customer["metadata"], call.params.get("metadata"))
    _check(call.params)
    customer.update({key: value or None for key, value in call.params.items() if key in customer})
    customer["metadata"] = metadata
    return customer


def _list(books: Books, call: Call) -> Json:
    return page(call, matching(books.customers.values(), call.params, ("email",)))


ENDPOINTS = [
    Endpoint("POST", "/v1/customers", declared.CustomerCreateParams, _create),
    Endpoint("GET", "/v1/customers", declared.CustomerListParams, _list),
    Endpoint("GET", "/v1/customers/{id}", declared.CustomerRetrieveParams, _retrieve),
    Endpoint("POST", "/v1/customers/{id}", declared.CustomerUpdateParams, _update),
]
