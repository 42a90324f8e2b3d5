"""What the functions that apply Stripe's events work with."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from core.jobs import JobQueue
from core.payment_links import PaymentLinks


@dataclass(frozen=True, slots=True)
class EventContext:
    """The open transaction of one event, and the doors it may use."""

    conn: AsyncConnection
    jobs: JobQueue
    links: PaymentLinks
    event_id: str
    # When it happened at Stripe.
    created: datetime

    @property
    def reason(self) -> str:
        """What an order's history says of a change that this event led to."""
        return f"stripe:{self.event_id}"
