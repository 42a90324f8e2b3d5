"""Who a blast reaches, and what each mail lists: a registry, so that a new kind is one more entry."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from core.balances import OwedItem, fetch_owed, stream_families, total_payable
from core.errors import InvalidInputError, NotFoundError
from core.models import Order, Parent, Player, Team
from core.models.statuses import EmailType


class SkipReason(StrEnum):
    """Why a family is left out, in words for people."""

    NO_ADDRESS = "no e-mail address"
    NOT_SIGNED = "contract not signed"
    PROCESSING = "a bank payment is on its way"


@dataclass(frozen=True, slots=True)
class AudienceQuery:
    """Which kind of blast, narrowed how."""

    kind: EmailType
    team_id: int | None = None
    email: str | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        """What of it is stored with the blast."""
        return {key: value for key, value in (("team_id", self.team_id), ("email", self.email)) if value}


@dataclass(frozen=True, slots=True)
class Recipient:
    """A family that gets a mail over this many cents."""

    parent_id: int
    total_cents: int


@dataclass(frozen=True, slots=True)
class Skipped:
    """A family that owes something and gets no mail."""

    parent_id: int
    parent_name: str
    reason: SkipReason


@dataclass(slots=True)
class Audience:
    """Everyone a blast is about."""

    recipients: list[Recipient] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)

    @property
    def total_cents(self) -> int:
        """What the mails ask for altogether."""
        return sum(recipient.total_cents for recipient in self.recipients)


Conditions = Callable[[AudienceQuery], Sequence[ColumnElement[bool]]]


def _outstanding(query: AudienceQuery) -> Sequence[ColumnElement[bool]]:
    """Everyone who owes, or a team's families; a family of two teams is asked for the team's items only."""
    return [] if query.team_id is None else [Player.team_id == query.team_id]


AUDIENCES: Mapping[EmailType, Conditions] = {EmailType.OUTSTANDING_BALANCE: _outstanding}


def _conditions(query: AudienceQuery) -> list[ColumnElement[bool]]:
    conditions = list(AUDIENCES[query.kind](query))
    if query.email is not None:
        conditions.append(func.lower(Parent.email) == query.email.lower())
    return conditions


async def find_audience(conn: AsyncConnection, tenant_id: int, query: AudienceQuery) -> Audience:
    """Return who a blast would reach now and who is left out, with one query."""
    audience = Audience()
    async for family in stream_families(conn, tenant_id, *_conditions(query)):
        reason = _skip_reason(family)
        if reason is None:
            audience.recipients.append(Recipient(family[0].parent_id, total_payable(family)))
        else:
            audience.skipped.append(Skipped(family[0].parent_id, family[0].parent_name, reason))
    return audience


async def family_items(
    conn: AsyncConnection, tenant_id: int, query: AudienceQuery, parent_id: int
) -> list[OwedItem]:
    """Return what one family's mail lists now; empty where nothing is left to ask for."""
    items = await fetch_owed(conn, tenant_id, Order.parent_id == parent_id, *_conditions(query))
    return [item for item in items if item.is_payable]


async def check_team(conn: AsyncConnection, tenant_id: int, team_id: int) -> str:
    """Return the team's name.

    Raises:
        InvalidInputError: where the club has no such team.
    """
    name: str | None = await conn.scalar(select(Team.name).where(Team.id == team_id, Team.tenant_id == tenant_id))
    if name is None:
        raise InvalidInputError("That team doesn't exist any more; pick another one.")
    return name


async def check_address(conn: AsyncConnection, tenant_id: int, email: str) -> None:
    """Make sure that a family of the club has this address, in whatever case.

    Raises:
        NotFoundError: where none has.
    """
    known = select(Parent.id).where(Parent.tenant_id == tenant_id, func.lower(Parent.email) == email.lower())
    if await conn.scalar(known.limit(1)) is None:
        raise NotFoundError("No family here has that address.")


def _skip_reason(family: Sequence[OwedItem]) -> SkipReason | None:
    if not any(item.is_payable for item in family):
        return SkipReason.PROCESSING if any(item.is_processing for item in family) else SkipReason.NOT_SIGNED
    return None if family[0].parent_email else SkipReason.NO_ADDRESS
