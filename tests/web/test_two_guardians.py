"""What two guardians, and a family with a plan, see on their pages."""

from datetime import timedelta

import httpx
import pytest
from sqlalchemy import select

from core.clock import local_date
from core.club import club_by_id
from core.errors import NotPayableError
from core.guardians import Guardian, set_second_guardian
from core.items import charge_in_parts, charge_item, new_item
from core.models import Order, Parent, PaymentLink
from core.models.statuses import Category
from core.payment_links import Obstacle
from core.services import Services
from sandbox.stripe import StripeStandIn
from tests.books import Books
from tests.web.kit import session_event, tell


async def charged_with_sam(services: Services, books: Books, share: int | None) -> int:
    """Give the player a second guardian, charge a jersey, and return the second guardian's id."""
    async with services.database.transaction() as conn:
        club = await club_by_id(conn, books.tenant_id)
        sam = Guardian("sam@example.com", "Sam", "Lee")
        await set_second_guardian(conn, club, books.player_id, sam, share, actor="cli")
        item = new_item("Home jersey", "jersey", 6500)
        await charge_item(conn, club, [books.player_id], item, None, actor="cli")
        return int(await conn.scalar(select(Parent.id).where(Parent.first_name == "Sam")) or 0)


async def page(client: httpx.AsyncClient, services: Services, books: Books, parent_id: int) -> str:
    url = services.family_links.balance_url(books.tenant_id, parent_id)
    return (await client.get(url)).text


async def test_a_copy_shows_who_usually_pays(client: httpx.AsyncClient, services: Services, books: Books) -> None:
    sam = await charged_with_sam(services, books, None)
    theirs = await page(client, services, books, sam)
    assert theirs.count("You get a copy; Pat Reed usually pays this.") == 2
    assert "$215.00" in theirs
    assert "You get a copy" not in await page(client, services, books, books.parent_id)


async def test_with_a_share_neither_sees_the_others(
    client: httpx.AsyncClient, services: Services, books: Books
) -> None:
    sam = await charged_with_sam(services, books, 40)
    theirs, pats = await page(client, services, books, sam), await page(client, services, books, books.parent_id)
    assert "$26.00" in theirs
    assert "$189.00" in pats
    for word in ("$39.00", "$150.00", "Monthly fee", "Pat Reed"):
        assert word not in theirs
    for word in ("$26.00", "Sam"):
        assert word not in pats


async def test_a_plan_is_one_line_with_the_next_parts_button(
    client: httpx.AsyncClient, services: Services, books: Books
) -> None:
    async with services.database.transaction() as conn:
        club = await club_by_id(conn, books.tenant_id)
        today = local_date(services.clock(), club.time_zone)
        dates = [today + timedelta(days=days) for days in (-40, -10, 20, 50)]
        kit = new_item("Uniform kit", "generic", 20000)
        bill = await charge_in_parts(conn, club, [books.player_id], kit, dates, actor="cli")
    orders = [charge.order_id for charge in bill.charges]
    paid = session_event(order_id=orders[0], amount_total=5000)
    await tell(client, paid)
    shown = await page(client, services, books, books.parent_id)
    assert "Uniform kit: 1 of 4 paid · next part" in shown
    assert "Uniform kit, 2 of 4" in shown
    urls = [services.family_links.pay_url(books.tenant_id, order) for order in orders]
    assert [url in shown for url in urls] == [False, True, True, False]
    assert "$250.00" in shown  # the monthly fee, the overdue part and the next one


@pytest.mark.parametrize("category", [Category.JERSEY, Category.TRYOUT, Category.GENERIC])
async def test_an_items_link_stays_open_after_payment(
    client: httpx.AsyncClient, services: Services, books: Books, stripe: StripeStandIn, category: Category
) -> None:
    async with services.database.transaction() as conn:
        club = await club_by_id(conn, books.tenant_id)
        item = new_item("Something", category, 6500)
        [charge] = (await charge_item(conn, club, [books.player_id], item, None, actor="cli")).charges
    await services.payment_links.payable_url(club.id, charge.order_id)
    async with services.database.transaction() as conn:
        link_id = await conn.scalar(select(PaymentLink.stripe_payment_link_id))
    await tell(client, session_event(order_id=charge.order_id, amount_total=6500, payment_link=link_id))
    async with services.database.transaction() as conn:
        status = await conn.scalar(select(Order.status).where(Order.id == charge.order_id))
        link = (await conn.execute(select(PaymentLink))).one()
    assert (status, link.status, link.deactivated_at) == ("paid", "active", None)
    assert link.paid_at is not None
    with pytest.raises(NotPayableError) as refused:
        await services.payment_links.check_payable(club.id, charge.order_id)
    assert refused.value.reason == Obstacle.PAID
