"""Minting the links that are missing, for a whole club: paced, resumable, one failure stopping nobody else."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import and_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from core.balances import balance_cents, item_name, owed_items, player_name
from core.club import Club
from core.database import Database
from core.errors import NotPayableError, SidelineError
from core.models import Order, PaymentLink, Player
from core.models.statuses import ContractStatus, LinkStatus, OrderStatus
from core.payment_links import PaymentLinks

# Enough to keep Stripe's pace with an answer taking a third of a second.
AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class MissingLink:
    """An order of a signed player that is owed and has no open link over its balance (in cents)."""

    order_id: int
    player_name: str
    description: str
    balance_cents: int


@dataclass(frozen=True, slots=True)
class LinkFailure:
    """An order whose link could not be minted, and why."""

    missing: MissingLink
    reason: str


@dataclass(frozen=True, slots=True)
class BackfillReport:
    """What a backfill did."""

    created: int
    skipped: int
    failures: tuple[LinkFailure, ...]


async def missing_links(conn: AsyncConnection, tenant_id: int) -> list[MissingLink]:
    """Return what every signed player owes and can't be paid by an open link, with one statement."""
    same_product = and_(
        PaymentLink.tenant_id == Order.tenant_id,
        PaymentLink.player_id == Order.player_id,
        PaymentLink.product_id == Order.product_id,
    )
    has_link = (
        select(PaymentLink.id)
        .where(
            or_(same_product, and_(Order.product_id.is_(None), PaymentLink.order_id == Order.id)),
            PaymentLink.status == LinkStatus.ACTIVE,
            PaymentLink.stripe_payment_link_id.is_not(None),
            PaymentLink.amount_cents == balance_cents,
            or_(PaymentLink.order_id == Order.id, PaymentLink.order_id.is_(None)),
        )
        .exists()
    )
    rows = await conn.execute(
        owed_items(
            tenant_id,
            Order.status == OrderStatus.PENDING,
            Player.contract_status == ContractStatus.SIGNED,
            ~has_link,
        ).with_only_columns(Order.id, player_name, item_name, balance_cents, maintain_column_froms=True)
    )
    return [MissingLink(*row) for row in rows]


class Backfill:
    """Mints missing links through the one door."""

    def __init__(self, database: Database, links: PaymentLinks) -> None:
        self._database = database
        self._links = links

    async def find(self, club: Club) -> list[MissingLink]:
        """Return what is missing; writes nothing."""
        async with self._database.transaction() as conn:
            return await missing_links(conn, club.id)

    async def mint(
        self, club: Club, missing: list[MissingLink], on_progress: Callable[[], None]
    ) -> BackfillReport:
        """Mint these links, a few at a time. Stopped half way, the next run goes on where this one was."""
        waiting = iter(missing)
        created, skipped, failures = 0, 0, list[LinkFailure]()

        async def work() -> None:
            nonlocal created, skipped
            for item in waiting:
                try:
                    await self._links.payable_url(club.id, item.order_id)
                    created += 1
                except NotPayableError:
                    skipped += 1  # paid or canceled since it was listed
                except SidelineError as error:
                    failures.append(LinkFailure(item, str(error)))
                on_progress()

        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(work())
        return BackfillReport(created, skipped, tuple(failures))
