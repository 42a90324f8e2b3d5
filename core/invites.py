"""Links by which a workspace may install the app: signed, good for a day, and for one installation."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from itsdangerous import BadSignature, URLSafeSerializer
from sqlalchemy import ColumnElement, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from core.audit import record_change
from core.clock import Clock
from core.club import Club, club_by_id
from core.errors import InvalidInputError, NotFoundError
from core.models import ClubInvite, Tenant

GOOD_FOR = timedelta(hours=24)
_OVER = "This link was used already, or is older than a day. Please ask for a new one."


@dataclass(frozen=True, slots=True)
class Installed:
    """A workspace that let the app in, and who pressed the button there."""

    team_id: str
    team_name: str
    user_id: str


class Invites:
    """Makes the links and takes them in."""

    def __init__(self, base_url: str, signing_keys: Sequence[str], clock: Clock) -> None:
        self._base_url = base_url
        self._tickets = URLSafeSerializer(list(reversed(signing_keys)), salt="slack-install")
        self._clock = clock

    async def create(self, conn: AsyncConnection, tenant_id: int | None) -> str:
        """Return a new link, for an existing club or, without one, for a club that it makes."""
        new = insert(ClubInvite).values(tenant_id=tenant_id, expires_at=self._clock() + GOOD_FOR)
        invite_id = await conn.scalar(new.returning(ClubInvite.id))
        return f"{self._base_url}/slack/install?ticket={self._tickets.dumps(invite_id)}"

    async def begin(self, conn: AsyncConnection, ticket: str, state: str) -> None:
        """Tie what Slack will answer to a link that was followed.

        Raises:
            NotFoundError: where this server did not make the link.
            InvalidInputError: where it was used, or its day is over.
        """
        try:
            invite_id = int(self._tickets.loads(ticket))
        except (BadSignature, TypeError, ValueError):
            raise NotFoundError("We don't know this link.") from None
        tied = update(ClubInvite).where(ClubInvite.id == invite_id, *self._is_open()).values(state=state)
        if await conn.scalar(tied.returning(ClubInvite.id)) is None:
            raise InvalidInputError(_OVER)

    async def check(self, conn: AsyncConnection, state: str) -> None:
        """See that the link behind an answer of Slack's is still good.

        Raises:
            InvalidInputError: where it is not.
        """
        if await conn.scalar(select(ClubInvite.id).where(ClubInvite.state == state, *self._is_open())) is None:
            raise InvalidInputError(_OVER)

    async def redeem(self, conn: AsyncConnection, state: str, installed: Installed) -> Club:
        """Use a link up: make the workspace's club, or connect the workspace with the club it was made for.

        Whoever installed it becomes an admin of a new club; an existing one keeps its people.

        Raises:
            InvalidInputError: where the link is used or over, or the workspace or the club has another already.
        """
        used = (
            update(ClubInvite)
            .where(ClubInvite.state == state, *self._is_open())
            .values(used_at=self._clock(), slack_team_id=installed.team_id)
            .returning(ClubInvite.id, ClubInvite.tenant_id)
        )
        invite = (await conn.execute(used)).one_or_none()
        if invite is None:
            raise InvalidInputError(_OVER)
        owner = await conn.scalar(select(Tenant.id).where(Tenant.slack_team_id == installed.team_id))
        if owner is not None and owner != invite.tenant_id:
            raise InvalidInputError("This workspace has a club already; to install anew, ask for that one's link.")
        if invite.tenant_id is None:
            club = await _new_club(conn, installed)
        else:
            club = await _connected(conn, invite.tenant_id, installed)
        after = {"slack_team_id": installed.team_id, "invite_id": invite.id}
        await record_change(conn, club.id, installed.user_id, "club.install", f"tenant:{club.id}", after=after)
        return club

    def _is_open(self) -> tuple[ColumnElement[bool], ...]:
        return ClubInvite.used_at.is_(None), ClubInvite.expires_at > self._clock()


async def _new_club(conn: AsyncConnection, installed: Installed) -> Club:
    name = installed.team_name.strip() or installed.team_id
    if await conn.scalar(select(Tenant.id).where(Tenant.name == name)) is not None:
        name = f"{name} ({installed.team_id})"
    made = insert(Tenant).values(name=name, slack_team_id=installed.team_id, slack_admins=[installed.user_id])
    return await club_by_id(conn, int(await conn.scalar(made.returning(Tenant.id)) or 0))


async def _connected(conn: AsyncConnection, tenant_id: int, installed: Installed) -> Club:
    club = await club_by_id(conn, tenant_id)
    if club.slack_team_id not in {None, installed.team_id}:
        raise InvalidInputError(f"{club.name} is connected with another workspace.")
    connected = update(Tenant).where(Tenant.id == tenant_id).values(slack_team_id=installed.team_id)
    await conn.execute(connected)
    return await club_by_id(conn, tenant_id)
