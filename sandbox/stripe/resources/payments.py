"""PaymentIntents, charges, refunds and disputes, as the API shows them."""

import stripe.params as declared

from sandbox.stripe.books import Books, Json, find
from sandbox.stripe.calls import Call, Endpoint
from sandbox.stripe.errors import NotPossibleError, RefusedError, missing
from sandbox.stripe.listing import matching, page
from sandbox.stripe.metadata import merged
from sandbox.stripe.refunds import make_refund

PLAYED = frozenset({"amount", "charge", "expand", "metadata", "payment_intent", "reason"})


def _retrieve_intent(books: Books, call: Call) -> Json:
    return find(books.payment_intents, "payment_intent", call.object_id)


def _retrieve_charge(books: Books, call: Call) -> Json:
    return find(books.charges, "charge", call.object_id)


def _list_charges(books: Books, call: Call) -> Json:
    return page(call, matching(books.charges.values(), call.params, ("customer", "payment_intent")))


def _create_refund(books: Books, call: Call) -> Json:
    params = call.params
    for name in sorted(params.keys() - PLAYED):
        raise RefusedError(f"This stand-in doesn't play {name}.", param=name)
    charge = _charge_to_refund(books, params)
    metadata = merged({}, params.get("metadata"))
    try:
        return make_refund(books, charge, params.get("amount"), reason=params.get("reason"), metadata=metadata)
    except NotPossibleError as error:
        code = "charge_already_refunded" if charge["refunded"] else None
        raise RefusedError(str(error), code=code, param=None if code else "amount") from None


def _charge_to_refund(books: Books, params: Json) -> Json:
    if "charge" in params:
        return find(books.charges, "charge", params["charge"], param="charge")
    if "payment_intent" not in params:
        raise missing("payment_intent")
    intent = find(books.payment_intents, "payment_intent", params["payment_intent"], param="payment_intent")
    charge = books.charges.get(intent["latest_charge"] or "")
    if charge is None or charge["status"] == "failed":
        raise RefusedError("This PaymentIntent has no successful charge to refund.", param="payment_intent")
    return charge


def _retrieve_refund(books: Books, call: Call) -> Json:
    return find(books.refunds, "refund", call.object_id)


def _list_refunds(books: Books, call: Call) -> Json:
    return page(call, matching(books.refunds.values(), call.params, ("charge", "payment_intent")))


def _retrieve_dispute(books: Books, call: Call) -> Json:
    return find(books.disputes, "dispute", call.object_id)


def _list_disputes(books: Books, call: Call) -> Json:
    return page(call, matching(books.disputes.values(), call.params, ("charge", "payment_intent")))


ENDPOINTS = [
    Endpoint("GET", "/v1/payment_intents/{id}", declared.PaymentIntentRetrieveParams, _retrieve_intent),
    Endpoint("GET", "/v1/charges", declared.ChargeListParams, _list_charges),
    Endpoint("GET", "/v1/charges/{id}", declared.ChargeRetrieveParams, _retrieve_charge),
    Endpoint("POST", "/v1/refunds", declared.RefundCreateParams, _create_refund),
    Endpoint("GET", "/v1/refunds", declared.RefundListParams, _list_refunds),
    Endpoint("GET", "/v1/refunds/{id}", declared.RefundRetrieveParams, _retrieve_refund),
    Endpoint("GET", "/v1/disputes", declared.DisputeListParams, _list_disputes),
    Endpoint("GET", "/v1/disputes/{id}", declared.DisputeRetrieveParams, _retrieve_dispute),
]
