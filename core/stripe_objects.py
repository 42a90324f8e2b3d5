"""The parts of Stripe's objects that we read, checked on the way in.

Field names and meanings: https://docs.stripe.com/api/checkout/sessions/object, …/refunds/object,
…/disputes/object. Amounts are in the currency's smallest unit.
"""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, model_validator


def _id_of(value: object) -> object:
    """Take the id out of an object that Stripe expanded."""
    return value.get("id") if isinstance(value, dict) else value


def _storable(value: object) -> object:
    """Take out the one character that PostgreSQL's text can't hold."""
    return value.replace("\0", "") if isinstance(value, str) else value


StripeId = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$"), BeforeValidator(_id_of)]
Text = Annotated[str, BeforeValidator(_storable)]
Cents = Annotated[int, Field(ge=0, lt=2**53, strict=True)]


class EventData(BaseModel):
    """What an event is about, as it was then."""

    object: dict[str, Any]


class Envelope(BaseModel):
    """An event around its object (https://docs.stripe.com/api/events/object)."""

    created: datetime
    data: EventData


class CustomerDetails(BaseModel):
    """What the payer typed on Stripe's page."""

    email: Text | None = None
    name: Text | None = None


class CheckoutSession(BaseModel):
    """One visit to Stripe's payment page."""

    id: StripeId
    payment_status: str
    amount_total: Cents | None = None
    currency: str | None = None
    payment_intent: StripeId | None = None
    payment_link: StripeId | None = None
    metadata: dict[str, Any] | None = None
    customer_details: CustomerDetails | None = None

    @model_validator(mode="after")
    def _money_has_an_amount(self) -> "CheckoutSession":
        if self.payment_status == "paid" and self.amount_total is None:
            raise ValueError("paid, but over no amount")
        return self

    @property
    def is_paid(self) -> bool:
        """Whether it is settled: fulfil unless `unpaid` (https://docs.stripe.com/checkout/fulfillment)."""
        return self.payment_status != "unpaid"

    @property
    def payment_key(self) -> str:
        """What names this payment: its intent or, where Stripe made none, the session."""
        return self.payment_intent or self.id


class Refund(BaseModel):
    """Money on its way back."""

    id: StripeId
    amount: Cents
    status: str | None = None
    payment_intent: StripeId | None = None


class EvidenceDetails(BaseModel):
    """How long the club has to answer a dispute (seconds since 1970)."""

    due_by: int | None = None


class Dispute(BaseModel):
    """A payer who asked the bank for the money back."""

    id: StripeId
    amount: Cents
    status: str
    reason: Text = "general"
    payment_intent: StripeId | None = None
    evidence_details: EvidenceDetails | None = None

    @property
    def evidence_due_by(self) -> datetime | None:
        """Until when the club can answer, in UTC."""
        due_by = self.evidence_details.due_by if self.evidence_details else None
        return None if due_by is None else datetime.fromtimestamp(due_by, UTC)
