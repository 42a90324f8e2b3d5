"""`POST /admin/email/…`: the blasts for scripts, behind a bearer token: balance, tournament fee, first payment."""

import hmac
from abc import abstractmethod
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from core.audiences import Audience, AudienceQuery, check_address, check_team
from core.club import Club, all_clubs
from core.database import bind_to_tenant
from core.errors import InvalidInputError, NotFoundError, SettingsError
from core.models.statuses import EmailType
from core.services import Services
from core.tournaments import tournament_name
from web.errors import UnauthorizedError
from web.rate_limit import RateLimit

REQUESTED_BY = "admin-api"


class BlastOptions(BaseModel):
    """What the query may hold. A misspelt name is refused: left out, it would mail everybody."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    test_email: Annotated[str | None, Field(min_length=1, max_length=320)] = None
    dry_run: bool = False
    club: Annotated[str | None, Field(min_length=1)] = None

    @abstractmethod
    def audience(self) -> AudienceQuery:
        """Return whom it is about."""


class BalanceOptions(BlastOptions):
    """The balance blast's."""

    team_id: Annotated[int | None, Field(gt=0, lt=2**63)] = None

    def audience(self) -> AudienceQuery:
        """Everyone who owes something, or a team's families."""
        return AudienceQuery(EmailType.OUTSTANDING_BALANCE, self.team_id, self.test_email)


class TournamentOptions(BlastOptions):
    """The tournament fee blast's."""

    tournament_id: Annotated[int, Field(gt=0, lt=2**63)]

    def audience(self) -> AudienceQuery:
        """The families of everyone who is committed to the tournament."""
        return AudienceQuery(EmailType.TOURNAMENT_FEE, email=self.test_email, tournament_id=self.tournament_id)


class FirstPaymentOptions(BlastOptions):
    """The first payment blast's."""

    team_id: Annotated[int | None, Field(gt=0, lt=2**63)] = None
    skip_proration: bool = False

    def audience(self) -> AudienceQuery:
        """Everyone signed who has not paid the first month."""
        return AudienceQuery(
            EmailType.FIRST_PAYMENT, self.team_id, self.test_email, skip_proration=self.skip_proration
        )


def admin_routes(services: Services, limit: RateLimit) -> APIRouter:
    """Return the admin endpoints; each needs one of `ADMIN_API_TOKEN`'s tokens, and guessing them is limited."""
    router = APIRouter(dependencies=[Depends(_bearer_check(services.settings.admin_api_token, limit))])

    @router.post("/admin/email/outstanding-balance", response_model=None)
    async def outstanding_balance(options: Annotated[BalanceOptions, Query()]) -> Response:
        return await _blast(services, options)

    @router.post("/admin/email/tournament-fee", response_model=None)
    async def tournament_fee(options: Annotated[TournamentOptions, Query()]) -> Response:
        return await _blast(services, options)

    @router.post("/admin/email/first-payment", response_model=None)
    async def first_payment(options: Annotated[FirstPaymentOptions, Query()]) -> Response:
        return await _blast(services, options)

    return router


async def _blast(services: Services, options: BlastOptions) -> Response:
    club, query = await _resolve(services, options)
    audience = await services.blasts.preview(club, query)
    if options.dry_run or not audience.recipients:
        return JSONResponse(_summary(audience, blast_id=None))
    if not services.mailer.is_on:
        raise SettingsError("Mail is off: set SMTP_URL and MAIL_FROM.")
    blast_id, audience = await services.blasts.start(club, query, note="", requested_by=REQUESTED_BY)
    return JSONResponse(_summary(audience, blast_id=blast_id))


def _bearer_check(tokens: tuple[str, ...], limit: RateLimit) -> Callable[[Request], Awaitable[None]]:
    accepted = [token.encode() for token in tokens]

    async def check(request: Request) -> None:
        if not accepted:
            raise SettingsError("The admin endpoints are off: set ADMIN_API_TOKEN.")
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        # Header values come as Latin-1; every token is compared, so that time tells nothing about any.
        matches = [hmac.compare_digest(given.strip().encode("latin-1"), token) for token in accepted]
        if scheme.lower() != "bearer" or not any(matches):
            await limit.check(request)
            raise UnauthorizedError("Send one of ADMIN_API_TOKEN's tokens: `Authorization: Bearer …`.")

    return check


async def _resolve(services: Services, options: BlastOptions) -> tuple[Club, AudienceQuery]:
    """Return the club and the audience meant, both checked to exist."""
    query = options.audience()
    async with services.database.transaction() as conn:
        club = await _club(conn, options.club)
        await bind_to_tenant(conn, club.id)
        if query.team_id is not None:
            await check_team(conn, club.id, query.team_id)
        if query.tournament_id is not None:
            await tournament_name(conn, club.id, query.tournament_id)
        if options.test_email is not None:
            await check_address(conn, club.id, options.test_email)
    return club, query


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
        "skipped": [{"parent_id": skipped.parent_id, "reason": skipped.words} for skipped in audience.skipped],
        "total_cents": audience.total_cents,
    }
