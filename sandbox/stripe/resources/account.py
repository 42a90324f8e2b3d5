"""The account, its balance and its events."""

import stripe.params as declared

from sandbox.stripe.books import Books, Json, find
from sandbox.stripe.calls import Call, Endpoint
from sandbox.stripe.errors import RefusedError
from sandbox.stripe.listing import matching, page

ACCOUNT_ID = "acct_test_sandbox"
MOST_TYPES = 20


def _account(books: Books, _call: Call) -> Json:
    return {
        "id": ACCOUNT_ID,
        "object": "account",
        "business_profile": {"name": "Sandbox club (no real money)", "url": None},
        "business_type": "non_profit",
        "capabilities": {"card_payments": "active", "us_bank_account_ach_payments": "active"},
        "charges_enabled": True,
        "country": "US",
        "created": books.now(),
        "default_currency": "usd",
        "details_submitted": True,
        "email": "treasurer@example.com",
        "metadata": {},
        "payouts_enabled": True,
        "settings": {"dashboard": {"display_name": "Sandbox club", "timezone": "Etc/UTC"}},
        "type": "standard",
    }


def _balance(books: Books, _call: Call) -> Json:
    received: dict[str, int] = {}
    for charge in books.charges.values():
        if charge["paid"]:
            net = charge["amount"] - charge["amount_refunded"]
            received[charge["currency"]] = received.get(charge["currency"], 0) + net
    available = [{"amount": amount, "currency": currency} for currency, amount in received.items()]
    return {"object": "balance", "available": available, "livemode": False, "pending": []}


def _list_events(books: Books, call: Call) -> Json:
    params = call.params
    if "type" in params and "types" in params:
        raise RefusedError("Give only one of type and types.", param="types")
    if len(params.get("types", [])) > MOST_TYPES:
        raise RefusedError(f"Up to {MOST_TYPES} types can be given.", param="types")
    if "delivery_success" in params:
        raise RefusedError("This stand-in doesn't filter by delivery.", param="delivery_success")
    wanted = params.get("types") or ([params["type"]] if "type" in params else None)
    events = matching(books.events.values(), params, ())
    return page(call, [event for event in events if wanted is None or _is_of(event["type"], wanted)])


def _is_of(kind: str, wanted: list[str]) -> bool:
    return any(kind == each or (each.endswith("*") and kind.startswith(each[:-1])) for each in wanted)


def _retrieve_event(books: Books, call: Call) -> Json:
    return find(books.events, "event", call.object_id)


ENDPOINTS = [
    Endpoint("GET", "/v1/account", declared.AccountRetrieveCurrentParams, _account),
    Endpoint("GET", "/v1/balance", declared.BalanceRetrieveParams, _balance),
    Endpoint("GET", "/v1/events", declared.EventListParams, _list_events),
    Endpoint("GET", "/v1/events/{id}", declared.EventRetrieveParams, _retrieve_event),
]
