"""The tables. Their names and the columns that others query are public; see docs/architecture.md."""

from core.models.base import Base
from core.models.billing import (
    CheckoutAttempt,
    Order,
    OrderHistory,
    Payment,
    PaymentLink,
    Product,
    RetiredLink,
    StripeDispute,
    StripeRefund,
    Tournament,
    TournamentEntry,
    TournamentProduct,
)
from core.models.operations import AuditLog, JobFailure, RateSlot, StripeEvent, UnmatchedPayment
from core.models.outreach import Blast, BlastRecipient, EmailLog, Notice
from core.models.people import NameWord, Parent, Player, PlayerSearch, Team, Tenant

__all__ = [
    "AuditLog",
    "Base",
    "Blast",
    "BlastRecipient",
    "CheckoutAttempt",
    "EmailLog",
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
