"""`GET /statement/{token}?year=`: a family's statement of a year as a page, and with `.pdf` as a PDF."""

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from core.clock import local_date
from core.club import club_by_id
from core.errors import NotFoundError
from core.family_statement import load_statement
from core.services import Services
from core.statement_page import StatementPage, statement_page
from core.tenancy import enter_tenant
from web.pages import PRIVATE, page_response
from web.rate_limit import RateLimit


def statement_routes(services: Services, limit: RateLimit) -> APIRouter:
    """Return the routes."""
    router = APIRouter(dependencies=[Depends(limit.check)])

    # First, since the other one's token would match as well.
    @router.api_route("/statement/{token}.pdf", methods=["GET", "HEAD"], response_model=None)
    async def statement_pdf(token: str, request: Request, year: str | None = None) -> Response:
        page, _, _ = await _load(services, token, year)
        headers = {**PRIVATE, "Content-Disposition": f'inline; filename="statement-{page.year}.pdf"'}
        made = b"" if request.method == "HEAD" else await services.pdf.statement(page)
        return Response(made, media_type="application/pdf", headers=headers)

    @router.api_route("/statement/{token}", methods=["GET", "HEAD"], response_model=None)
    async def statement(token: str, year: str | None = None) -> Response:
        page, tenant_id, parent_id = await _load(services, token, year)
        links = services.family_links
        html = services.pages.statement(
            page, links.statement_url(tenant_id, parent_id), links.balance_url(tenant_id, parent_id)
        )
        return page_response(html)

    return router


async def _load(services: Services, token: str, year: str | None) -> tuple[StatementPage, int, int]:
    tenant_id, parent_id = services.family_links.read_statement(token)
    enter_tenant(tenant_id)
    now = services.clock()
    async with services.database.transaction() as conn:
        club = await club_by_id(conn, tenant_id)
        statement = await load_statement(conn, club, parent_id, year=_year(year), now=now)
    return statement_page(club, statement, local_date(now, club.time_zone)), tenant_id, parent_id


def _year(typed: str | None) -> int | None:
    if typed is None:
        return None
    if not (typed.isascii() and typed.isdigit() and len(typed) == 4):
        raise NotFoundError("There is no such year.")
    return int(typed)
