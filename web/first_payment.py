"""`GET /checkout/first-payment`: looks at the contract and the first month now, then leads to Stripe."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from sqlalchemy import select
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from core.balances import player_name
from core.club import club_by_id
from core.errors import NotPayableError
from core.family_mail import brand_of
from core.models import Player
from core.pages import ClosedPage
from core.payment_links import Obstacle
from core.services import Services
from core.tenancy import enter_tenant
from core.tokens import FirstPaymentToken
from web.closed import WORDS
from web.pages import PRIVATE, page_response
from web.pay import PATIENCE_SECONDS
from web.rate_limit import RateLimit


def first_payment_route(services: Services, limit: RateLimit) -> APIRouter:
    """Return the route."""
    router = APIRouter(dependencies=[Depends(limit.check)])

    @router.api_route("/checkout/first-payment", methods=["GET", "HEAD"], response_model=None)
    async def first_payment(
        request: Request, token: Annotated[str, Query()] = "", prorate: Annotated[bool, Query()] = True
    ) -> Response:
        named = services.family_links.read_first_payment(token)
        enter_tenant(named.tenant_id)
        try:
            if request.method == "HEAD":
                # Mail scanners ask like this: they get to know whether it can be paid, and nothing is made.
                await services.first_payments.check_payable(named)
                return Response(headers=dict(PRIVATE))
            url = await services.first_payments.payable_url(named, prorate=prorate, patience=PATIENCE_SECONDS)
        except NotPayableError as error:
            page = await _closed_page(services, named, Obstacle(error.reason))
            return page_response(services.pages.closed(page), 410)
        return RedirectResponse(url, 303, dict(PRIVATE))

    return router


async def _closed_page(services: Services, named: FirstPaymentToken, obstacle: Obstacle) -> ClosedPage:
    async with services.database.transaction() as conn:
        club = await club_by_id(conn, named.tenant_id)
        name = await conn.scalar(
            select(player_name).where(Player.id == named.player_id, Player.tenant_id == club.id)
        )
    words = WORDS[obstacle]
    sentence = words.sentence.format(item=f"the first monthly fee for {name}")
    return ClosedPage(
        brand=brand_of(club),
        title=words.title,
        message=sentence[:1].upper() + sentence[1:],
        advice=words.advice,
    )
