"""What an order's status is, given everything that is known of it.

The status is never stepped from one to the next: it follows from the facts alone, so the order in which
Stripe tells of them can't matter.
"""

from dataclasses import dataclass

from core.models.statuses import OrderStatus


@dataclass(frozen=True, slots=True)
class OrderFacts:
    """Everything that an order's status depends on. Amounts in cents."""

    amount: int
    # Money that came in, and money that was given back (as a positive number).
    received: int
    returned: int
    is_canceled: bool
    # Whether a bank debit is under way.
    is_processing: bool
    # Whether a dispute is open or was lost.
    is_disputed: bool

    @property
    def balance(self) -> int:
        """What is left of the amount; negative where too much came in."""
        return self.amount - self.received + self.returned


def derive_status(facts: OrderFacts) -> OrderStatus:
    """Return the status that follows from the facts."""
    if facts.is_disputed and facts.received:
        return OrderStatus.DISPUTED
    if facts.received and facts.balance <= 0:
        return OrderStatus.PAID
    if facts.returned:
        everything = facts.returned >= facts.received
        return OrderStatus.REFUNDED if everything else OrderStatus.PARTIALLY_REFUNDED
    if facts.is_canceled and not facts.received:
        return OrderStatus.CANCELED
    return OrderStatus.PROCESSING if facts.is_processing else OrderStatus.PENDING
