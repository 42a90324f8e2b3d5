"""A club that moves in mid-season: its orders come from a file, its links are at Stripe already."""

from datetime import UTC, datetime

from sqlalchemy import func, select

from core.models import Order, Payment
from core.order_import import OrderImportReport, import_orders
from core.order_rows import read_orders
from tests.core.stripe.conftest import Desk
from tests.core.stripe.test_reconcile_events import stray_link

HEADINGS = (
    "Player,Parent Email,Item,Category,Period,Amount,Status,Paid At,"
    "Stripe Payment Link Id,Stripe Payment Link URL,Stripe Checkout Session Id,Stripe Payment Intent Id"
)


async def move_in(desk: Desk, *lines: str) -> OrderImportReport:
    parsed = read_orders("\n".join((HEADINGS, *lines)).encode(), desk.club, datetime.now(UTC))
    async with desk.services.database.transaction() as conn:
        return await import_orders(conn, desk.club, parsed, actor="cli")


async def test_reconciliation_finds_nothing_and_later_payments_arrive(desk: Desk) -> None:
    still_open, paid = await stray_link(desk), await stray_link(desk)
    session = await desk.pay(paid)
    told = desk.stripe.sessions[session]
    url = desk.stripe.payment_links[still_open]["url"]
    report = await move_in(
        desk,
        f"Jaxon Reed,pat@example.com,Cap,generic,,150,pending,,{still_open},{url},,",
        f"Jaxon Reed,pat@example.com,Kit,generic,,150,paid,,{paid},,{session},{told['payment_intent']}",
    )
    assert (report.created, report.problems) == (2, ())
    assert await desk.kinds() == []
    await desk.pay(still_open)
    await desk.tell()
    async with desk.services.database.transaction() as conn:
        statuses = await conn.execute(select(Order.description, Order.status))
        assert {row.description: row.status for row in statuses} == {
            "Monthly fee, Dec 2026": "pending",
            "Cap": "paid",
            "Kit": "paid",
        }
        assert await conn.scalar(select(func.count()).select_from(Payment)) == 2
    assert await desk.kinds() == []
