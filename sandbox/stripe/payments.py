"""How money moves: a card that works or doesn't, a bank debit and its later outcome.

Statuses and events follow https://docs.stripe.com/payments/paymentintents/lifecycle and
https://docs.stripe.com/checkout/fulfillment.
"""

from typing import Literal

from sandbox.stripe.books import Books, Json, new_id
from sandbox.stripe.charges import make_charge, make_payment_intent
from sandbox.stripe.errors import NotPossibleError
from sandbox.stripe.resources.customers import make_customer

Method = Literal["card", "card_declined", "bank_debit"]


def pay(books: Books, session: Json, method: Method, *, email: str, name: str) -> None:
    """Press Pay on a session's page.

    Raises:
        NotPossibleError: the session isn't open.
    """
    if session["status"] != "open":
        raise NotPossibleError(f"This session is {session['status']}, so it can't be paid.")
    intent = _intent(books, session)
    payer: Json = {"email": email, "name": name, "phone": None, "address": None}
    if method == "card_declined":
        _decline(books, intent, payer)
        return
    session["customer_details"] = payer | {
        "business_name": None, "individual_name": None, "tax_exempt": "none", "tax_ids": []
    }  # fmt: skip
    _give_customer(books, session, intent)
    is_card = method == "card"
    intent["payment_method"] = new_id("pm_")
    intent["payment_method_types"] = ["card" if is_card else "us_bank_account"]
    charge = make_charge(books, intent, payer, "succeeded" if is_card else "pending")
    session.update(
        status="complete",
        payment_status="paid" if is_card else "unpaid",
        payment_intent=intent["id"],
        url=None,
    )
    if is_card:
        _succeed(books, intent, charge)
    else:
        intent["status"] = "processing"
    books.emit("checkout.session.completed", session)
    _count_completed(books, session)


def settle(books: Books, session: Json, *, succeed: bool) -> None:
    """Let the bank say how a debit ended.

    Raises:
        NotPossibleError: the session has no debit under way.
    """
    intent = books.payment_intents.get(session["payment_intent"] or "")
    if intent is None or intent["status"] != "processing":
        raise NotPossibleError("No bank debit is under way for this session.")
    charge = books.charges[intent["latest_charge"]]
    if succeed:
        session["payment_status"] = "paid"
        _succeed(books, intent, charge)
        books.emit("checkout.session.async_payment_succeeded", session)
        return
    failure = "The customer's account has insufficient funds to cover this payment."
    charge.update(status="failed", paid=False, failure_code="insufficient_funds", failure_message=failure)
    _fail(
        books, intent, {"type": "invalid_request_error", "code": "payment_intent_payment_attempt_failed"}, failure
    )
    books.emit("checkout.session.async_payment_failed", session)


def _intent(books: Books, session: Json) -> Json:
    attempted = books.attempted.get(session["id"])
    if attempted:
        return books.payment_intents[attempted]
    intent = make_payment_intent(books, session, books.intent_data[session["id"]])
    books.attempted[session["id"]] = intent["id"]
    return intent


def _give_customer(books: Books, session: Json, intent: Json) -> None:
    # A card is saved on a customer, so saving one makes a customer (https://docs.stripe.com/payments/checkout/save-during-payment).
    wants_one = session["customer_creation"] == "always" or intent["setup_future_usage"]
    if session["customer"] is None and wants_one:
        details = session["customer_details"]
        customer = make_customer(books, {"email": details["email"], "name": details["name"]})
        session["customer"] = customer["id"]
    intent["customer"] = session["customer"]


def _succeed(books: Books, intent: Json, charge: Json) -> None:
    charge.update(status="succeeded", paid=True)
    intent.update(status="succeeded", amount_received=intent["amount"], last_payment_error=None)
    books.emit("charge.succeeded", charge)
    books.emit("payment_intent.succeeded", intent)


def _decline(books: Books, intent: Json, payer: Json) -> None:
    charge = make_charge(books, intent, payer, "failed")
    words = "Your card was declined."
    charge.update(failure_code="card_declined", failure_message=words)
    error = {"type": "card_error", "code": "card_declined", "decline_code": "generic_decline"}
    _fail(books, intent, error, words)


def _fail(books: Books, intent: Json, error: Json, words: str) -> None:
    error = error | {"message": words, "charge": intent["latest_charge"]}
    intent.update(status="requires_payment_method", last_payment_error=error, payment_method=None)
    books.emit("payment_intent.payment_failed", intent)


def _count_completed(books: Books, session: Json) -> None:
    link = books.payment_links.get(session["payment_link"] or "")
    if link is None or link["restrictions"] is None:
        return
    completed = link["restrictions"]["completed_sessions"]
    completed["count"] += 1
    if completed["count"] >= completed["limit"]:
        books.update("payment_link.updated", link, active=False)
