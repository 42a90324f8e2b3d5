"""The words that status columns may hold."""

from enum import StrEnum


class ContractStatus(StrEnum):
    """Where a player's contract with the club stands."""

    SIGNED = "signed"
    SENT = "sent"
    NONE = "none"


class Category(StrEnum):
    """What kind of fee a product is."""

    MONTHLY = "monthly"
    TOURNAMENT = "tournament"
    JERSEY = "jersey"
    TRYOUT = "tryout"
    GENERIC = "generic"


class OrderStatus(StrEnum):
    """What became of an order; always derived from its payments, attempts, refunds and disputes."""

    PENDING = "pending"
    PROCESSING = "processing"
    PAID = "paid"
    CANCELED = "canceled"
    PARTIALLY_REFUNDED = "partially_refunded"
    REFUNDED = "refunded"
    DISPUTED = "disputed"


class LinkStatus(StrEnum):
    """Whether a payment link can be paid."""

    ACTIVE = "active"
    PAID = "paid"
    DEACTIVATED = "deactivated"


class AttemptStatus(StrEnum):
    """What a Checkout Session led to. Later members win over earlier ones, in whatever order Stripe tells."""

    PROCESSING = "processing"
    EXPIRED = "expired"
    FAILED = "failed"
    SUCCEEDED = "succeeded"


class PaymentMethod(StrEnum):
    """How money came in (or, for a waiver, how the debt went away)."""

    CARD = "card"
    BANK = "bank"
    CASH = "cash"
    CHECK = "check"
    WAIVER = "waiver"


class EmailType(StrEnum):
    """What a mail is about."""

    OUTSTANDING_BALANCE = "outstanding_balance"
    PAYMENT_LINK = "payment_link"
    FIRST_PAYMENT = "first_payment"
    TOURNAMENT_FEE = "tournament_fee"
    RECEIPT = "receipt"


class EmailStatus(StrEnum):
    """What happened to one attempt at a mail."""

    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    UNCERTAIN = "uncertain"


class EventOutcome(StrEnum):
    """What a Stripe event led to."""

    APPLIED = "applied"
    IGNORED = "ignored"
    UNMATCHED = "unmatched"
    FAILED = "failed"


class BlastStatus(StrEnum):
    """Where a blast stands."""

    DRAFT = "draft"
    APPROVED = "approved"
    SENDING = "sending"
    DONE = "done"
    CANCELED = "canceled"


class RecipientStatus(StrEnum):
    """Where one family's mail of a blast stands."""

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    SKIPPED = "skipped"
    UNCERTAIN = "uncertain"


class NoticeStatus(StrEnum):
    """Where a notice to the club's channel stands."""

    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"


class UnmatchedStatus(StrEnum):
    """Whether somebody has said whose payment an unmatched one is."""

    OPEN = "open"
    MATCHED = "matched"


class EntryStatus(StrEnum):
    """Whether a player takes part in a tournament."""

    COMMITTED = "committed"
    WITHDRAWN = "withdrawn"


class RefundStatus(StrEnum):
    """Whether Stripe took a refund that an admin asked for."""

    REQUESTED = "requested"
    DONE = "done"
    FAILED = "failed"


class ReminderRunStatus(StrEnum):
    """What became of a day's reminders."""

    NOBODY = "nobody"
    WAITING = "waiting"
    SENT = "sent"


class FindingStatus(StrEnum):
    """Whether a difference between Stripe's books and ours was dealt with."""

    OPEN = "open"
    REPAIRED = "repaired"
    FAILED = "failed"
    GONE = "gone"
