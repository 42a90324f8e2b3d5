"""Statements add up, agree with what families are asked for, and show each guardian no more than is theirs."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from core.balances import family_owes
from core.club import Club, club_by_id
from core.database import Database
from core.errors import NotFoundError
from core.family_statement import (
    Entry,
    EntryKind,
    FamilyStatement,
    draw_up,
    guardian_of,
    load_books,
    load_statement,
)
from core.models import Order, Parent, Payment, Player, StripeRefund
from core.models.statuses import OrderStatus, PaymentMethod
from core.payments import (
    Income,
    cancel_order,
    change_amount,
    lock_order,
    record_payment,
    refresh_status,
    settle_refunds,
)
from core.pdf import PdfMaker
from core.statement_page import statement_page
from tests.books import Books, add, open_books
from tests.statements import counted

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
ODD = '\u0141ukasz "Zo\u00eb" <b>O\'Brien</b> & #1 *x* $y$ _u_ `r` \\ @a [b] #sys.inputs // c'


def entry(at: datetime, cents: int, player_id: int = 1, name: str = "Jaxon Reed") -> Entry:
    kind = EntryKind.CHARGE if cents > 0 else EntryKind.PAYMENT
    return Entry(at, player_id, name, "Fee", kind, cents)


def statement_of(entries: Sequence[Entry], year: int) -> FamilyStatement:
    return draw_up(
        entries,
        parent_id=1,
        parent_name="Pat Reed",
        year=year,
        today=date(2026, 11, 21),
        time_zone="America/New_York",
    )


moments = st.datetimes(datetime(2023, 1, 1), datetime(2026, 11, 20), timezones=st.just(UTC))  # noqa: DTZ001 - made aware
books_of_a_family = st.lists(
    st.builds(entry, moments, st.integers(-100_000, 100_000), st.integers(1, 3)), max_size=40
)


@settings(deadline=None)
@given(books_of_a_family)
def test_years_join_up_and_end_with_everything(entries: list[Entry]) -> None:
    years = [statement_of(entries, year) for year in range(2022, 2027)]
    assert years[0].opening_cents == 0
    for before, after in itertools.pairwise(years):
        assert after.opening_cents == before.closing_cents
    assert years[-1].closing_cents == sum(each.amount_cents for each in entries)
    for each in years:
        assert each.closing_cents == each.opening_cents + each.total_cents(*EntryKind)


def test_a_day_is_the_clubs() -> None:
    late = entry(NEW_YEAR + timedelta(hours=3), 15000)  # December still, in New York
    assert statement_of([late], 2025).closing_cents == 15000
    (player,) = statement_of([late], 2026).players
    assert (player.opening_cents, player.entries) == (15000, ())


def test_the_current_year_ends_today() -> None:
    assert statement_of([], 2026).as_of == date(2026, 11, 21)
    assert statement_of([], 2025).as_of == date(2025, 12, 31)
    assert statement_of([entry(NEW_YEAR, 1)], 2026).years == (2026, 2025)


@dataclass(frozen=True, slots=True)
class Family:
    conn: AsyncConnection
    club: Club
    books: Books

    async def statement(self, year: int | None = None, parent_id: int | None = None) -> FamilyStatement:
        whose = parent_id or self.books.parent_id
        return await load_statement(self.conn, self.club, whose, year=year, now=datetime.now(UTC))

    async def order(self, cents: int = 10000, **given: object) -> int:
        values = {"player_id": self.books.player_id, "parent_id": self.books.parent_id, **given}
        return await add(
            self.conn, Order, tenant_id=self.club.id, description="Jersey", amount_cents=cents, **values
        )

    async def pay(self, order_id: int, cents: int, method: PaymentMethod, intent: str | None = None) -> int:
        order = await lock_order(self.conn, order_id)
        assert order is not None
        paid = await record_payment(self.conn, order, Income(cents, method, datetime.now(UTC), intent))
        await refresh_status(self.conn, order, "test")
        return paid or 0

    async def refund(self, order_id: int, intent: str, cents: int, number: int, status: str = "succeeded") -> None:
        known = {"id": f"re_test_{number}", "stripe_payment_intent_id": intent, "amount_cents": cents}
        await self.conn.execute(insert(StripeRefund).values(**known, status=status))
        await settle_refunds(self.conn, intent)
        await self.refresh(order_id)

    async def undo(self, payment_id: int) -> None:
        paid = (
            await self.conn.execute(
                select(Payment.order_id, Payment.amount_cents, Payment.method).where(Payment.id == payment_id)
            )
        ).one()
        taken_back = {"order_id": paid.order_id, "amount_cents": -paid.amount_cents, "method": paid.method}
        await add(self.conn, Payment, **taken_back, voids_payment_id=payment_id)
        await self.refresh(paid.order_id)

    async def refresh(self, order_id: int) -> None:
        order = await lock_order(self.conn, order_id)
        assert order is not None
        await refresh_status(self.conn, order, "test")


async def family_in(conn: AsyncConnection, club: str = "River City FC") -> Family:
    books = await open_books(conn, club)
    return Family(conn, await club_by_id(conn, books.tenant_id), books)


actions = st.lists(
    st.tuples(
        st.sampled_from(["order", "cash", "waiver", "card", "refund", "undo", "reprice", "cancel"]),
        st.integers(0, 5),
        st.integers(1, 20000),
    ),
    max_size=12,
)


async def _live_through(family: Family, told: list[tuple[str, int, int]]) -> None:
    """Do what the office, the families and Stripe might do, in any order."""
    orders, by_hand, by_card = [family.books.order_id], [], []
    for number, (what, which, cents) in enumerate(told):
        order_id = orders[which % len(orders)]
        status = await family.conn.scalar(select(Order.status).where(Order.id == order_id))
        order = await lock_order(family.conn, order_id)
        assert order is not None
        match what:
            case "order":
                orders.append(await family.order(cents))
            case "cash" | "waiver":
                by_hand.append(await family.pay(order_id, cents, PaymentMethod(what)))
            case "card":
                intent = f"pi_test_{number}"
                await family.pay(order_id, cents, PaymentMethod.CARD, intent)
                by_card.append((order_id, intent, cents))
            case "refund" if by_card:
                paid_order, intent, paid = by_card.pop(which % len(by_card))
                await family.refund(paid_order, intent, min(cents, paid), number)
            case "undo" if by_hand:
                await family.undo(by_hand.pop(which % len(by_hand)))
            case "reprice" if status != OrderStatus.CANCELED:
                await change_amount(family.conn, order, cents, "test")
            case "cancel" if status == OrderStatus.PENDING and not await _is_touched(family, order_id):
                await cancel_order(family.conn, order, "test")
            case _:
                pass


async def _is_touched(family: Family, order_id: int) -> bool:
    return await family.conn.scalar(select(Payment.id).where(Payment.order_id == order_id).limit(1)) is not None


OWED_AND_OVERPAID = text("""
    select cast(coalesce(sum(case
        when status in ('pending', 'processing') then amount_cents - paid
        when status = 'canceled' then -paid
        else least(amount_cents - paid, 0)
    end), 0) as bigint)
    from (
        select o.status, o.amount_cents,
            (select coalesce(sum(amount_cents), 0) from payments where order_id = o.id) as paid
        from orders o where o.parent_id = :parent_id
    ) as books
""")


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(told=actions)
async def test_it_agrees_with_the_balances_whatever_was_done(
    told: list[tuple[str, int, int]], database: Database
) -> None:
    async with database.transaction(keep=False) as conn:
        family = await family_in(conn)
        await _live_through(family, told)
        statement = await family.statement()
        expected = await conn.scalar(OWED_AND_OVERPAID, {"parent_id": family.books.parent_id})
        assert statement.closing_cents == expected
        owed = sum(item.balance_cents for item in await family_owes(conn, family.club.id, family.books.parent_id))
        books = await load_books(conn, family.club.id, family.books.parent_id)
        assert statement.closing_cents <= owed
        assert sum(each.amount_cents for each in books) == expected


async def test_every_kind_of_entry_is_told(database: Database) -> None:
    async with database.transaction(keep=False) as conn:
        family = await family_in(conn)
        fee, jersey = family.books.order_id, await family.order(6500)
        await family.pay(fee, 15000, PaymentMethod.CARD, "pi_test_1")
        await family.refund(fee, "pi_test_1", 5000, 1)
        await family.pay(jersey, 1500, PaymentMethod.WAIVER)
        await family.undo(await family.pay(jersey, 500, PaymentMethod.CASH))
        gone = await lock_order(conn, await family.order(9900))
        assert gone is not None
        await cancel_order(conn, gone, "test")
        statement = await family.statement()
        kinds = sorted((each.entry.kind, each.entry.amount_cents) for each in statement.players[0].entries)
        assert kinds == sorted(
            [
                (EntryKind.CHARGE, 15000),
                (EntryKind.CHARGE, 6500),
                (EntryKind.PAYMENT, -15000),
                (EntryKind.REFUND, 5000),
                (EntryKind.TAKEN_OFF, -5000),
                (EntryKind.WAIVER, -1500),
            ]
        )
        assert statement.closing_cents == 5000


async def test_a_guardian_who_reads_along_sees_this_player_only(database: Database) -> None:
    async with database.transaction(keep=False) as conn:
        family = await family_in(conn)
        other = await add(conn, Parent, tenant_id=family.club.id, first_name="Sam", email="sam@example.com")
        await conn.execute(update(Player).values(second_parent_id=other))
        names = {"tenant_id": family.club.id, "parent_id": family.books.parent_id}
        mia = await add(conn, Player, first_name="Mia", last_name="Reed", **names)
        await family.order(6500, player_id=mia)
        seen = await family.statement(parent_id=other)
        assert [player.player_name for player in seen.players] == ["Jaxon Reed"]
        assert [player.player_name for player in (await family.statement()).players] == ["Jaxon Reed", "Mia Reed"]


async def test_with_a_share_neither_sees_the_others(database: Database) -> None:
    async with database.transaction(keep=False) as conn:
        family = await family_in(conn)
        other = await add(conn, Parent, tenant_id=family.club.id, first_name="Sam", email="sam@example.com")
        await conn.execute(update(Player).values(second_parent_id=other, second_share_percent=40))
        await family.order(4000, parent_id=other)
        assert (await family.statement(parent_id=other)).closing_cents == 4000
        assert (await family.statement()).closing_cents == 15000
        assert await guardian_of(conn, family.club.id, "jaxon reed", None) == family.books.parent_id
        assert await guardian_of(conn, family.club.id, "Jaxon Reed", "SAM@example.com") == other


async def test_others_are_unknown(database: Database) -> None:
    async with database.transaction(keep=False) as conn:
        family, elsewhere = await family_in(conn), await family_in(conn, "Riverside")
        with pytest.raises(NotFoundError):
            await family.statement(parent_id=elsewhere.books.parent_id)
        for year in (1999, 2100):
            with pytest.raises(NotFoundError, match=str(year)):
                await family.statement(year)
        for name, email in (("Nobody Reed", None), ("Jaxon Reed", "nobody@example.com")):
            with pytest.raises(NotFoundError):
                await guardian_of(conn, family.club.id, name, email)


async def test_a_long_history_costs_the_same_statements(database: Database) -> None:
    costs = []
    async with database.transaction(keep=False) as conn:
        family = await family_in(conn)
        for _ in range(2):
            with counted(database) as statements:
                await family.statement()
            costs.append(len(statements))
            for _ in range(30):
                await family.pay(await family.order(), 10000, PaymentMethod.CASH)
    assert costs == [2, 2]


async def test_names_reach_the_pdf_as_data(database: Database) -> None:
    async with database.transaction(keep=False) as conn:
        family = await family_in(conn)
        await conn.execute(update(Player).values(first_name=ODD))
        await conn.execute(update(Parent).values(first_name=ODD))
        await conn.execute(update(Order).values(description=ODD))
        statement = await family.statement()
    page = statement_page(family.club, statement, NOW.date())
    assert (page.family_name, page.sections[0].player_name) == (f"{ODD} Reed", f"{ODD} Reed")
    pdf = PdfMaker()
    made = await pdf.statement(page)
    assert made.startswith(b"%PDF-")
    assert b"/StructTreeRoot" in made


async def test_letters_that_no_font_has_make_a_pdf_all_the_same(database: Database) -> None:
    async with database.transaction(keep=False) as conn:
        family = await family_in(conn)
        await conn.execute(update(Player).values(first_name="\u674e\u5c0f\u9f99 \N{GRINNING FACE}"))
        page = statement_page(family.club, await family.statement(), NOW.date())
    assert (await PdfMaker().statement(page)).startswith(b"%PDF-")
