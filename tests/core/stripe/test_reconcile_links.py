"""Our links beside Stripe's: open without a debt, over another amount, in another state, missing."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, insert, select, update

from core.models import Order, PaymentLink, Player, ReconcileFinding, ReconcileRun, RetiredLink
from core.models.statuses import Category, LinkStatus, OrderStatus
from core.payment_links import PaymentLinks
from core.reconcile_findings import FindingKind, in_words
from core.reconcile_links import KnownLink, judge
from core.stripe_gateway import LinkRequest, StripeGateway, StripeLink
from core.stripe_reading import LinkAtStripe
from tests.books import add
from tests.core.stripe.conftest import Desk
from tests.core.stripe.test_reconcile_events import stray_link
from tests.statements import counted


async def settle(desk: Desk, order_id: int | None = None, status: str = "paid") -> None:
    """Bring an order to a status behind everybody's back."""
    async with desk.services.database.transaction() as conn:
        await conn.execute(
            update(Order).where(Order.id == (order_id or desk.books.order_id)).values(status=status)
        )


async def test_a_link_that_is_open_without_a_debt_is_closed(desk: Desk) -> None:
    link_id = await desk.mint()
    await settle(desk)
    assert await desk.kinds() == ["link_without_debt"]
    assert (await desk.repair()).repaired == 1
    assert desk.stripe.payment_links[link_id]["active"] is False
    assert (await desk.link_status())[0] == "paid"
    assert await desk.kinds() == []


async def test_the_link_of_a_canceled_order_is_closed_whatever_its_kind(desk: Desk) -> None:
    order_id = await desk.order(category=Category.JERSEY)
    link_id = await desk.mint(order_id)
    await settle(desk, order_id, "canceled")
    assert await desk.kinds() == ["link_without_debt"]
    await desk.repair()
    assert desk.stripe.payment_links[link_id]["active"] is False
    assert await desk.kinds() == []


@pytest.mark.parametrize("category", [Category.JERSEY, Category.TRYOUT, Category.GENERIC])
async def test_links_that_stay_open_on_purpose_are_no_difference(desk: Desk, category: Category) -> None:
    order_id = await desk.order(category=category)
    await desk.mint(order_id)
    await settle(desk, order_id)
    assert await desk.kinds() == []


async def test_a_link_over_another_amount_is_replaced(desk: Desk) -> None:
    old = await desk.mint()
    async with desk.services.database.transaction() as conn:
        await conn.execute(update(Order).values(amount_cents=9000))
    (difference,) = (await desk.compare()).differences
    assert difference.kind is FindingKind.LINK_AMOUNT_DIFFERS
    assert in_words(difference.kind, difference.facts) == (
        "Jaxon Reed: Monthly fee, Dec 2026: the payment link asks for $150.00, but $90.00 is owed."
    )
    await desk.repair()
    status, new = await desk.link_status()
    assert status == "active"
    assert new not in {None, old}
    assert desk.stripe.payment_links[old]["active"] is False
    assert await desk.kinds() == []


async def test_a_link_over_another_amount_of_an_unsigned_player_is_only_closed(desk: Desk) -> None:
    old = await desk.mint()
    async with desk.services.database.transaction() as conn:
        await conn.execute(update(Order).values(amount_cents=9000))
        await conn.execute(update(Player).values(contract_status="sent"))
    report = await desk.repair()
    assert (report.repaired, report.failures) == (1, ())
    assert desk.stripe.payment_links[old]["active"] is False


async def test_a_link_that_stripe_has_closed_gets_a_successor(desk: Desk) -> None:
    old = await desk.mint()
    await desk.stripe.deactivate(old)
    assert await desk.kinds() == ["link_state_differs"]
    await desk.repair()
    status, new = await desk.link_status()
    assert (status, new != old) == ("active", True)
    assert desk.stripe.payment_links[str(new)]["active"] is True
    assert await desk.kinds() == []


async def test_a_link_that_stripe_does_not_know_gets_a_successor(desk: Desk) -> None:
    await desk.mint()
    async with desk.services.database.transaction() as conn:
        await conn.execute(update(PaymentLink).values(stripe_payment_link_id="plink_test_elsewhere"))
    kinds = await desk.kinds()
    # The link that Stripe has is one that we don't know any more.
    assert kinds == ["link_state_differs", "link_state_differs"]
    await desk.repair()
    assert await desk.kinds() == []
    assert [link["active"] for link in desk.stripe.payment_links.values()] == [False, True]


async def test_a_link_that_is_closed_here_only_is_closed(desk: Desk) -> None:
    link_id = await desk.mint()
    async with desk.services.database.transaction() as conn:
        await conn.execute(update(PaymentLink).values(status="paid"))
    await settle(desk)
    assert await desk.kinds() == ["link_state_differs"]
    await desk.repair()
    assert desk.stripe.payment_links[link_id]["active"] is False


async def test_a_link_whose_closing_is_on_its_way_is_no_difference(desk: Desk) -> None:
    await desk.mint()
    async with desk.services.database.transaction() as conn:
        await desk.services.payment_links.retire(conn, desk.books.tenant_id, desk.books.order_id, "repriced")
    assert await desk.kinds() == ["debt_without_link"]


async def test_a_debt_whose_link_is_gone_gets_one_and_one_that_never_had_any_is_a_note(desk: Desk) -> None:
    await desk.order()
    link_id = await desk.mint()
    async with desk.services.database.transaction() as conn:
        await desk.services.payment_links.retire(conn, desk.books.tenant_id, desk.books.order_id, "undone")
    await desk.services.payment_links.close_link(link_id)
    comparison = await desk.compare()
    assert [each.kind for each in comparison.differences] == ["debt_without_link"]
    assert comparison.looked_at["never_minted"] == 1
    await desk.repair()
    assert (await desk.link_status())[0] == "active"
    assert await desk.kinds() == []


def ours(desk: Desk, **more: str) -> dict[str, str]:
    ids = {"tenant_id": desk.books.tenant_id, "order_id": desk.books.order_id, "player_id": desk.books.player_id}
    return {name: str(value) for name, value in ids.items()} | more


async def test_a_link_that_was_minted_and_never_stored_is_closed_and_not_minted_again(desk: Desk) -> None:
    link_id = await stray_link(desk, **ours(desk))
    assert await desk.kinds() == ["link_state_differs"]
    await desk.repair()
    assert desk.stripe.payment_links[link_id]["active"] is False
    assert await desk.mint() != link_id
    assert await desk.kinds() == []


@pytest.mark.parametrize("more", [{"tenant_id": "4711"}, {"player_id": "4711"}, {"order_id": "4711"}])
async def test_links_of_other_programs_are_never_touched(desk: Desk, more: dict[str, str]) -> None:
    links = [await stray_link(desk), await stray_link(desk, **ours(desk, **more))]
    assert await desk.kinds() == []
    await desk.repair()
    assert [desk.stripe.payment_links[link_id]["active"] for link_id in links] == [True, True]


class InterruptedGateway(StripeGateway):
    """Lets something happen between Stripe's first answer and our row."""

    def __init__(self, inner: StripeGateway, meanwhile: Callable[[], Awaitable[object]]) -> None:
        self._inner = inner
        self._waiting = [meanwhile]

    async def create_payment_link(
        self, request: LinkRequest, idempotency_key: str, *, patience: float = 60.0
    ) -> StripeLink:
        link = await self._inner.create_payment_link(request, idempotency_key, patience=patience)
        if self._waiting:
            await self._waiting.pop()()
        return link


async def test_a_link_taken_for_a_stray_while_it_is_minted_is_not_stored(desk: Desk) -> None:
    services = desk.services
    assert services.gateway is not None
    gateway = InterruptedGateway(services.gateway, desk.repair)
    links = PaymentLinks(services.database, gateway, services.jobs, services.clock)
    url = await links.payable_url(desk.books.tenant_id, desk.books.order_id)
    closed, stored = desk.stripe.payment_links.values()
    assert (closed["active"], stored["active"], stored["url"]) == (False, True, url)
    assert await desk.link_status() == ("active", stored["id"])
    assert await desk.kinds() == []


async def test_the_same_difference_is_the_same_row_and_one_that_is_gone_says_so(desk: Desk) -> None:
    await desk.mint()
    await settle(desk)
    for _ in range(2):
        await desk.services.reconciliation.keep(await desk.compare())
    await settle(desk, status="pending")
    await desk.services.reconciliation.keep(await desk.compare())
    async with desk.services.database.transaction() as conn:
        findings = (await conn.execute(select(ReconcileFinding.status, ReconcileFinding.resolved_at))).all()
        runs = await conn.scalar(select(func.count()).select_from(ReconcileRun))
    assert [status for status, _ in findings] == ["gone"]
    assert findings[0].resolved_at is not None
    assert runs == 3


async def test_two_repairs_at_once_leave_one_link(desk: Desk) -> None:
    await desk.mint()
    async with desk.services.database.transaction() as conn:
        await conn.execute(update(Order).values(amount_cents=9000))
    run_id = await desk.services.reconciliation.keep(await desk.compare())
    assert run_id is not None
    repairs = desk.services.reconcile_desk
    reports = await asyncio.gather(*(repairs.repair_all(desk.club, run_id, "cli", lambda: None) for _ in range(3)))
    assert all(report.failures == () for report in reports)
    assert sum(link["active"] for link in desk.stripe.payment_links.values()) == 1
    assert await desk.kinds() == []


async def test_the_cost_grows_by_pages_not_by_links(desk: Desk) -> None:
    async def cost() -> int:
        with counted(desk.services.database) as statements:
            await desk.compare()
        return sum("rate_slots" not in statement for statement in statements)

    await desk.mint()
    few = await cost()
    for _ in range(30):
        order_id = await desk.order()
        await desk.mint(order_id)
    for order_id in range(desk.books.order_id + 1, desk.books.order_id + 11):
        await settle(desk, order_id)
    assert len((await desk.compare()).differences) == 10
    assert await cost() == few


async def test_more_than_a_page_of_links(desk: Desk) -> None:
    async with desk.services.database.transaction() as conn:
        made_up = insert(RetiredLink).values(
            tenant_id=desk.books.tenant_id, order_id=desk.books.order_id, amount_cents=15000, reason="replaced"
        )
        for number in range(101):
            await conn.execute(made_up.values(stripe_payment_link_id=f"plink_test_{number}"))
    for number in range(101):
        link = await stray_link(desk)
        found = desk.stripe.payment_links.pop(link)
        desk.stripe.books.line_items[f"plink_test_{number}"] = desk.stripe.books.line_items[link]
        desk.stripe.payment_links[f"plink_test_{number}"] = found | {"id": f"plink_test_{number}"}
    comparison = await desk.compare()
    assert comparison.looked_at["links"] == 101
    assert len(comparison.differences) == 101


known_links = st.builds(
    KnownLink,
    link_id=st.just("plink_test_1"),
    link_status=st.sampled_from([None, *LinkStatus]),
    is_retired=st.booleans(),
    is_closing=st.booleans(),
    order_id=st.sampled_from([None, 7]),
    order_status=st.sampled_from(list(OrderStatus)),
    balance_cents=st.sampled_from([-500, 0, 9000, 15000]),
    currency=st.sampled_from(["usd", "cad"]),
    category=st.sampled_from([None, *Category]),
    player=st.just("Jaxon Reed"),
    item=st.just("Monthly fee"),
)


@given(known_links)
def test_an_open_link_is_well_only_where_it_asks_for_what_is_owed_or_may_stay_open(known: KnownLink) -> None:
    line = {"amount_total": 15000, "currency": "usd"}
    link = LinkAtStripe.model_validate(
        {"id": "plink_test_1", "url": "https://stripe.test/1", "active": True, "line_items": {"data": [line]}}
    )
    difference = judge(link, known)
    if difference is not None:
        assert in_words(difference.kind, difference.facts)
    asks_rightly = (known.balance_cents, known.currency) == (15000, "usd")
    if known.is_closing or (known.link_status == "active" and known.is_owed and asks_rightly):
        assert difference is None
    elif known.link_status != LinkStatus.ACTIVE or (known.is_owed and not asks_rightly):
        assert difference is not None


def test_every_kind_has_words() -> None:
    facts = {
        "event_id": "evt_test_1", "type": "refund.created", "session_id": "cs_test_1", "refund_id": "re_test_1",
        "status": "paid", "amount_cents": 100, "currency": "usd", "owed_cents": 200, "owed_currency": "usd",
        "at_stripe": "open", "here": "closed",
    }  # fmt: skip
    assert len({in_words(kind, facts) for kind in FindingKind}) == len(FindingKind)


async def test_a_link_imported_without_its_order_is_compared_by_player_and_product(desk: Desk) -> None:
    link_id = await desk.mint()
    async with desk.services.database.transaction() as conn:
        await conn.execute(update(PaymentLink).values(order_id=None))
    assert await desk.kinds() == []
    await settle(desk)
    assert await desk.kinds() == ["link_without_debt"]
    await desk.repair()
    assert desk.stripe.payment_links[link_id]["active"] is False
    assert (await desk.link_status())[0] == "paid"
    assert await desk.kinds() == []


async def test_an_imported_link_without_any_order_is_left_alone(desk: Desk) -> None:
    link_id = await stray_link(desk)
    order_id = await desk.order()
    async with desk.services.database.transaction() as conn:
        row = (await conn.execute(select(Order.player_id, Order.product_id).where(Order.id == order_id))).one()
        await conn.execute(update(Order).where(Order.id == order_id).values(status="canceled"))
        await add(
            conn,
            PaymentLink,
            tenant_id=desk.books.tenant_id,
            player_id=row.player_id,
            parent_id=desk.books.parent_id,
            product_id=row.product_id,
            amount_cents=15000,
            stripe_payment_link_id=link_id,
        )
    assert await desk.kinds() == []
    await desk.stripe.deactivate(link_id)
    assert await desk.kinds() == []
