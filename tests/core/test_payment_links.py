"""Minting, reusing, replacing and closing links, against a Stripe that refuses what the real one refuses."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.engine import URL

from core.backfill import BackfillReport
from core.club import Club, club_by_id
from core.errors import NotFoundError, NotPayableError, StripeRefusedError, StripeUnavailableError
from core.models import Order, Payment, PaymentLink, Player, RetiredLink
from core.payment_links import Obstacle
from core.services import Services, build_services
from sandbox.server import serve
from sandbox.stripe import Fault, StripeStandIn
from tests.books import Books, add, database_settings, made_up_settings, open_books
from tests.core.conftest import Drain

KEY = "sk_test_made_up"


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
    services = build_services(settings, database_url)
    yield services
    await services.close()


@pytest.fixture
async def books(services: Services) -> Books:
    async with services.database.transaction() as conn:
        return await open_books(conn)


@pytest.fixture
async def club(services: Services, books: Books) -> Club:
    async with services.database.transaction() as conn:
        return await club_by_id(conn, books.tenant_id)


async def links_in_database(services: Services) -> list[tuple[str, int, str]]:
    async with services.database.transaction() as conn:
        rows = await conn.execute(
            select(PaymentLink.stripe_payment_link_id, PaymentLink.amount_cents, PaymentLink.status)
        )
        return [tuple(row) for row in rows]  # type: ignore[misc]


async def test_a_link_is_minted_once_and_reused(services: Services, stripe: StripeStandIn, books: Books) -> None:
    first = await services.payment_links.payable_url(books.tenant_id, books.order_id)
    second = await services.payment_links.payable_url(books.tenant_id, books.order_id)
    assert first == second
    assert len(stripe.payment_links) == 1
    link = next(iter(stripe.payment_links.values()))
    ids = {
        "order_id": str(books.order_id),
        "player_id": str(books.player_id),
        "product_id": str(books.product_id),
        "tenant_id": str(books.tenant_id),
    }
    assert link["metadata"] == ids
    assert link["payment_intent_data"]["metadata"] == ids
    assert link["payment_intent_data"]["setup_future_usage"] == "off_session"
    assert await links_in_database(services) == [(link["id"], 15000, "active")]


async def test_ten_clicks_at_once_mint_one_link(services: Services, stripe: StripeStandIn, books: Books) -> None:
    clicks = (services.payment_links.payable_url(books.tenant_id, books.order_id) for _ in range(10))
    assert len(set(await asyncio.gather(*clicks))) == 1
    assert len(stripe.payment_links) == 1


async def test_only_monthly_fees_keep_the_card(services: Services, stripe: StripeStandIn, books: Books) -> None:
    async with services.database.transaction() as conn:
        order_id = await add(
            conn,
            Order,
            tenant_id=books.tenant_id,
            player_id=books.player_id,
            parent_id=books.parent_id,
            description="Jersey",
            amount_cents=6500,
        )
    await services.payment_links.payable_url(books.tenant_id, order_id)
    link = next(iter(stripe.payment_links.values()))
    assert not link["payment_intent_data"].get("setup_future_usage")
    assert "product_id" not in link["metadata"]


async def test_a_new_amount_gets_a_new_link_and_the_old_one_is_closed(
    services: Services, stripe: StripeStandIn, books: Books, drain: Drain
) -> None:
    old = await services.payment_links.payable_url(books.tenant_id, books.order_id)
    async with services.database.transaction() as conn:
        await conn.execute(update(Order).values(amount_cents=12000))
    new = await services.payment_links.payable_url(books.tenant_id, books.order_id)
    assert new != old
    await drain()
    assert sorted(link["active"] for link in stripe.payment_links.values()) == [False, True]
    async with services.database.transaction() as conn:
        assert await conn.scalar(select(RetiredLink.deactivated_at)) is not None
        # Back to the first price: the closed link must not come back by its idempotency key.
        await conn.execute(update(Order).values(amount_cents=15000))
    assert await services.payment_links.payable_url(books.tenant_id, books.order_id) not in {old, new}


async def test_a_part_payment_leaves_a_link_over_the_rest(
    services: Services, stripe: StripeStandIn, books: Books
) -> None:
    await services.payment_links.payable_url(books.tenant_id, books.order_id)
    async with services.database.transaction() as conn:
        await conn.execute(insert(Payment).values(order_id=books.order_id, amount_cents=5000, method="cash"))
    await services.payment_links.payable_url(books.tenant_id, books.order_id)
    assert [amount for _, amount, _ in await links_in_database(services)] == [10000]


@pytest.mark.parametrize(
    ("status", "obstacle"),
    [
        ("paid", Obstacle.PAID),
        ("processing", Obstacle.PROCESSING),
        ("canceled", Obstacle.CANCELED),
        ("refunded", Obstacle.REFUNDED),
        ("partially_refunded", Obstacle.REFUNDED),
        ("disputed", Obstacle.DISPUTED),
    ],
)
async def test_what_is_not_open_is_not_minted(
    services: Services, stripe: StripeStandIn, books: Books, status: str, obstacle: Obstacle
) -> None:
    async with services.database.transaction() as conn:
        await conn.execute(update(Order).values(status=status))
    with pytest.raises(NotPayableError) as error:
        await services.payment_links.payable_url(books.tenant_id, books.order_id)
    assert error.value.reason == obstacle
    assert stripe.payment_links == {}


async def test_an_unsigned_contract_is_an_obstacle(
    services: Services, stripe: StripeStandIn, books: Books
) -> None:
    async with services.database.transaction() as conn:
        await conn.execute(update(Player).values(contract_status="sent"))
    with pytest.raises(NotPayableError) as error:
        await services.payment_links.payable_url(books.tenant_id, books.order_id)
    assert error.value.reason == Obstacle.CONTRACT


async def test_another_clubs_order_is_unknown(services: Services, books: Books) -> None:
    with pytest.raises(NotFoundError):
        await services.payment_links.payable_url(books.tenant_id + 1, books.order_id)


async def test_a_canceled_order_leads_to_the_one_in_its_place(
    services: Services, stripe: StripeStandIn, books: Books
) -> None:
    await services.payment_links.payable_url(books.tenant_id, books.order_id)
    async with services.database.transaction() as conn:
        await conn.execute(update(Order).values(status="canceled"))
        await add(
            conn,
            Order,
            tenant_id=books.tenant_id,
            player_id=books.player_id,
            parent_id=books.parent_id,
            product_id=books.product_id,
            amount_cents=9000,
        )
    url = await services.payment_links.payable_url(books.tenant_id, books.order_id)
    assert [amount for _, amount, _ in await links_in_database(services)] == [9000]
    assert url == next(link["url"] for link in list(stripe.payment_links.values())[1:])


@pytest.mark.parametrize("fault", ["rate_limit", "server_error", "garbage", "drop"])
async def test_passing_faults_are_tried_again(
    services: Services, stripe: StripeStandIn, books: Books, fault: str
) -> None:
    stripe.faults.add(Fault(fault))  # type: ignore[arg-type]
    await services.payment_links.payable_url(books.tenant_id, books.order_id)
    assert len(stripe.payment_links) == 1


async def test_what_stays_away_is_said_so_and_mended_by_doing_it_again(
    services: Services, stripe: StripeStandIn, books: Books
) -> None:
    stripe.faults.add(Fault("server_error", times=50))
    with pytest.raises(StripeUnavailableError, match="try again"):
        await services.payment_links.payable_url(books.tenant_id, books.order_id, patience=0.5)
    stripe.faults.clear()
    await services.payment_links.payable_url(books.tenant_id, books.order_id)
    assert len(await links_in_database(services)) == 1


async def test_a_refusal_is_passed_on_in_stripes_words(
    services: Services, stripe: StripeStandIn, books: Books
) -> None:
    async with services.database.transaction() as conn:
        await conn.execute(update(Order).values(amount_cents=10))
    with pytest.raises(StripeRefusedError, match="Stripe said no"):
        await services.payment_links.payable_url(books.tenant_id, books.order_id)


async def test_closing_expires_the_sessions_that_are_open(
    services: Services, stripe: StripeStandIn, books: Books
) -> None:
    await services.payment_links.payable_url(books.tenant_id, books.order_id)
    link_id = next(iter(stripe.payment_links))
    session_id = await stripe.open_link(link_id)
    await services.payment_links.close_link(link_id)
    await services.payment_links.close_link(link_id)
    assert stripe.payment_links[link_id]["active"] is False
    assert stripe.sessions[session_id]["status"] == "expired"


async def backfill(services: Services, club: Club) -> BackfillReport:
    return await services.backfill.mint(club, await services.backfill.find(club), lambda: None)


async def test_a_backfill_mints_what_is_missing_once(
    services: Services, stripe: StripeStandIn, books: Books, club: Club
) -> None:
    async with services.database.transaction() as conn:
        for number in range(30):
            player_id = await add(
                conn,
                Player,
                tenant_id=books.tenant_id,
                parent_id=books.parent_id,
                first_name=f"P{number}",
                last_name="Reed",
                contract_status="signed" if number else "none",
            )
            await add(
                conn,
                Order,
                tenant_id=books.tenant_id,
                player_id=player_id,
                parent_id=books.parent_id,
                product_id=books.product_id,
                # Stripe refuses less than 50 cents: one player's failure must not stop the others.
                amount_cents=10 if number == 7 else 15000,
            )
    report = await backfill(services, club)
    assert (report.created, len(report.failures)) == (29, 1)
    assert report.failures[0].missing.player_name == "P7 Reed"
    assert len(stripe.payment_links) == 29
    again = await backfill(services, club)
    assert (again.created, len(again.failures)) == (0, 1)
    assert len(stripe.payment_links) == 29
    assert not [request for request in stripe.requests if request.status == 429]
