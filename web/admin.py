"""`POST /admin/email/outstanding-balance`: the balance blast for scripts, behind a bearer token."""

import hmac
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from core.audiences import Audience, AudienceQuery, check_address, check_team
from core.club import Club, all_clubs
from core.errors import InvalidInputError, NotFoundError, SettingsError
from core.models.statuses import EmailType
from core.services import Services
from web.errors import UnauthorizedError

REQUESTED_BY = "admin-api"


class BlastOptions(BaseModel):
    """What the query may hold. A misspelt name is refused: left out, it would mail everybody."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    test_email: Annotated[str | None, Field(min_length=1, max_length=320)] = None
    dry_run: bool = False
    team_id: Annotated[int | None, Field(gt=0, lt=2**63)] = None
    club: Annotated[str | None, Field(min_length=1)] = None


def admin_routes(services: Services) -> APIRouter:
    """Return the admin endpoints; each needs one of `ADMIN_API_TOKEN`'s tokens."""
    router = APIRouter(dependencies=[Depends(_bearer_check(services.settings.admin_api_token))])

    @router.post("/admin/email/outstanding-balance", response_model=None)
    async def outstanding_balance(options: Annotated[BlastOptions, Query()]) -> Response:
        club, query = await _resolve(services, options)
        audience = await services.blasts.preview(club, query)
        if options.dry_run or not audience.recipients:
            return JSONResponse(_summary(audience, blast_id=None))
        if not services.mailer.is_on:
            raise SettingsError("Mail is off: set SMTP_URL and MAIL_FROM.")
        blast_id, audience = await services.blasts.start(club, query, note="", requested_by=REQUESTED_BY)
        return JSONResponse(_summary(audience, blast_id=blast_id))

    return router


def _bearer_check(tokens: tuple[str, ...]) -> Callable[[Request], None]:
    accepted = [token.encode() for token in tokens]

    def check(request: Request) -> None:
        if not accepted:
            raise SettingsError("The admin endpoints are off: set ADMIN_API_TOKEN.")
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        # Header values come as Latin-1; every token is compared, so that time tells nothing about any.
        matches = [hmac.compare_digest(given.strip().encode("latin-1"), token) for token in accepted]
        if scheme.lower() != "bearer" or not any(matches):
            raise UnauthorizedError("Send one of ADMIN_API_TOKEN's tokens: `Authorization: Bearer …`.")

    return check


async def _resolve(services: Services, options: BlastOptions) -> tuple[Club, AudienceQuery]:
    """Return the club and the audience meant, both checked to exist."""
    async with services.database.transaction() as conn:
        club = await _club(conn, options.club)
        if options.team_id is not None:
            await check_team(conn, club.id, options.team_id)
        if options.test_email is not None:
            await check_address(conn, club.id, options.test_email)
    return club, AudienceQuery(EmailType.OUTSTANDING_BALANCE, options.team_id, options.test_email)


async def _club(conn: AsyncConnection, name: str | None) -> Club:
    clubs = await all_clubs(conn)
    if name is None and len(clubs) > 1:
        raise InvalidInputError("There are several clubs here: say which with club=NAME.")
    matching = [club for club in clubs if name is None or club.name.casefold() == name.casefold()]
    if not matching:
        raise NotFoundError("There is no such club here." if clubs else "There is no club here yet.")
    return matching[0]


def _summary(audience: Audience, blast_id: int | None) -> dict[str, Any]:
    return {
        "blast_id": blast_id,
        "recipients": len(audience.recipients),
        "emails_queued": 0 if blast_id is None else len(audience.recipients),
        "skipped": [{"parent_id": skipped.parent_id, "reason": skipped.reason} for skipped in audience.skipped],
        "total_cents": audience.total_cents,
    }
