"""The first month: which it is, made once, replaced when its amount changes, never billed twice."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.engine import URL

from core.audiences import Audience, AudienceQuery
from core.club import Club, club_by_id
from core.errors import NotFoundError, NotPayableError
from core.first_payment import NO_MONTHLY_FEE, TAKEN_OFF, FirstPayments
from core.models import Order, OrderHistory, Parent, Player
from core.models.statuses import EmailType, PaymentMethod
from core.monthly_fees import bill_monthly
from core.payments import Income, cancel_order, lock_order, record_payment, refresh_status
from core.services import Services, build_services
from core.tokens import FirstPaymentToken
from sandbox.server import serve
from sandbox.stripe import StripeStandIn
from tests.books import Books, add, database_settings, made_up_settings, open_books
from tests.statements import counted

KEY = "sk_test_made_up"
# Half past eleven in the evening of the 20th in the club's zone.
NOW = datetime(2026, 12, 21, 4, 30, tzinfo=UTC)


@pytest.fixture
async def stripe() -> AsyncIterator[StripeStandIn]:
    stripe = StripeStandIn(secret_key=KEY, webhook_secret="whsec_made_up", auto_deliver=False)
    async with serve(stripe.app) as base_url:
        stripe.base_url = base_url
        yield stripe
    await stripe.close()


@pytest.fixture
async def services(database_url: URL, stripe: StripeStandIn, tmp_path: Path) -> AsyncIterator[Services]:
    settings = made_up_settings(
        tmp_path, **database_settings(database_url), stripe_secret_key=KEY, stripe_api_base=stripe.base_url
    )
    services = build_services(settings, database_url, clock=lambda: NOW)
    yield services
    await services.close()


@pytest.fixture
async def books(services: Services) -> Books:
    """Jaxon signed on Dec 16 for $150 a month, and nothing was billed yet."""
    async with services.database.transaction() as conn:
        books = await open_books(conn)
        await conn.execute(text("delete from orders"))
        await conn.execute(update(Player).values(contract_date=date(2026, 12, 16)))
    return books


@pytest.fixture
async def club(services: Services, books: Books) -> Club:
    async with services.database.transaction() as conn:
        return await club_by_id(conn, books.tenant_id)


def token(books: Books, payer_id: int | None = None) -> FirstPaymentToken:
    return FirstPaymentToken(books.tenant_id, books.player_id, payer_id or books.parent_id, may_prorate=True)


async def click(services: Services, books: Books, *, prorate: bool = True, payer_id: int | None = None) -> str:
    return await services.first_payments.payable_url(token(books, payer_id), prorate=prorate)


async def orders(services: Services) -> list[tuple[str, int, str]]:
    async with services.database.transaction() as conn:
        rows = await conn.execute(select(Order.description, Order.amount_cents, Order.status).order_by(Order.id))
        return [tuple(row) for row in rows]  # type: ignore[misc]


async def change(services: Services, **values: object) -> None:
    async with services.database.transaction() as conn:
        await conn.execute(update(Player).values(**values))


async def pay(services: Services, order_id: int, cents: int) -> None:
    async with services.database.transaction() as conn:
        order = await lock_order(conn, order_id)
        assert order is not None
        await record_payment(conn, order, Income(cents, PaymentMethod.CASH, NOW))
        await refresh_status(conn, order, "cash")


async def only_order(services: Services) -> int:
    async with services.database.transaction() as conn:
        return int(await conn.scalar(select(Order.id).where(Order.status == "pending")) or 0)


def amounts(stripe: StripeStandIn) -> list[int]:
    return [request.params["line_items"][0]["price_data"]["unit_amount"] for request in stripe.requests]


PRORATED = ("Monthly fee, Dec 2026 (Dec 16 to Dec 31: 16 of 31 days of $150.00)", 7742, "pending")
FLAT = ("Monthly fee, Dec 2026", 15000, "pending")


async def test_a_click_makes_the_order_by_days_and_reuses_it(
    services: Services, books: Books, stripe: StripeStandIn
) -> None:
    first = await click(services, books)
    assert await click(services, books) == first
    assert await orders(services) == [PRORATED]
    assert amounts(stripe) == [7742]
    async with services.database.transaction() as conn:
        assert await conn.scalar(select(Order.due_date)) == date(2026, 12, 20)


async def test_the_flat_fee_when_it_is_asked_for(services: Services, books: Books, stripe: StripeStandIn) -> None:
    await click(services, books, prorate=False)
    assert await orders(services) == [FLAT]
    # The club chose the whole month: the address can't be rewritten to less.
    flat = replace(token(books), may_prorate=False)
    await services.first_payments.payable_url(flat, prorate=True)
    assert await orders(services) == [FLAT]
    assert amounts(stripe) == [15000]


async def test_another_amount_cancels_the_order_and_mints_anew(
    services: Services, books: Books, stripe: StripeStandIn
) -> None:
    prorated = await click(services, books)
    flat = await click(services, books, prorate=False)
    await change(services, monthly_fee_cents=12000)
    cheaper = await click(services, books)
    assert len({prorated, flat, cheaper}) == 3
    assert [(cents, status) for _, cents, status in await orders(services)] == [
        (7742, "canceled"),
        (15000, "canceled"),
        (6194, "pending"),
    ]
    assert amounts(stripe) == [7742, 15000, 6194]
    async with services.database.transaction() as conn:
        closing = await conn.scalars(text("select args->>'stripe_payment_link_id' from procrastinate_jobs"))
        assert sorted(closing) == sorted(list(stripe.payment_links)[:2])
        reasons = await conn.scalars(select(OrderHistory.reason))
        assert all("amount changed" in reason for reason in reasons)


async def test_there_and_back_again_never_revives_a_closed_link(services: Services, books: Books) -> None:
    urls = [await click(services, books, prorate=prorate) for prorate in (True, False, True, False)]
    assert len(set(urls)) == 4


async def test_a_changed_contract_date_changes_the_amount(services: Services, books: Books) -> None:
    await click(services, books)
    await change(services, contract_date=date(2026, 12, 1))
    await click(services, books)
    assert (await orders(services))[-1] == FLAT


async def test_ten_clicks_at_once_make_one_order_and_one_link(
    services: Services, books: Books, stripe: StripeStandIn
) -> None:
    assert len(set(await asyncio.gather(*(click(services, books) for _ in range(10))))) == 1
    assert await orders(services) == [PRORATED]
    assert len(stripe.payment_links) == 1


async def test_clicks_on_both_kinds_of_mail_at_once_leave_one_debt(
    services: Services, books: Books, stripe: StripeStandIn
) -> None:
    await asyncio.gather(
        *(click(services, books, prorate=bool(number % 2)) for number in range(6)), return_exceptions=True
    )
    assert [status for _, _, status in await orders(services)].count("pending") == 1


async def test_without_a_date_it_is_the_current_month_in_the_clubs_zone(services: Services, books: Books) -> None:
    # It is the year's last evening there, and the new year in UTC.
    new_year = at(services, datetime(2027, 1, 1, 4, 30, tzinfo=UTC))
    await change(services, contract_date=None)
    await new_year.payable_url(token(books), prorate=True)
    assert await orders(services) == [FLAT]
    # In the new year the first month is still the one that was billed.
    later = at(services, datetime(2027, 1, 20, tzinfo=UTC))
    await later.payable_url(token(books), prorate=True)
    assert await orders(services) == [FLAT]


def at(services: Services, now: datetime) -> FirstPayments:
    return FirstPayments(services.database, services.payment_links, lambda: now)


async def test_the_contract_is_looked_at_on_every_click(
    services: Services, books: Books, stripe: StripeStandIn
) -> None:
    await click(services, books)
    await change(services, contract_status="sent")
    for look in (click(services, books), services.first_payments.check_payable(token(books))):
        with pytest.raises(NotPayableError) as refused:
            await look
        assert refused.value.reason == "contract"


async def test_paid_is_paid_whatever_changes_afterwards(
    services: Services, books: Books, stripe: StripeStandIn
) -> None:
    await click(services, books)
    await pay(services, await only_order(services), 7742)
    await change(services, monthly_fee_cents=20000, contract_date=date(2027, 1, 5))
    for prorate in (True, False):
        with pytest.raises(NotPayableError) as refused:
            await click(services, books, prorate=prorate)
        assert refused.value.reason == "paid"
    with pytest.raises(NotPayableError):
        await services.first_payments.check_payable(token(books))
    assert len(await orders(services)) == 1


async def test_a_bank_payment_on_its_way_is_left_alone(services: Services, books: Books) -> None:
    await click(services, books)
    async with services.database.transaction() as conn:
        await conn.execute(update(Order).values(status="processing"))
    await change(services, monthly_fee_cents=20000)
    with pytest.raises(NotPayableError) as refused:
        await click(services, books)
    assert refused.value.reason == "processing"


async def test_what_is_part_paid_asks_for_the_rest(
    services: Services, books: Books, stripe: StripeStandIn
) -> None:
    await click(services, books)
    await pay(services, await only_order(services), 3000)
    await change(services, monthly_fee_cents=20000)
    await click(services, books, prorate=False)
    assert [cents for _, cents, _ in await orders(services)] == [7742]
    assert amounts(stripe)[-1] == 4742


async def test_an_amount_that_somebody_set_by_hand_stays(services: Services, books: Books) -> None:
    await click(services, books)
    async with services.database.transaction() as conn:
        await conn.execute(update(Order).values(amount_cents=5000, custom_data={"reason": "scholarship"}))
    await click(services, books, prorate=False)
    assert [cents for _, cents, _ in await orders(services)] == [5000]


async def test_what_the_club_took_off_the_list_does_not_come_back(
    services: Services, club: Club, books: Books
) -> None:
    await click(services, books)
    async with services.database.transaction() as conn:
        order = await lock_order(conn, await only_order(services))
        assert order is not None
        await cancel_order(conn, order, "taken off")
    for look in (click(services, books), services.first_payments.check_payable(token(books))):
        with pytest.raises(NotPayableError) as refused:
            await look
        assert refused.value.reason == "canceled"
    assert (await preview(services, club)).skipped[0].reason == TAKEN_OFF


async def test_a_fee_that_became_nothing_leaves_nothing_to_pay(services: Services, books: Books) -> None:
    await click(services, books)
    await change(services, monthly_fee_cents=0)
    with pytest.raises(NotPayableError) as refused:
        await click(services, books)
    assert refused.value.reason == "canceled"
    assert [status for _, _, status in await orders(services)] == ["canceled"]


async def test_strangers_are_unknown(services: Services, books: Books) -> None:
    async with services.database.transaction() as conn:
        other = await open_books(conn, "Hill Town SC", "sam@example.com")
    for wrong in (
        replace(token(books), tenant_id=other.tenant_id),
        replace(token(books), tenant_id=999),
        replace(token(books), player_id=999),
    ):
        for look in (
            services.first_payments.payable_url(wrong, prorate=True),
            services.first_payments.check_payable(wrong),
        ):
            with pytest.raises(NotFoundError):
                await look


async def test_monthly_billing_and_the_first_payment_bill_a_month_once(
    services: Services, club: Club, books: Books
) -> None:
    await click(services, books)
    async with services.database.transaction() as conn:
        after = await bill_monthly(conn, club, "2026-12")
    assert (after.charges, after.already_billed) == ((), 1)
    await click(services, books)
    assert await orders(services) == [PRORATED]


async def test_a_month_that_was_billed_first_is_what_the_click_pays(
    services: Services, club: Club, books: Books
) -> None:
    async with services.database.transaction() as conn:
        await bill_monthly(conn, club, "2026-12")
    await click(services, books)
    assert await orders(services) == [PRORATED]


async def test_billing_and_clicking_at_the_same_moment_bill_once(
    services: Services, club: Club, books: Books
) -> None:
    """The tiers differ, so no unique order of a player and product stands in the way: the lock has to."""

    async def monthly() -> None:
        async with services.database.transaction() as conn:
            await bill_monthly(conn, club, "2026-12", prorate=False)

    async def raised() -> None:
        await change(services, monthly_fee_cents=16000)

    for _ in range(5):
        async with services.database.transaction() as conn:
            await conn.execute(text("truncate orders, payment_links, order_history, retired_links cascade"))
        await change(services, monthly_fee_cents=15000)
        done = await asyncio.gather(
            click(services, books), monthly(), raised(), click(services, books), monthly(), return_exceptions=True
        )
        assert [each for each in done if isinstance(each, Exception)] == []
        live = [status for _, _, status in await orders(services) if status != "canceled"]
        assert live == ["pending"]


async def share(services: Services, books: Books, percent: int | None = 40) -> int:
    async with services.database.transaction() as conn:
        other = await conn.scalar(select(Parent.id).where(Parent.email == "lee@example.com"))
        other = other or await add(
            conn, Parent, tenant_id=books.tenant_id, first_name="Lee", last_name="Reed", email="lee@example.com"
        )
        await conn.execute(update(Player).values(second_parent_id=other, second_share_percent=percent))
    return int(other)


async def test_two_guardians_pay_their_own_parts(services: Services, books: Books, stripe: StripeStandIn) -> None:
    other = await share(services, books)
    urls = {await click(services, books), await click(services, books, payer_id=other)}
    assert len(urls) == 2
    assert amounts(stripe) == [4645, 3097]
    with pytest.raises(NotFoundError):
        await click(services, books, payer_id=999)
    async with services.database.transaction() as conn:
        mine = await conn.scalar(select(Order.id).where(Order.parent_id == books.parent_id))
    await pay(services, int(mine or 0), 4645)
    with pytest.raises(NotPayableError):
        await click(services, books)
    # The other part is still theirs to pay, over the same amount whatever the fee is now.
    await change(services, monthly_fee_cents=30000)
    assert await click(services, books, payer_id=other) in urls


async def test_a_new_share_replaces_the_whole_and_back(services: Services, books: Books) -> None:
    await click(services, books)
    other = await share(services, books)
    await click(services, books, payer_id=other)
    assert [cents for _, cents, status in await orders(services) if status == "pending"] == [4645, 3097]
    await share(services, books, percent=None)
    await click(services, books)
    assert [cents for _, cents, status in await orders(services) if status == "pending"] == [7742]


async def preview(services: Services, club: Club, **narrowed: object) -> Audience:
    return await services.blasts.preview(club, AudienceQuery(EmailType.FIRST_PAYMENT, **narrowed))  # type: ignore[arg-type]


async def newcomer(services: Services, books: Books, name: str, email: str | None, **given: object) -> int:
    async with services.database.transaction() as conn:
        parent_id = await add(
            conn, Parent, tenant_id=books.tenant_id, first_name="Kim", last_name=name, email=email
        )
        values = {
            "contract_status": "signed",
            "monthly_fee_cents": 10000,
            "contract_date": date(2026, 12, 1),
            "first_name": "Max",
        }
        await add(conn, Player, tenant_id=books.tenant_id, parent_id=parent_id, last_name=name, **(values | given))
    return parent_id


async def test_the_audience_is_who_signed_and_has_not_paid(services: Services, club: Club, books: Books) -> None:
    january = await newcomer(services, books, "Jan", "jan@example.com", contract_date=date(2027, 1, 4))
    await newcomer(services, books, "Unsigned", "un@example.com", contract_status="sent")
    await newcomer(services, books, "Free", "free@example.com", monthly_fee_cents=0)
    unset = await newcomer(services, books, "Unset", "unset@example.com", monthly_fee_cents=None)
    no_address = await newcomer(services, books, "Lost", None)
    paid = await newcomer(services, books, "Paid", "paid@example.com")
    async with services.database.transaction() as conn:
        await bill_monthly(conn, club, "2026-12")
        await conn.execute(update(Order).where(Order.parent_id == paid).values(status="paid"))
    seen = await preview(services, club)
    assert {r.parent_id: r.total_cents for r in seen.recipients} == {
        books.parent_id: 7742,
        january: 13548 * 2 // 3,
    }
    assert [(s.parent_id, s.words) for s in seen.skipped] == [
        (unset, f"Max Unset: {NO_MONTHLY_FEE}"),
        (no_address, "no e-mail address"),
    ]
    # Looking at it made nothing: January was not billed.
    assert len(await orders(services)) == 3


async def test_a_later_month_is_no_first_payment(services: Services, club: Club, books: Books) -> None:
    async with services.database.transaction() as conn:
        for period in ("2026-12", "2027-01"):
            await bill_monthly(conn, club, period)
    seen = await preview(services, club)
    assert seen.total_cents == 7742
    async with services.database.transaction() as conn:
        await conn.execute(update(Order).where(Order.amount_cents == 7742).values(status="paid"))
    assert (await preview(services, club)).recipients == []


async def test_the_blast_charges_flat_when_it_is_told_to(services: Services, club: Club, books: Books) -> None:
    await click(services, books)
    seen = await preview(services, club, skip_proration=True)
    assert seen.total_cents == 15000
    assert await orders(services) == [PRORATED]
    query = AudienceQuery(EmailType.FIRST_PAYMENT, skip_proration=True)
    await services.blasts.draft(club, query, note="", requested_by="U1")
    assert [(cents, status) for _, cents, status in await orders(services)] == [
        (7742, "canceled"),
        (15000, "pending"),
    ]


async def test_a_test_mail_touches_that_family_only(services: Services, club: Club, books: Books) -> None:
    kim = await newcomer(services, books, "Moss", "kim@example.com")
    seen = await preview(services, club, email="KIM@example.com")
    assert [r.parent_id for r in seen.recipients] == [kim]
    query = AudienceQuery(EmailType.FIRST_PAYMENT, email="kim@example.com")
    await services.blasts.draft(club, query, note="", requested_by="U1")
    assert [cents for _, cents, _ in await orders(services)] == [10000]


async def test_a_guardian_whose_part_is_paid_is_not_asked_again(
    services: Services, club: Club, books: Books
) -> None:
    other = await share(services, books)
    await click(services, books)
    async with services.database.transaction() as conn:
        await conn.execute(update(Order).where(Order.parent_id == books.parent_id).values(status="paid"))
    seen = await preview(services, club)
    assert {r.parent_id: r.total_cents for r in seen.recipients} == {other: 3097}


async def test_a_blast_and_clicks_at_the_same_moment_bill_once(
    services: Services, club: Club, books: Books
) -> None:
    query = AudienceQuery(EmailType.FIRST_PAYMENT)
    await asyncio.gather(
        services.blasts.draft(club, query, note="", requested_by="U1"),
        click(services, books),
        services.blasts.draft(club, query, note="", requested_by="U2"),
    )
    assert await orders(services) == [PRORATED]


async def test_a_big_club_costs_the_same_statements(services: Services, club: Club, books: Books) -> None:
    costs = []
    for players in (3, 300):
        async with services.database.transaction(keep=False) as conn:
            await conn.execute(
                insert(Player),
                [
                    {
                        "tenant_id": club.id,
                        "parent_id": books.parent_id,
                        "first_name": f"P{number}",
                        "last_name": "Many",
                        "contract_status": "signed",
                        "monthly_fee_cents": 15000,
                        "contract_date": date(2026, 12, 1 + number % 28),
                    }
                    for number in range(players)
                ],
            )
            with counted(services.database) as statements:
                await services.first_payments.prepare(conn, club, AudienceQuery(EmailType.FIRST_PAYMENT))
            assert await conn.scalar(select(func.count()).select_from(Order)) == players + 1
            costs.append(len(statements))
    # Four for each player that has to be replaced would show here.
    assert costs[0] == costs[1] <= 10
