"""Who a blast reaches, and what each mail lists: a registry, so that a new kind is one more entry."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from core.balances import OwedItem, families_owe, family_owes, stream_families, total_payable
from core.club import Club
from core.errors import InvalidInputError, NotFoundError
from core.first_month import first_month_is_owed
from core.instalments import asked_now
from core.models import Order, Parent, Player, Team
from core.models.statuses import EmailType
from core.tournaments import products_of, tournament_name


class SkipReason(StrEnum):
    """Why a family is left out, in words for people."""

    NO_ADDRESS = "no e-mail address"
    NOT_SIGNED = "contract not signed"
    PROCESSING = "a bank payment is on its way"
    HELD = "reminders are on hold"
    MAILED_LATELY = "mailed a short while ago"


@dataclass(frozen=True, slots=True)
class AudienceQuery:
    """Which kind of blast, narrowed how. Only what differs from the default is stored with the blast.

    A reminder (`core.reminders`) has a `due_by`, as an ISO date: what is due later is not listed. `triggers` tells
    people why families are in it: how many for each day, counted from the due date, before it negative.
    """

    kind: EmailType
    team_id: int | None = None
    email: str | None = None
    tournament_id: int | None = None
    skip_proration: bool = False
    due_by: str | None = None
    triggers: Mapping[str, int] | None = None

    @property
    def is_reminder(self) -> bool:
        """Whether it is a day's reminders: those keep quiet hours, holds and the gap between two mails."""
        return self.due_by is not None

    @property
    def parameters(self) -> dict[str, Any]:
        """What of it is stored with the blast."""
        return {
            each.name: getattr(self, each.name)
            for each in fields(self)
            if each.name != "kind" and getattr(self, each.name) != each.default
        }


@dataclass(frozen=True, slots=True)
class Recipient:
    """A family that gets a mail over this many cents; those of which they only get a copy don't count."""

    parent_id: int
    total_cents: int


@dataclass(frozen=True, slots=True)
class Skipped:
    """A family that gets no mail although the blast is about it; `reason` is a phrase for people.

    With a player's name it is about this one only: the family may get a mail about a brother or a sister.
    """

    parent_id: int
    parent_name: str
    reason: str
    player_name: str = ""

    @property
    def words(self) -> str:
        """The reason and, where it is about one player, who that is."""
        return f"{self.player_name}: {self.reason}" if self.player_name else self.reason


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
Preparation = Callable[[AsyncConnection, Club, AudienceQuery], Awaitable[Sequence[Skipped]]]


def _outstanding(query: AudienceQuery) -> Sequence[ColumnElement[bool]]:
    """Everyone who owes, or a team's families; a family of two teams is asked for the team's items only."""
    conditions: list[ColumnElement[bool]] = []
    if query.team_id is not None:
        conditions.append(Player.team_id == query.team_id)
    if query.due_by is not None:
        conditions.append(or_(Order.due_date.is_(None), Order.due_date <= date.fromisoformat(query.due_by)))
    return conditions


def _tournament_fee(query: AudienceQuery) -> Sequence[ColumnElement[bool]]:
    """Everyone who owes a tournament's fee, each child's own."""
    return [Order.product_id.in_(products_of(query.tournament_id or 0))]


def _first_payment(query: AudienceQuery) -> Sequence[ColumnElement[bool]]:
    """Everyone whose first month is still to be paid, or a team's."""
    return [*first_month_is_owed(), *_outstanding(query)]


# What narrows what is owed, as conditions on `Order`, `Player`, `Product` and `Parent`.
AUDIENCES: Mapping[EmailType, Conditions] = {
    EmailType.OUTSTANDING_BALANCE: _outstanding,
    EmailType.TOURNAMENT_FEE: _tournament_fee,
    EmailType.FIRST_PAYMENT: _first_payment,
}


def conditions_of(query: AudienceQuery) -> list[ColumnElement[bool]]:
    """Return what of all that is owed a blast is about."""
    conditions = list(AUDIENCES[query.kind](query))
    if query.email is not None:
        conditions.append(func.lower(Parent.email) == query.email.lower())
    return conditions


async def find_audience(
    conn: AsyncConnection, club: Club, query: AudienceQuery, today: date, prepare: Preparation | None = None
) -> Audience:
    """Return who a blast would reach now and who is left out, with one query once the orders are there.

    `today` is the club's: of a fee in instalments only what is overdue or due soon is asked for.
    `prepare` makes the orders that the mails will ask for, and names who can't have one; a caller that only looks
    rolls its transaction back.
    """
    audience = Audience()
    if prepare is not None:
        audience.skipped += await prepare(conn, club, query)
    async with stream_families(conn, club.id, *conditions_of(query)) as families:
        async for everything in families:
            family = asked_now(everything, today)
            if not family:
                continue
            reason = skip_reason(family)
            if reason is None:
                own = total_payable([item for item in family if not item.is_copy])
                audience.recipients.append(Recipient(family[0].parent_id, own))
            else:
                audience.skipped.append(Skipped(family[0].parent_id, family[0].parent_name, reason))
    return audience


async def family_items(
    conn: AsyncConnection, tenant_id: int, query: AudienceQuery, parent_id: int, today: date
) -> list[OwedItem]:
    """Return what one family's mail lists now; empty where nothing is left to ask for."""
    items = await family_owes(conn, tenant_id, parent_id, *conditions_of(query))
    return _listed(items, today)


async def families_items(
    conn: AsyncConnection, tenant_id: int, query: AudienceQuery, parent_ids: Sequence[int], today: date
) -> dict[int, list[OwedItem]]:
    """Return the same for several families, with one statement; those with nothing to ask for may be missing."""
    families = await families_owe(conn, tenant_id, parent_ids, *conditions_of(query))
    return {parent_id: _listed(items, today) for parent_id, items in families.items()}


def _listed(items: Sequence[OwedItem], today: date) -> list[OwedItem]:
    return [item for item in asked_now(items, today) if item.is_payable]


async def audience_in_words(conn: AsyncConnection, tenant_id: int, query: AudienceQuery) -> str:
    """Say whom a blast is about, as plain text.

    Raises:
        InvalidInputError, NotFoundError: where the team or the tournament doesn't exist any more.
    """
    if query.email is not None:
        return f"The family of {query.email}"
    if query.triggers is not None:
        counts = sorted((int(offset), families) for offset, families in query.triggers.items())
        return "Families with something " + ", ".join(_trigger_in_words(*each) for each in counts)
    if query.kind is EmailType.TOURNAMENT_FEE:
        return f"Everyone in {await tournament_name(conn, tenant_id, query.tournament_id or 0)}"
    who = "Everyone" if query.team_id is None else await check_team(conn, tenant_id, query.team_id)
    if query.kind is EmailType.FIRST_PAYMENT:
        flat = ", the whole month" if query.skip_proration else ""
        return f"{who}: signed, with the first month to pay{flat}"
    return who if query.team_id is not None else "Everyone who owes something"


def _trigger_in_words(days: int, families: int) -> str:
    day = "day" if abs(days) == 1 else "days"
    words = "due today" if days == 0 else f"due in {-days} {day}" if days < 0 else f"{days} {day} overdue"
    return f"{words} ({families:,})"


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


def skip_reason(family: Sequence[OwedItem]) -> SkipReason | None:
    """Return why a family can't be mailed about these items; None where it can."""
    if not any(item.is_payable for item in family):
        return SkipReason.PROCESSING if any(item.is_processing for item in family) else SkipReason.NOT_SIGNED
    return None if family[0].parent_email else SkipReason.NO_ADDRESS
