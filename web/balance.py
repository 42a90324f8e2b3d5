"""`GET /balance/{token}`: a family's page, everything it owes with a button each, and what it has paid."""

from collections.abc import Mapping, Sequence

from fastapi import APIRouter, Depends
from starlette.responses import Response

from core.balances import OwedItem, total_payable
from core.clock import local_date
from core.club import Club, club_by_id
from core.family_card import PaidItem as Payment
from core.family_mail import brand_of
from core.family_page import FamilyPage, load_family_page
from core.instalments import one_line_a_plan
from core.models.statuses import PaymentMethod
from core.pages import BalanceItem, BalancePage, PaidItem
from core.services import Services
from core.tenancy import enter_tenant
from web.pages import page_response
from web.rate_limit import RateLimit

METHODS: Mapping[PaymentMethod, str] = {
    PaymentMethod.CARD: "Card",
    PaymentMethod.BANK: "Bank payment",
    PaymentMethod.CASH: "Cash",
    PaymentMethod.CHECK: "Check",
    PaymentMethod.WAIVER: "Waived by the club",
}
ON_ITS_WAY = "Your bank payment is on its way."
NOT_SIGNED = "You can pay this once the contract is signed."
# The same of everything on the page.
ALL_ON_ITS_WAY = (
    "The bank payment is on its way; that takes a few days. There is nothing more for you to do. Thank you!"
)
NONE_PAYABLE = "What is listed here can be paid later; each item says why."


def balance_route(services: Services, limit: RateLimit) -> APIRouter:
    """Return the route."""
    router = APIRouter(dependencies=[Depends(limit.check)])

    @router.api_route("/balance/{token}", methods=["GET", "HEAD"], response_model=None)
    async def balance(token: str) -> Response:
        tenant_id, parent_id = services.family_links.read_balance(token)
        enter_tenant(tenant_id)
        async with services.database.transaction() as conn:
            family = await load_family_page(conn, tenant_id, parent_id)
            club = await club_by_id(conn, tenant_id)
        return page_response(services.pages.balance(_page(services, club, family)))

    return router


def _page(services: Services, club: Club, family: FamilyPage) -> BalancePage:
    today = local_date(services.clock(), club.time_zone)
    lines = one_line_a_plan(family.items, today)
    return BalancePage(
        brand=brand_of(club),
        currency=club.currency,
        family_name=family.parent_name,
        items=tuple(_item(services, club, line) for line in lines),
        total_cents=total_payable(lines),
        paid=tuple(_paid(club, payment) for payment in family.paid),
        today=today,
        statement_url=services.family_links.statement_url(club.id, family.parent_id),
        not_payable=_not_payable(lines),
    )


def _not_payable(lines: Sequence[OwedItem]) -> str:
    if not lines or any(line.is_payable for line in lines):
        return ""
    return ALL_ON_ITS_WAY if all(line.is_processing for line in lines) else NONE_PAYABLE


def _item(services: Services, club: Club, item: OwedItem) -> BalanceItem:
    note = _copy(item) if item.is_payable else ON_ITS_WAY if item.is_processing else NOT_SIGNED
    return BalanceItem(
        player_name=item.player_name,
        description=item.description,
        amount_cents=item.balance_cents,
        due_date=item.due_date,
        pay_url=services.family_links.pay_url(club.id, item.order_id) if item.is_payable else None,
        note=note,
    )


def _copy(item: OwedItem) -> str:
    return f"You get a copy; {item.payer_name or 'the other guardian'} usually pays this." if item.is_copy else ""


def _paid(club: Club, payment: Payment) -> PaidItem:
    return PaidItem(
        date=local_date(payment.created_at, club.time_zone),
        player_name=payment.player_name,
        description=payment.description,
        amount_cents=payment.amount_cents,
        method=METHODS[PaymentMethod(payment.method)],
    )
