"""Our payment links beside Stripe's: which are open without a debt, ask for another amount, or differ in state.

Links that we have no row for are left alone, since other programs may use the account, unless their metadata names
this very club, one of its orders and that order's player.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import bindparam, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from core.backfill import missing_links
from core.database import Database
from core.fees import fee_rule
from core.models import PaymentLink
from core.models.statuses import LinkStatus, OrderStatus
from core.reconcile_events import number_in
from core.reconcile_findings import Difference, FindingKind
from core.stripe_reading import LinkAtStripe, StripeReader


@dataclass(frozen=True, slots=True)
class KnownLink:
    """What we know of a link: its row, or the retired one, or only the order that its metadata names.

    Amounts in cents. `link_status` is None where there is no current row.
    """

    link_id: str
    link_status: str | None
    is_retired: bool
    # Whether a job that closes it at Stripe is waiting or under way.
    is_closing: bool
    order_id: int | None
    order_status: str | None
    balance_cents: int | None
    currency: str | None
    category: str | None
    player: str | None
    item: str | None

    @property
    def is_owed(self) -> bool:
        """Whether its order still asks for something."""
        return self.order_status == OrderStatus.PENDING and (self.balance_cents or 0) > 0

    @property
    def invites_for_nothing(self) -> bool:
        """Whether nothing is owed and the link should not be open any more.

        What was taken off the list invites no payment, also where the kind of fee leaves its links open once paid.
        """
        if self.order_id is None or self.is_owed or self.order_status == OrderStatus.PROCESSING:
            return False
        return fee_rule(self.category).closes_when_paid or self.order_status == OrderStatus.CANCELED


@dataclass(slots=True)
class LinkComparison:
    """What differs, how many links were looked at, and how many debts never had a link, which is no difference."""

    differences: list[Difference] = field(default_factory=list)
    looked_at: int = 0
    never_minted: int = 0


# The link's own order; for one that was imported without it, the order of the same player and product. `offset 0`
# has that found before the join: row-level security lets no subquery into an index's condition, and PostgreSQL
# would read all orders for each page of links.
_KNOWN = text("""
    with seen as (
        select * from unnest(cast(:links as text[]), cast(:orders as bigint[]), cast(:players as bigint[]))
            as s(link_id, named_order_id, named_player_id)
    ),
    closing as materialized (
        select args ->> 'stripe_payment_link_id' as link_id from procrastinate_jobs
        where task_name = 'close_link' and status in ('todo', 'doing')
        union all
        select jsonb_array_elements_text(payment -> 'link_ids')
        from procrastinate_jobs, jsonb_array_elements(args -> 'payments') as payment
        where task_name = 'follow_up_payments' and status in ('todo', 'doing')
    )
    select s.link_id, l.status, r.stripe_payment_link_id is not null, s.link_id in (select link_id from closing),
        o.id, o.status,
        o.amount_cents - cast(coalesce(
            (select sum(p.amount_cents) from payments p where p.order_id = o.id), 0
        ) as bigint),
        o.currency, product.category, btrim(player.first_name || ' ' || player.last_name),
        coalesce(nullif(o.description, ''), product.name, 'Fee')
    from seen s
    left join payment_links l on l.stripe_payment_link_id = s.link_id
    left join retired_links r on r.stripe_payment_link_id = s.link_id
    left join orders named on l.id is null and r.stripe_payment_link_id is null
        and named.id = s.named_order_id and named.player_id = s.named_player_id
    left join lateral (
        select coalesce(
            l.order_id,
            (
                select i.id from orders i
                where i.player_id = l.player_id and i.product_id = l.product_id and i.status <> 'canceled'
            ),
            r.order_id,
            named.id
        ) as order_id
        offset 0
    ) as its on true
    left join orders o on o.id = its.order_id
    left join products product on product.id = o.product_id
    left join players player on player.id = o.player_id
    where coalesce(l.tenant_id, r.tenant_id, named.tenant_id) = :tenant_id
""")
_OURS_ACTIVE = select(PaymentLink.stripe_payment_link_id).where(
    PaymentLink.tenant_id == bindparam("tenant_id"),
    PaymentLink.status == LinkStatus.ACTIVE,
    PaymentLink.stripe_payment_link_id.is_not(None),
)


class LinkComparer:
    """Compares one club's links."""

    def __init__(self, database: Database, stripe: StripeReader) -> None:
        self._database = database
        self._stripe = stripe

    async def compare(self, tenant_id: int) -> LinkComparison:
        """Compare everything: one statement a page of Stripe's open links, and a few for the whole club.

        Raises:
            StripeUnavailableError, StripeRefusedError
        """
        result, seen = LinkComparison(), set[str]()
        async for links in self._stripe.active_link_pages():
            result.looked_at += len(links)
            seen.update(link.id for link in links)
            async with self._database.transaction() as conn:
                result.differences += await compare_open(conn, tenant_id, links)
        result.differences += await self._not_open(tenant_id, seen)
        explained = {each.facts["order_id"] for each in result.differences}
        async with self._database.transaction() as conn:
            missing = await missing_links(conn, tenant_id)
        result.never_minted = sum(not each.had_link for each in missing)
        result.differences += [
            Difference(
                FindingKind.DEBT_WITHOUT_LINK,
                str(each.order_id),
                {
                    "order_id": each.order_id,
                    "amount_cents": each.balance_cents,
                    "currency": each.currency,
                    "player": each.player_name,
                    "item": each.description,
                },
            )
            for each in missing
            if each.had_link and each.order_id not in explained
        ]
        return result

    async def _not_open(self, tenant_id: int, seen: set[str]) -> list[Difference]:
        """Compare our open links that Stripe's list did not have; some were minted while it was read."""
        async with self._database.transaction() as conn:
            ours = {str(link_id) for link_id in await conn.scalars(_OURS_ACTIVE, {"tenant_id": tenant_id})}
        return await self.compare_some(tenant_id, sorted(ours - seen))

    async def compare_some(self, tenant_id: int, link_ids: Sequence[str]) -> list[Difference]:
        """Compare these links as they are now on both sides: Stripe is asked for each, our books once.

        Raises:
            StripeUnavailableError, StripeRefusedError
        """
        at_stripe = {link_id: await self._stripe.link(link_id) for link_id in link_ids}
        is_open = [link for link in at_stripe.values() if link is not None and link.active]
        others = set(at_stripe) - {link.id for link in is_open}
        async with self._database.transaction() as conn:
            known = await _load(conn, tenant_id, [(link_id, None, None) for link_id in sorted(others)])
            return await compare_open(conn, tenant_id, is_open) + [
                _state_differs(each, "unknown" if at_stripe[each.link_id] is None else "closed", "open")
                for each in known
                # One that was imported without its order is nobody's debt to mint anew.
                if each.link_status == LinkStatus.ACTIVE and each.order_id is not None and not each.is_closing
            ]


async def compare_open(conn: AsyncConnection, tenant_id: int, links: Sequence[LinkAtStripe]) -> list[Difference]:
    """Compare links that are open at Stripe with what we know of them, with one statement."""
    named = [(link.id, *_named(link, tenant_id)) for link in links]
    known = {each.link_id: each for each in await _load(conn, tenant_id, named)}
    judged = [judge(link, known[link.id]) for link in links if link.id in known]
    return [difference for difference in judged if difference is not None]


def judge(link: LinkAtStripe, known: KnownLink) -> Difference | None:
    """Say what is wrong with a link that is open at Stripe; None where all is well or about to be."""
    if known.is_closing:
        return None
    if known.link_status is None and not known.is_retired:
        return _state_differs(known, "open", "unknown")
    if known.link_status != LinkStatus.ACTIVE:
        return _state_differs(known, "open", "closed")
    facts = {"amount_cents": link.amount_cents, "currency": link.currency}
    if known.is_owed and (link.amount_cents, link.currency) != (known.balance_cents, known.currency):
        owed = {"owed_cents": known.balance_cents, "owed_currency": known.currency}
        return _difference(FindingKind.LINK_AMOUNT_DIFFERS, known, facts | owed)
    if known.invites_for_nothing:
        return _difference(FindingKind.LINK_WITHOUT_DEBT, known, facts | {"status": known.order_status})
    return None


def _state_differs(known: KnownLink, at_stripe: str, here: str) -> Difference:
    return _difference(FindingKind.LINK_STATE_DIFFERS, known, {"at_stripe": at_stripe, "here": here})


def _difference(kind: FindingKind, known: KnownLink, facts: dict[str, Any]) -> Difference:
    about = {"link_id": known.link_id, "order_id": known.order_id, "player": known.player, "item": known.item}
    return Difference(kind, known.link_id, about | facts)


def _named(link: LinkAtStripe, tenant_id: int) -> tuple[int | None, int | None]:
    """Return the order and player that a link of this club names."""
    if link.metadata.get("tenant_id") != str(tenant_id):
        return None, None
    return number_in(link.metadata, "order_id"), number_in(link.metadata, "player_id")


async def _load(
    conn: AsyncConnection, tenant_id: int, links: Sequence[tuple[str, int | None, int | None]]
) -> list[KnownLink]:
    if not links:
        return []
    ids, orders, players = zip(*links, strict=True)
    named = {"tenant_id": tenant_id, "links": list(ids), "orders": list(orders), "players": list(players)}
    return [KnownLink(*row) for row in await conn.execute(_KNOWN, named)]
