"""Money on its way back: refunds and disputes (https://docs.stripe.com/api/refunds, …/api/disputes)."""

from datetime import timedelta
from typing import Literal

from sandbox.stripe.books import Books, Json, new_id
from sandbox.stripe.errors import NotPossibleError

RefundStatus = Literal["succeeded", "pending", "failed"]
ANSWER_WITHIN = timedelta(days=7)


def make_refund(
    books: Books,
    charge: Json,
    amount_cents: int | None = None,
    *,
    status: RefundStatus = "succeeded",
    reason: str | None = None,
    metadata: dict[str, str] | None = None,
) -> Json:
    """Give money back; all that is left of the charge when no amount is given.

    A refund that fails is made first and fails after, as banks do it.

    Raises:
        NotPossibleError: the charge isn't paid, or there is less left than that.
    """
    left = charge["amount"] - charge["amount_refunded"]
    amount = left if amount_cents is None else amount_cents
    if charge["status"] != "succeeded":
        raise NotPossibleError("This charge has not succeeded, so it can't be refunded.")
    if left == 0:
        raise NotPossibleError(f"Charge {charge['id']} has already been refunded.")
    if not 1 <= amount <= left:
        raise NotPossibleError(f"Refund amount ({amount}) has to be from 1 to the unrefunded amount ({left}).")
    refund: Json = {
        "id": new_id("re_"),
        "object": "refund",
        "amount": amount,
        "balance_transaction": None,
        "charge": charge["id"],
        "created": books.now(),
        "currency": charge["currency"],
        "destination_details": {"type": charge["payment_method_details"]["type"]},
        "metadata": metadata or {},
        "payment_intent": charge["payment_intent"],
        "reason": reason,
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "succeeded" if status == "succeeded" else "pending",
        "transfer_reversal": None,
    }
    books.refunds[refund["id"]] = refund
    _take_off(charge, amount)
    books.emit("refund.created", refund)
    if status == "failed":
        settle_refund(books, refund, succeed=False)
    return refund


def settle_refund(books: Books, refund: Json, *, succeed: bool) -> None:
    """Let the bank say how a pending refund ended; one that fails goes back to what can be refunded.

    Raises:
        NotPossibleError: the refund isn't pending.
    """
    if refund["status"] != "pending":
        raise NotPossibleError(f"This refund is {refund['status']} already.")
    if succeed:
        books.update("refund.updated", refund, status="succeeded")
        return
    _take_off(books.charges[refund["charge"]], -refund["amount"])
    books.update("refund.updated", refund, status="failed", failure_reason="expired_or_canceled_card")
    books.emit("refund.failed", refund)


def _take_off(charge: Json, amount: int) -> None:
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]


def open_dispute(books: Books, charge: Json, *, reason: str = "general", amount_cents: int | None = None) -> Json:
    """Let the payer's bank ask for the money back.

    Raises:
        NotPossibleError: the charge isn't paid or is disputed already.
    """
    if charge["status"] != "succeeded" or charge["disputed"]:
        raise NotPossibleError("Only a paid charge without a dispute can be disputed.")
    dispute: Json = {
        "id": new_id("du_"),
        "object": "dispute",
        "amount": charge["amount"] if amount_cents is None else amount_cents,
        "balance_transactions": [],
        "charge": charge["id"],
        "created": books.now(),
        "currency": charge["currency"],
        "enhanced_eligibility_types": [],
        "evidence": {},
        "evidence_details": {
            "due_by": books.now() + int(ANSWER_WITHIN.total_seconds()),
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
        },
        "is_charge_refundable": False,
        "livemode": False,
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "payment_method_details": {"type": charge["payment_method_details"]["type"]},
        "reason": reason,
        "status": "needs_response",
    }
    charge["disputed"] = True
    books.disputes[dispute["id"]] = dispute
    books.emit("charge.dispute.created", dispute)
    return dispute


def answer_dispute(books: Books, dispute: Json) -> None:
    """Send the club's evidence: from now on the bank thinks.

    Raises:
        NotPossibleError: the dispute doesn't wait for evidence.
    """
    if dispute["status"] != "needs_response":
        raise NotPossibleError(f"This dispute is {dispute['status']}; it doesn't wait for evidence.")
    books.update("charge.dispute.updated", dispute, status="under_review")


def close_dispute(books: Books, dispute: Json, outcome: Literal["won", "lost"]) -> None:
    """Let the bank decide.

    Raises:
        NotPossibleError: it has decided before.
    """
    if dispute["status"] in {"won", "lost"}:
        raise NotPossibleError(f"This dispute is {dispute['status']} already.")
    dispute["status"] = outcome
    books.emit("charge.dispute.closed", dispute)
