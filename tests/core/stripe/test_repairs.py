"""Addresses that orders lack, a tournament's links made anew, and links for what came without a product."""

from datetime import date

import pytest
from sqlalchemy import insert, select, update

from core.errors import NotFoundError
from core.models import Order, PaymentLink, Player, Product, Team, Tournament, TournamentProduct
from core.models.statuses import Category
from core.regenerate import Action, Verdict
from core.repairs import Outcome, UrlResult
from sandbox.stripe import Fault
from tests.books import add
from tests.core.stripe.conftest import Desk
from tests.core.stripe.test_reconcile_events import stray_link
from tests.sandbox.stripe_kit import link_parameters


async def session(desk: Desk, **metadata: str) -> str:
    """Open a Checkout Session as an earlier program of the club did."""
    gateway = desk.services.gateway
    assert gateway is not None
    items = link_parameters()["line_items"]
    made = await gateway._client.v1.checkout.sessions.create_async(
        {
            "mode": "payment",
            "line_items": items,
            "metadata": metadata,
            "success_url": "https://club.example.com/thanks",
        }
    )
    return str(made.id)


async def give(desk: Desk, order_id: int, **values: object) -> None:
    async with desk.services.database.transaction() as conn:
        await conn.execute(update(Order).where(Order.id == order_id).values(**values))


async def url_of(desk: Desk, order_id: int) -> str | None:
    async with desk.services.database.transaction() as conn:
        return await conn.scalar(select(Order.stripe_checkout_url).where(Order.id == order_id))


async def backfill_urls(desk: Desk, *, keep: bool) -> list[UrlResult]:
    urls = desk.services.checkout_urls
    waiting, _ = await urls.find(desk.club)
    return await urls.backfill(desk.club, waiting, lambda: None, keep=keep)


async def test_an_address_that_can_still_be_had_is_stored_once_it_is_asked_for(desk: Desk) -> None:
    order_id, session_id = desk.books.order_id, await session(desk)
    await give(desk, order_id, stripe_checkout_session_id=session_id)
    (rehearsed,) = await backfill_urls(desk, keep=False)
    assert rehearsed.outcome is Outcome.STORED
    assert await url_of(desk, order_id) is None
    await backfill_urls(desk, keep=True)
    assert await url_of(desk, order_id) == desk.stripe.sessions[session_id]["url"]
    assert await backfill_urls(desk, keep=True) == []


async def test_each_address_that_can_not_be_had_says_why(desk: Desk) -> None:
    expired, paid, unsettled, unknown = [await desk.order() for _ in range(4)]
    sessions = {order_id: await session(desk) for order_id in (expired, paid, unsettled)}
    await desk.stripe.expire(sessions[expired])
    await desk.stripe.pay(sessions[paid])
    await desk.stripe.pay(sessions[unsettled], "bank_debit")
    for order_id in (expired, paid, unsettled, unknown):
        await give(desk, order_id, stripe_checkout_session_id=sessions.get(order_id, "cs_test_elsewhere"))
    results = {each.order.order_id: each for each in await backfill_urls(desk, keep=True)}
    assert {each.outcome for each in results.values()} == {Outcome.LOST}
    for order_id, words in (
        (expired, "expired"),
        (paid, "completed and paid"),
        (unsettled, "bank payment"),
        (unknown, "doesn't know"),
    ):
        assert words in results[order_id].reason


async def test_settled_orders_are_not_asked_about_and_one_failure_stops_nobody(desk: Desk) -> None:
    orders = [await desk.order() for _ in range(3)]
    for order_id in orders:
        await give(desk, order_id, stripe_checkout_session_id=await session(desk))
    await give(desk, orders[0], status="paid")
    waiting, settled = await desk.services.checkout_urls.find(desk.club)
    assert ([each.order_id for each in waiting], settled) == (orders[1:], 1)
    desk.stripe.faults.add(Fault("server_error", path=waiting[0].session_id, times=5))
    outcomes = [each.outcome for each in await backfill_urls(desk, keep=True)]
    assert outcomes == [Outcome.FAILED, Outcome.STORED]
    desk.stripe.faults.clear()
    await backfill_urls(desk, keep=True)
    assert None not in [await url_of(desk, order_id) for order_id in orders[1:]]


async def tournament(desk: Desk, *order_ids: int) -> int:
    """Make a tournament of these orders' products; gives its id."""
    async with desk.services.database.transaction() as conn:
        tournament_id = await add(
            conn, Tournament, tenant_id=desk.books.tenant_id, name="Harvest Cup", starts_on=date(2026, 12, 12)
        )
        for place, order_id in enumerate(order_ids):
            team_id = await add(conn, Team, tenant_id=desk.books.tenant_id, name=f"Team {place}")
            product_id = await conn.scalar(select(Order.product_id).where(Order.id == order_id))
            entered = {"tournament_id": tournament_id, "team_id": team_id, "product_id": product_id}
            await conn.execute(insert(TournamentProduct).values(tenant_id=desk.books.tenant_id, **entered))
    return tournament_id


async def regenerate(
    desk: Desk, tournament_id: int, *products: int, force: bool = False, commit: bool = True
) -> dict[int, Verdict]:
    links = desk.services.tournament_links
    orders = await links.find(desk.club, tournament_id, products)
    verdicts = await links.inspect(orders, lambda: None, force=force)
    if commit:
        verdicts = await links.apply(desk.club, verdicts, lambda: None)
    return {verdict.order.order_id: verdict for verdict in verdicts}


async def link_row(desk: Desk, order_id: int, link_id: str) -> None:
    """Keep a link of an earlier program as this order's."""
    async with desk.services.database.transaction() as conn:
        order = (await conn.execute(select(Order.player_id, Order.product_id).where(Order.id == order_id))).one()
        await add(
            conn,
            PaymentLink,
            tenant_id=desk.books.tenant_id,
            player_id=order.player_id,
            parent_id=desk.books.parent_id,
            product_id=order.product_id,
            amount_cents=15000,
            stripe_payment_link_id=link_id,
            stripe_payment_link_url=desk.stripe.payment_links[link_id]["url"],
        )


async def test_what_names_no_order_is_replaced_and_what_does_is_left(desk: Desk) -> None:
    by_session, by_link, right, none_yet = [await desk.order(category=Category.TOURNAMENT) for _ in range(4)]
    session_id, link_id = await session(desk), await stray_link(desk)
    await give(desk, by_session, stripe_checkout_session_id=session_id)
    await link_row(desk, by_link, link_id)
    kept = await desk.mint(right)
    cup = await tournament(desk, by_session, by_link, right, none_yet)

    rehearsed = await regenerate(desk, cup, commit=False)
    assert {order_id: verdict.action for order_id, verdict in rehearsed.items()} == {
        by_session: Action.REGENERATE,
        by_link: Action.REGENERATE,
        right: Action.STORE_URL,
        none_yet: Action.REGENERATE,
    }
    assert desk.stripe.sessions[session_id]["status"] == "open"

    await regenerate(desk, cup)
    assert desk.stripe.sessions[session_id]["status"] == "expired"
    assert desk.stripe.payment_links[link_id]["active"] is False
    active = {
        link["metadata"].get("order_id"): link for link in desk.stripe.payment_links.values() if link["active"]
    }
    assert set(active) == {str(order_id) for order_id in (by_session, by_link, right, none_yet)}
    assert active[str(right)]["id"] == kept
    for order_id in (by_session, by_link, right, none_yet):
        assert await url_of(desk, order_id) == active[str(order_id)]["url"]

    again = await regenerate(desk, cup)
    assert {verdict.action for verdict in again.values()} == {Action.NOTHING}
    forced = await regenerate(desk, cup, force=True)
    assert {verdict.action for verdict in forced.values()} == {Action.REGENERATE}
    assert sum(link["active"] for link in desk.stripe.payment_links.values()) == 4


async def test_only_the_named_products_are_replaced(desk: Desk) -> None:
    first, second = [await desk.order(category=Category.TOURNAMENT) for _ in range(2)]
    cup = await tournament(desk, first, second)
    async with desk.services.database.transaction() as conn:
        product_id = await conn.scalar(select(Order.product_id).where(Order.id == second))
    assert list(await regenerate(desk, cup, int(product_id or 0))) == [second]
    with pytest.raises(NotFoundError):
        await desk.services.tournament_links.find(desk.club, cup + 1)


@pytest.mark.parametrize("method", ["card", "bank_debit"])
async def test_money_that_is_there_or_on_its_way_is_never_asked_for_again(desk: Desk, method: str) -> None:
    order_id = await desk.order(category=Category.TOURNAMENT)
    session_id = await session(desk)
    await give(desk, order_id, stripe_checkout_session_id=session_id)
    await desk.stripe.pay(session_id, method)  # type: ignore[arg-type]
    verdicts = await regenerate(desk, await tournament(desk, order_id), force=True)
    assert verdicts[order_id].action is Action.HANDS_OFF
    assert desk.stripe.payment_links == {}


async def test_a_page_that_is_completed_meanwhile_is_not_replaced(desk: Desk) -> None:
    order_id = await desk.order(category=Category.TOURNAMENT)
    session_id = await session(desk)
    await give(desk, order_id, stripe_checkout_session_id=session_id)
    links, cup = desk.services.tournament_links, await tournament(desk, order_id)
    verdicts = await links.inspect(await links.find(desk.club, cup), lambda: None, force=False)
    await desk.stripe.pay(session_id)
    (result,) = await links.apply(desk.club, verdicts, lambda: None)
    assert (result.action, desk.stripe.payment_links) == (Action.FAILED, {})
    assert "completed at Stripe" in result.reason


async def test_a_link_that_could_not_be_replaced_is_left_open(desk: Desk) -> None:
    order_id = await desk.order(category=Category.TOURNAMENT)
    link_id = await stray_link(desk)
    await link_row(desk, order_id, link_id)
    async with desk.services.database.transaction() as conn:
        await conn.execute(update(Player).values(contract_status="sent"))
    verdicts = await regenerate(desk, await tournament(desk, order_id))
    assert verdicts[order_id].action is Action.FAILED
    assert desk.stripe.payment_links[link_id]["active"] is True


async def test_stopped_half_way_the_next_run_goes_on(desk: Desk) -> None:
    order_id = await desk.order(category=Category.TOURNAMENT)
    link_id = await stray_link(desk)
    await link_row(desk, order_id, link_id)
    cup = await tournament(desk, order_id)
    # As if the process had died between closing the old link and minting the new one.
    async with desk.services.database.transaction() as conn:
        await desk.services.payment_links.retire(conn, desk.books.tenant_id, order_id, "regenerated", only=link_id)
    verdicts = await regenerate(desk, cup)
    assert verdicts[order_id].action is Action.REGENERATE
    assert await url_of(desk, order_id) is not None
    assert (await desk.link_status(order_id))[0] == "active"


async def test_orders_without_a_product_get_a_link_each(desk: Desk) -> None:
    async with desk.services.database.transaction() as conn:
        await add(
            conn, Product, tenant_id=desk.books.tenant_id, category="jersey", name="Jersey", price_cents=15000
        )
    orders = [
        await desk.order(product=False, description="Jersey", custom_data={"product": "Jersey"}) for _ in range(2)
    ]
    backfill = desk.services.backfill
    missing = await backfill.find(desk.club)
    assert {each.order_id for each in missing} == {desk.books.order_id, *orders}
    for created in (3, 0):
        report = await backfill.mint(desk.club, await backfill.find(desk.club), lambda: None)
        assert (report.created, report.failures) == (created, ())
    for order_id in orders:
        assert (await desk.link_status(order_id))[0] == "active"
    async with desk.services.database.transaction() as conn:
        products = await conn.scalars(select(Order.product_id).where(Order.id.in_(orders)))
    assert list(products) == [None, None]


async def test_imported_links_get_the_order_that_they_fit(desk: Desk) -> None:
    fits, differs = await desk.order(), await desk.order(amount_cents=9000)
    for order_id in (fits, differs):
        await link_row(desk, order_id, await stray_link(desk))
    backfill = desk.services.backfill
    assert await backfill.adopt(desk.club, keep=False) == 1
    assert await backfill.adopt(desk.club, keep=True) == 1
    assert await backfill.adopt(desk.club, keep=True) == 0
    async with desk.services.database.transaction() as conn:
        adopted = list(await conn.scalars(select(PaymentLink.order_id).order_by(PaymentLink.id)))
    assert adopted == [fits, None]
