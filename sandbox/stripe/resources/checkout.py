"""Checkout Sessions (https://docs.stripe.com/api/checkout/sessions)."""

import stripe.params.checkout as declared

from sandbox.stripe.books import Books, Json, find
from sandbox.stripe.calls import Call, Endpoint
from sandbox.stripe.errors import NotPossibleError, RefusedError, missing
from sandbox.stripe.line_items import make_line_items
from sandbox.stripe.listing import matching, page
from sandbox.stripe.metadata import merged
from sandbox.stripe.sessions import expire, make_session

PLAYED = frozenset(
    {
        "cancel_url", "client_reference_id", "customer", "customer_creation", "customer_email", "expand",
        "expires_at", "line_items", "metadata", "mode", "payment_intent_data", "payment_method_types",
        "success_url",
    }
)  # fmt: skip
SHORTEST_SECONDS, LONGEST_SECONDS = 30 * 60, 24 * 60 * 60


def _create(books: Books, call: Call) -> Json:
    params = call.params
    for name in sorted(params.keys() - PLAYED):
        raise RefusedError(f"This stand-in doesn't play {name}.", param=name)
    if "mode" not in params or params["mode"] != "payment":
        raise RefusedError("This stand-in plays mode=payment only.", param="mode")
    for name in ("line_items", "success_url"):
        if name not in params:
            raise missing(name)
    _check_customer(books, params)
    expires_at = params.get("expires_at", books.now() + LONGEST_SECONDS)
    if not SHORTEST_SECONDS <= expires_at - books.now() <= LONGEST_SECONDS:
        raise RefusedError(
            "The expires_at timestamp must be at least 30 minutes and at most 24 hours from now.",
            param="expires_at",
        )
    intent_data = params.get("payment_intent_data", {})
    intent_metadata = merged({}, intent_data.get("metadata"), "payment_intent_data[metadata]")
    metadata = merged({}, params.get("metadata"))
    items = make_line_items(books, params["line_items"])
    own = {key: value for key, value in params.items() if key != "line_items"}
    return make_session(
        books,
        items,
        intent_data | {"metadata": intent_metadata},
        **own | {"metadata": metadata, "expires_at": expires_at},
    )


def _check_customer(books: Books, params: Json) -> None:
    if "customer" in params:
        find(books.customers, "customer", params["customer"], param="customer")
        if "customer_email" in params:
            raise RefusedError("Give only one of customer and customer_email.", param="customer_email")


def _retrieve(books: Books, call: Call) -> Json:
    return find(books.sessions, "checkout.session", call.object_id)


def _list(books: Books, call: Call) -> Json:
    fields = ("customer", "payment_intent", "payment_link", "status", "subscription")
    sessions = matching(books.sessions.values(), call.params, fields)
    if wanted := call.params.get("customer_details"):
        sessions = [each for each in sessions if (each["customer_details"] or {}).get("email") == wanted["email"]]
    return page(call, sessions)


def _expire(books: Books, call: Call) -> Json:
    session = _retrieve(books, call)
    try:
        expire(books, session)
    except NotPossibleError as error:
        raise RefusedError(str(error)) from None
    return session


def _list_line_items(books: Books, call: Call) -> Json:
    return page(call, books.line_items[_retrieve(books, call)["id"]][::-1])


ENDPOINTS = [
    Endpoint("POST", "/v1/checkout/sessions", declared.SessionCreateParams, _create),
    Endpoint("GET", "/v1/checkout/sessions", declared.SessionListParams, _list),
    Endpoint("GET", "/v1/checkout/sessions/{id}", declared.SessionRetrieveParams, _retrieve),
    Endpoint("POST", "/v1/checkout/sessions/{id}/expire", declared.SessionExpireParams, _expire),
    Endpoint(
        "GET", "/v1/checkout/sessions/{id}/line_items", declared.SessionListLineItemsParams, _list_line_items
    ),
]
