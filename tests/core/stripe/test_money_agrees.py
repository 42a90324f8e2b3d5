"""Whatever is done to an order, in whatever order: its balance is its amount less its payments."""

import itertools
from contextlib import suppress

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from core.balances import fetch_owed
from core.club import club_by_id
from core.errors import SidelineError
from core.manual_payments import HandPayment
from core.models import Order, Payment, RefundRequest
from core.models.statuses import OrderStatus, PaymentMethod, RefundStatus
from core.order_status import OrderFacts, derive_status
from core.order_summary import OrderSummary, load_order_summary
from tests.books import open_books
from tests.core.stripe.conftest import Desk
from tests.core.test_event_orders import event

_numbers = itertools.count(1)
CENTS = st.integers(1, 20000)
WHICH = st.integers(0, 9)
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("by_hand"), CENTS),
        st.tuples(st.just("all_by_hand"), WHICH),
        st.tuples(st.just("stripe"), CENTS),
        st.tuples(st.just("undo"), WHICH),
        st.tuples(st.just("refund"), WHICH),
        st.tuples(st.just("give_back"), WHICH),
        st.tuples(st.just("reprice"), CENTS),
        st.tuples(st.just("cancel"), WHICH),
    ),
    max_size=12,
)


class Story:
    """One order of a club of its own, and what was done to it."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.services = desk, desk.services
        self.is_canceled = False

    async def act(self, action: str, number: int) -> None:
        with suppress(SidelineError):
            await getattr(self, action)(number)

    async def by_hand(self, cents: int) -> None:
        payment = HandPayment(self.desk.books.order_id, cents, PaymentMethod.CASH)
        recorded = await self.services.manual_payments.record(self.desk.club, payment, "cli")
        assert recorded.order.balance_cents >= 0

    async def all_by_hand(self, _: int) -> None:
        await self.by_hand((await self.summary()).balance_cents)
        assert (await self.summary()).status is OrderStatus.PAID

    async def stripe(self, cents: int) -> None:
        number = next(_numbers)
        books = self.desk.books
        await self.tell(
            "checkout.session.completed",
            id=f"cs_test_{number}",
            payment_status="paid",
            amount_total=cents,
            currency="usd",
            payment_intent=f"pi_test_{number}",
            metadata={"order_id": str(books.order_id), "tenant_id": str(books.tenant_id)},
        )

    async def undo(self, which: int) -> None:
        payment_id = await self.one_of(which)
        await self.services.manual_payments.undo(self.desk.club, payment_id, "cli")

    async def refund(self, which: int) -> None:
        payment_id = await self.one_of(which)
        if not payment_id:
            return
        async with self.services.database.transaction() as conn:
            columns = (Payment.stripe_payment_intent_id, Payment.stripe_refund_id, Payment.amount_cents)
            intent, refund_id, cents = (await conn.execute(select(*columns).where(Payment.id == payment_id))).one()
        if intent is not None and refund_id is None:
            await self.tell_refund(intent, max(cents // 2, 1))

    async def give_back(self, which: int) -> None:
        before = await self.summary()
        payment_id = await self.one_of(which)
        offer = await self.services.refunds.request(self.desk.club, payment_id, "cli")
        assert offer.asked_cents is not None
        assert offer.asked_cents <= -before.balance_cents
        refund_id = await self.tell_refund(str(offer.payment_intent_id), offer.asked_cents)
        async with self.services.database.transaction() as conn:
            done = {"status": RefundStatus.DONE, "stripe_refund_id": refund_id}
            await conn.execute(update(RefundRequest).where(RefundRequest.payment_id == payment_id).values(done))
        # What is given back is never owed again by it.
        assert (await self.summary()).balance_cents <= 0

    async def reprice(self, cents: int) -> None:
        change = await self.services.order_changes.change_amount(
            self.desk.club, self.desk.books.order_id, cents, "made up", "cli"
        )
        assert change.order.balance_cents >= 0 or change.order.amount_cents > change.before_cents

    async def cancel(self, _: int) -> None:
        await self.services.order_changes.cancel(self.desk.club, self.desk.books.order_id, "", "cli")
        self.is_canceled = True

    async def tell(self, kind: str, **fields: object) -> None:
        told = event(kind, **fields)
        await self.services.stripe_events.ingest(told, orjson.dumps(told))

    async def tell_refund(self, intent: str, cents: int) -> str:
        refund_id = f"re_test_{next(_numbers)}"
        await self.tell("refund.created", id=refund_id, amount=cents, status="succeeded", payment_intent=intent)
        return refund_id

    async def one_of(self, which: int) -> int:
        async with self.services.database.transaction() as conn:
            of_order = select(Payment.id).where(Payment.order_id == self.desk.books.order_id)
            ids = list(await conn.scalars(of_order.order_by(Payment.id)))
        return ids[which % len(ids)] if ids else 0

    async def summary(self) -> OrderSummary:
        async with self.services.database.transaction() as conn:
            return await load_order_summary(conn, self.desk.club.id, self.desk.books.order_id)

    async def check(self) -> None:
        async with self.services.database.transaction() as conn:
            rows = (await conn.execute(select(Payment).where(Payment.order_id == self.desk.books.order_id))).all()
            order = await load_order_summary(conn, self.desk.club.id, self.desk.books.order_id)
            owed = await fetch_owed(conn, self.desk.club.id, Order.id == self.desk.books.order_id)
        voided = {row.voids_payment_id for row in rows} - {None}
        counting = [row for row in rows if row.id not in voided and row.voids_payment_id is None]
        received = sum(row.amount_cents for row in counting if row.stripe_refund_id is None)
        returned = -sum(row.amount_cents for row in counting if row.stripe_refund_id is not None)
        facts = OrderFacts(
            order.amount_cents,
            received,
            returned,
            is_canceled=self.is_canceled and order.status is OrderStatus.CANCELED,
            is_processing=False,
            is_disputed=False,
        )
        assert order.balance_cents == order.amount_cents - sum(row.amount_cents for row in rows) == facts.balance
        assert order.status is derive_status(facts)
        assert all(amount >= 0 for amount in (received, returned))
        asks = order.status is OrderStatus.PENDING and order.balance_cents > 0
        assert [item.balance_cents for item in owed] == ([order.balance_cents] if asks else [])


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(actions=ACTIONS)
async def test_whatever_was_done_the_books_agree(actions: list[tuple[str, int]], desk: Desk) -> None:
    number = next(_numbers)
    async with desk.services.database.transaction() as conn:
        books = await open_books(conn, club=f"Club {number}", email=f"pat{number}@example.com")
        club = await club_by_id(conn, books.tenant_id)
    story = Story(Desk(desk.services, desk.stripe, books, club))
    for action, given_number in actions:
        await story.act(action, given_number)
        await story.check()
