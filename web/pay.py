"""`GET /pay/{token}`: looks at the item now, then leads to Stripe or says in plain words why not."""

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from core.errors import NotPayableError
from core.family_mail import brand_of
from core.pages import ClosedPage
from core.pay_page import load_pay_item
from core.payment_links import Obstacle
from core.services import Services
from core.tenancy import enter_tenant
from web.closed import WORDS
from web.pages import PRIVATE, page_response
from web.rate_limit import RateLimit

# Somebody is watching an empty page meanwhile.
PATIENCE_SECONDS = 8.0


def pay_route(services: Services, limit: RateLimit) -> APIRouter:
    """Return the route."""
    router = APIRouter(dependencies=[Depends(limit.check)])

    @router.api_route("/pay/{token}", methods=["GET", "HEAD"], response_model=None)
    async def pay(token: str, request: Request) -> Response:
        tenant_id, order_id = services.family_links.read_pay(token)
        enter_tenant(tenant_id)
        links = services.payment_links
        try:
            if request.method == "HEAD":
                # Mail scanners ask like this: they get to know whether it can be paid, and nothing is minted.
                await links.check_payable(tenant_id, order_id)
                return Response(headers=dict(PRIVATE))
            url = await links.payable_url(tenant_id, order_id, patience=PATIENCE_SECONDS)
        except NotPayableError as error:
            page = await _closed_page(services, tenant_id, order_id, Obstacle(error.reason))
            return page_response(services.pages.closed(page), 410)
        return RedirectResponse(url, 303, dict(PRIVATE))

    return router


async def _closed_page(services: Services, tenant_id: int, order_id: int, obstacle: Obstacle) -> ClosedPage:
    async with services.database.transaction() as conn:
        item = await load_pay_item(conn, tenant_id, order_id)
    words = WORDS[obstacle]
    return ClosedPage(
        brand=brand_of(item.club),
        title=words.title,
        message=words.sentence.format(item=f"{item.description} for {item.player_name}"),
        advice=words.advice,
    )
