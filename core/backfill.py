"""Minting the links that are missing, for a whole club: paced, resumable, one failure stopping nobody else."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from core.at_once import a_few_at_once
from core.balances import balance_cents, item_name, owed_items, player_name
from core.club import Club
from core.database import Database
from core.errors import NotPayableError
from core.models import Order, PaymentLink, Player, RetiredLink
from core.models.statuses import ContractStatus, LinkStatus, OrderStatus
from core.payment_links import PaymentLinks
from core.references import reason_of


@dataclass(frozen=True, slots=True)
class MissingLink:
    """An order of a signed player that is owed and has no open link over its balance (in cents)."""

    order_id: int
    player_name: str
    description: str
    balance_cents: int


@dataclass(frozen=True, slots=True)
class DebtWithoutLink(MissingLink):
    """The same, with whether it had a link before: one that is closed, replaced, or over another amount."""

    currency: str
    had_link: bool


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


_same_product = and_(
    PaymentLink.tenant_id == Order.tenant_id,
    PaymentLink.player_id == Order.player_id,
    PaymentLink.product_id == Order.product_id,
)
_is_its_link = or_(_same_product, and_(Order.product_id.is_(None), PaymentLink.order_id == Order.id))
_had_link = or_(
    select(PaymentLink.id).where(_is_its_link).exists(),
    select(RetiredLink.order_id).where(RetiredLink.order_id == Order.id).exists(),
)
_has_link = (
    select(PaymentLink.id)
    .where(
        _is_its_link,
        PaymentLink.status == LinkStatus.ACTIVE,
        PaymentLink.stripe_payment_link_id.is_not(None),
        PaymentLink.amount_cents == balance_cents,
        or_(PaymentLink.order_id == Order.id, PaymentLink.order_id.is_(None)),
    )
    .exists()
)


def _debts(tenant_id: int, condition: ColumnElement[bool]) -> Select[Any]:
    """Return the statement: what signed players owe, narrowed."""
    is_signed = Player.contract_status == ContractStatus.SIGNED
    return owed_items(tenant_id, Order.status == OrderStatus.PENDING, is_signed, condition)


async def missing_links(conn: AsyncConnection, tenant_id: int) -> list[DebtWithoutLink]:
    """Return what every signed player owes and can't be paid by an open link, with one statement."""
    columns = (Order.id, player_name, item_name, balance_cents, Order.currency, _had_link)
    statement = _debts(tenant_id, ~_has_link).with_only_columns(*columns, maintain_column_froms=True)
    return [DebtWithoutLink(*row) for row in await conn.execute(statement)]


async def count_linked(conn: AsyncConnection, tenant_id: int) -> int:
    """Return how many of the signed players' debts can be paid by an open link."""
    linked = _debts(tenant_id, _has_link).with_only_columns(Order.id, maintain_column_froms=True).order_by(None)
    return int(await conn.scalar(select(func.count()).select_from(linked.subquery())) or 0)


# It fits where it asks for what the order owes, or was paid like its order.
_ADOPT = text("""
    update payment_links l set order_id = o.id
    from orders o
    where l.tenant_id = :tenant_id and l.order_id is null
        and o.tenant_id = l.tenant_id and o.player_id = l.player_id and o.product_id = l.product_id
        and (
            l.status = 'active' and o.status = 'pending' and l.amount_cents = o.amount_cents - coalesce(
                (select sum(p.amount_cents) from payments p where p.order_id = o.id), 0
            )
            or l.status = 'paid' and o.status = 'paid'
        )
""")


class Backfill:
    """Mints missing links through the one door."""

    def __init__(self, database: Database, links: PaymentLinks) -> None:
        self._database = database
        self._links = links

    async def find(self, club: Club) -> Sequence[MissingLink]:
        """Return what is missing; writes nothing."""
        async with self._database.transaction() as conn:
            return await missing_links(conn, club.id)

    async def count_linked(self, club: Club) -> int:
        """Return how many debts have their link, so that nothing is to be done about them."""
        async with self._database.reading() as conn:
            return await count_linked(conn, club.id)

    async def adopt(self, club: Club, *, keep: bool) -> int:
        """Give links that were imported without their order the one of the same player and product, where it fits.

        Returns how many; only counts them unless told to `keep`.
        """
        async with self._database.transaction(keep=keep) as conn:
            return (await conn.execute(_ADOPT, {"tenant_id": club.id})).rowcount

    async def mint(
        self, club: Club, missing: Sequence[MissingLink], on_progress: Callable[[], None]
    ) -> BackfillReport:
        """Mint these links, a few at a time. Stopped half way, the next run goes on where this one was."""
        created, skipped, failures = 0, 0, list[LinkFailure]()

        async def mint(item: MissingLink) -> None:
            nonlocal created, skipped
            try:
                await self._links.payable_url(club.id, item.order_id)
                created += 1
            except NotPayableError:
                skipped += 1  # paid or canceled since it was listed
            except Exception as error:  # noqa: BLE001 - one failure stops nobody
                failures.append(LinkFailure(item, reason_of(error)))
            on_progress()

        await a_few_at_once(missing, mint)
        return BackfillReport(created, skipped, tuple(failures))
