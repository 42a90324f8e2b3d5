"""A strict local stand-in of Stripe: API, signed webhooks, payment pages and a dashboard."""

from sandbox.stripe.calls import RecordedRequest
from sandbox.stripe.courier import Attempt, sign
from sandbox.stripe.errors import NotPossibleError, RefusedError
from sandbox.stripe.faults import Fault, Faults
from sandbox.stripe.payments import Method
from sandbox.stripe.stand_in import StripeStandIn

__all__ = [
    "Attempt",
    "Fault",
    "Faults",
    "Method",
    "NotPossibleError",
    "RecordedRequest",
    "RefusedError",
    "StripeStandIn",
    "sign",
]
