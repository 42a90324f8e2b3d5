"""A club that several processes work for at once, what happens to it, and what must hold afterwards."""

import itertools
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import orjson
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from core.at_once import a_few_at_once
from core.club import Club, club_by_id
from core.models import Order, OrderHistory, Parent, Payment, Player, Product
from core.models.statuses import Category
from core.payments import lock_order, refresh_status
from core.reconcile_findings import FindingKind
from core.services import Services
from core.telemetry import PARENT
from core.traces import TRACE
from sandbox.mailbox import Mailbox
from sandbox.stripe import StripeStandIn
from sandbox.stripe.payments import Method
from tests.books import Books, add, open_books
from tests.concurrency import interleave
from tests.concurrency.interleave import OneSwitch, Played, Stage, Work, naming

# How many orders of turns each test tries; `make test` has time for this many.
INTERLEAVINGS = int(os.environ.get("INTERLEAVINGS", "24"))
ONE_AFTER_THE_OTHER = 1_000_000


@dataclass(frozen=True, slots=True)
class Scene:
    """What meets on the same rows, and what must hold afterwards."""

    works: Sequence[Work]
    check: Callable[[Played], Awaitable[None]]
    # What it is about, for the checks that always hold.
    order_ids: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class _Rehearsed:
    order: interleave.Order
    scene: Scene
    outcome: Played


@dataclass(frozen=True, slots=True)
class Family:
    """A family of one player, who owes one order."""

    parent_id: int
    player_id: int
    product_id: int
    order_id: int
    email: str


@dataclass(slots=True)
class World:
    """Everything that meets."""

    stage: Stage
    stripe: StripeStandIn
    mailbox: Mailbox
    processes: tuple[Services, ...]
    books: Books
    club: Club
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    @classmethod
    async def open(
        cls,
        stage: Stage,
        stripe: StripeStandIn,
        mailbox: Mailbox,
        processes: tuple[Services, ...],
        books: Books,
    ) -> "World":
        async with processes[0].database.transaction() as conn:
            club = await club_by_id(conn, books.tenant_id)
        return cls(stage, stripe, mailbox, processes, books, club)

    @property
    def first(self) -> Services:
        return self.processes[0]

    def number(self) -> int:
        """Return a number that was not used before."""
        return next(self._numbers)

    async def rehearse(
        self, scene: Callable[[], Awaitable[Scene]], *once_wrong: interleave.Order, share: float = 1.0
    ) -> None:
        """Play a scene in many orders, each time on fresh rows; then look at what came of all of them.

        What waits in the background is done in between. The orders in which it once went wrong are played too.
        Scenes with many calls to Stripe take longer than others, so theirs is a smaller share.
        """
        played = [await self._play(scene, OneSwitch(0, ONE_AFTER_THE_OTHER))]
        number = int(INTERLEAVINGS * share) - 1
        chosen = [*once_wrong, *interleave.orders(played[0].outcome.turns, number)]
        played += [await self._play(scene, order) for order in chosen]
        await self.run_jobs()
        for each in played:
            with naming(each.order):
                await each.scene.check(each.outcome)
                await self._check_orders(each.scene.order_ids)
        await self._compare({order_id: each.order for each in played for order_id in each.scene.order_ids})

    async def _play(self, scene: Callable[[], Awaitable[Scene]], order: interleave.Order) -> "_Rehearsed":
        with naming(order):
            set_up = await scene()
            return _Rehearsed(order, set_up, await self.stage.play(order, *set_up.works))

    async def family(self, *, amount_cents: int = 15000, due: date | None = None, **player: object) -> Family:
        """Add a family of one player, who owes one order."""
        number, tenant_id = self.number(), self.books.tenant_id
        email = f"family{number}@example.com"
        async with self.first.database.transaction() as conn:
            parent_id = await add(
                conn, Parent, tenant_id=tenant_id, first_name="Sam", last_name=f"Lee{number}", email=email
            )
            child = {"first_name": "Ana", "last_name": f"Lee{number}", "contract_status": "signed", **player}
            player_id = await add(conn, Player, tenant_id=tenant_id, parent_id=parent_id, **child)
            product_id = await add(
                conn,
                Product,
                tenant_id=tenant_id,
                category=Category.MONTHLY,
                name=f"Fee {number}",
                price_cents=amount_cents,
            )
            order_id = await add(
                conn,
                Order,
                tenant_id=tenant_id,
                player_id=player_id,
                parent_id=parent_id,
                product_id=product_id,
                amount_cents=amount_cents,
                due_date=due,
            )
        return Family(parent_id, player_id, product_id, order_id, email)

    async def club_of(self, families: int) -> tuple[Club, list[Family]]:
        """Add another club with so many families."""
        home = self.books, self.club
        async with self.first.database.transaction() as conn:
            number = self.number()
            self.books = await open_books(conn, f"Club {number}", f"pat{number}@example.com")
            self.club = await club_by_id(conn, self.books.tenant_id)
        try:
            books, club = self.books, self.club
            own = Family(
                books.parent_id, books.player_id, books.product_id, books.order_id, f"pat{number}@example.com"
            )
            return club, [own, *[await self.family() for _ in range(families - 1)]]
        finally:
            self.books, self.club = home

    async def mint(self, order_id: int) -> str:
        """Mint an order's link; gives its id at Stripe."""
        url = await self.first.payment_links.payable_url(self.club.id, order_id)
        return next(str(link["id"]) for link in self.stripe.payment_links.values() if link["url"] == url)

    async def pay(self, link_id: str, method: Method = "card") -> list[dict[str, object]]:
        """Pay through a link; gives the events that Stripe has to tell of it."""
        known = set(self.stripe.events)
        await self.stripe.pay(await self.stripe.open_link(link_id), method)
        return [event for event_id, event in self.stripe.events.items() if event_id not in known]

    def telling(self, process: Services, *events: dict[str, object]) -> Work:
        """Return the work of taking these events in, one after the other."""

        async def tell() -> None:
            for event in events:
                await process.stripe_events.ingest(event, orjson.dumps(event))

        return tell

    async def run_jobs(self) -> None:
        """Do what waits in the background, and what comes of that."""
        handlers = self.first.handlers()
        while True:
            async with self.first.database.transaction() as conn:
                rows = (
                    await conn.execute(
                        text("delete from procrastinate_jobs where status = 'todo' returning task_name, args")
                    )
                ).all()
            if not rows:
                return
            await a_few_at_once(rows, lambda row: handlers[row[0]](**without_trace(row[1])))

    async def _check_orders(self, order_ids: Sequence[int]) -> None:
        """Make sure that statuses follow from the facts, and histories tell how they came about."""
        async with self.first.database.transaction(keep=False) as conn:
            for order_id in order_ids:
                await _check_order(conn, order_id)

    async def _compare(self, in_order: Mapping[int, interleave.Order]) -> None:
        """Make sure that Stripe has the same payments, refunds and open links as the books."""
        differences = (await self.first.reconciliation.compare(self.club)).differences
        told = [
            f"{in_order.get(each.facts.get('order_id', 0))}: {each.kind.value} {each.facts}"
            for each in differences
            # A link that was closed because another amount is owed now; the family's next click mints one.
            if each.kind is not FindingKind.DEBT_WITHOUT_LINK
        ]
        assert not told, "\n".join(told)

    async def paid(self, order_id: int) -> list[int]:
        """Return the order's payments, in cents."""
        async with self.first.database.reading() as conn:
            return sorted(await conn.scalars(select(Payment.amount_cents).where(Payment.order_id == order_id)))

    async def status(self, order_id: int) -> str:
        async with self.first.database.reading() as conn:
            return str(await conn.scalar(select(Order.status).where(Order.id == order_id)))

    async def balance(self, order_id: int) -> int:
        async with self.first.database.reading() as conn:
            amount = await conn.scalar(select(Order.amount_cents).where(Order.id == order_id))
        return int(amount or 0) - sum(await self.paid(order_id))

    async def rows(self, statement: str, **named: object) -> list[tuple[Any, ...]]:
        async with self.first.database.reading() as conn:
            return [tuple(row) for row in await conn.execute(text(statement), named)]

    def open_links(self, order_id: int) -> list[dict[str, object]]:
        """Return the links at Stripe that are open and name this order."""
        return [
            link
            for link in self.stripe.payment_links.values()
            if link["active"] and link["metadata"].get("order_id") == str(order_id)
        ]


def without_trace(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if name not in {TRACE, PARENT}}


async def _check_order(conn: AsyncConnection, order_id: int) -> None:
    order = await lock_order(conn, order_id)
    assert order is not None
    history = select(OrderHistory.from_status, OrderHistory.to_status)
    steps = (await conn.execute(history.where(OrderHistory.order_id == order_id).order_by(OrderHistory.id))).all()
    before = ["pending", *(step.to_status for step in steps)]
    assert [step.from_status for step in steps] == before[:-1], steps
    assert order.status == before[-1], (order.status, steps)
    change = await refresh_status(conn, order, "checked")
    assert change.before is change.after, change
    links = text("select count(*) from payment_links where order_id = :id and status = 'active'")
    assert int(await conn.scalar(links, {"id": order_id}) or 0) <= 1
