"""The tables. Their names and the columns that others query are public; see docs/architecture.md."""

from core.models.base import Base
from core.models.billing import (
    InstalmentPlan,
    Order,
    OrderHistory,
    Product,
    Tournament,
    TournamentEntry,
    TournamentProduct,
)
from core.models.operations import AuditLog, JobFailure, RateSlot, StripeEvent, UnmatchedPayment
from core.models.outreach import Blast, BlastRecipient, EmailLog, Notice
from core.models.payments import (
    CheckoutAttempt,
    Payment,
    PaymentLink,
    RefundRequest,
    RetiredLink,
    StripeDispute,
    StripeRefund,
)
from core.models.people import ClubInvite, NameWord, Parent, Player, PlayerSearch, Team, Tenant
from core.models.reconciliation import ReconcileFinding, ReconcileRun
from core.models.reminders import FamilyHold, ReminderRule, ReminderRun

__all__ = [
    "AuditLog",
    "Base",
    "Blast",
    "BlastRecipient",
    "CheckoutAttempt",
    "ClubInvite",
    "EmailLog",
    "FamilyHold",
    "InstalmentPlan",
    "JobFailure",
    "NameWord",
    "Notice",
    "Order",
    "OrderHistory",
    "Parent",
    "Payment",
    "PaymentLink",
    "Player",
    "PlayerSearch",
    "Product",
    "RateSlot",
    "ReconcileFinding",
    "ReconcileRun",
    "RefundRequest",
    "ReminderRule",
    "ReminderRun",
    "RetiredLink",
    "StripeDispute",
    "StripeEvent",
    "StripeRefund",
    "Team",
    "Tenant",
    "Tournament",
    "TournamentEntry",
    "TournamentProduct",
    "UnmatchedPayment",
]
