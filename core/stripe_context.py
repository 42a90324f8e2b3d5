"""What the functions that apply Stripe's events work with."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from core.database import bind_to_tenant
from core.jobs import JobQueue
from core.payment_links import PaymentLinks
from core.payments import LockedOrder
from core.tenancy import current_tenant


@dataclass(frozen=True, slots=True)
class EventContext:
    """The open transaction of one event, and the doors it may use."""

    conn: AsyncConnection
    jobs: JobQueue
    links: PaymentLinks
    event_id: str
    # When it happened at Stripe.
    created: datetime
    # The clubs of the Stripe account that tells; it has no say in others' orders.
    tenant_ids: Sequence[int]

    @property
    def only_tenant(self) -> int | None:
        """The account's only club; None where several share it: then it takes more to know whose it is."""
        return self.tenant_ids[0] if len(self.tenant_ids) == 1 else None

    async def own(self, order: LockedOrder | None) -> LockedOrder | None:
        """Return the order where it is one of the account's clubs', and bind the rest of the work to that club."""
        if order is None or order.tenant_id not in self.tenant_ids:
            return None
        if current_tenant() != order.tenant_id:
            await bind_to_tenant(self.conn, order.tenant_id)
        return order

    @property
    def reason(self) -> str:
        """What an order's history says of a change that this event led to."""
        return f"stripe:{self.event_id}"
