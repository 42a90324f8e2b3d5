"""Who may do what: the people and user groups named in `SLACK_ADMINS` and `SLACK_COACHES`. Nobody by default."""

import asyncio
import time
from collections.abc import Callable, Iterable
from enum import StrEnum

import structlog
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack_calls import call
from core.errors import SidelineError

log = structlog.get_logger(__name__)

MEMBERS_LAST_SECONDS = 300.0
ASK_AGAIN_SECONDS = 60.0
# People wait for an answer meanwhile, and Slack gives us three seconds.
PATIENCE_SECONDS = 1.5


class Role(StrEnum):
    """What somebody is to the club."""

    COACH = "coach"
    ADMIN = "admin"


class People:
    """Knows the roles.

    `admins` and `coaches` are ids of people (`U…`, `W…`) and of user groups (`S…`); `clock` counts seconds.
    """

    def __init__(
        self,
        client: AsyncWebClient,
        admins: Iterable[str],
        coaches: Iterable[str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._clock = clock
        self._admins, self._coaches = tuple(admins), tuple(coaches)
        self._members: dict[str, frozenset[str]] = {}
        self._ask_at: dict[str, float] = {}
        self._asking = asyncio.Lock()

    async def role(self, user_id: str) -> Role | None:
        """Return what this person is; None for everybody who is not on a list."""
        if await self._is_among(user_id, self._admins):
            return Role.ADMIN
        return Role.COACH if await self._is_among(user_id, self._coaches) else None

    def admin_ids(self) -> tuple[str, ...]:
        """Return the admins named one by one, for telling others whom to ask."""
        return tuple(entry for entry in self._admins if not _is_group(entry))

    async def _is_among(self, user_id: str, entries: tuple[str, ...]) -> bool:
        if user_id in entries:
            return True
        for group in filter(_is_group, entries):
            if user_id in await self._members_of(group):
                return True
        return False

    async def _members_of(self, group: str) -> frozenset[str]:
        """Return a user group's members, asked for every few minutes; in an outage, those last known."""
        if self._clock() >= self._ask_at.get(group, float("-inf")):
            async with self._asking:
                if self._clock() >= self._ask_at.get(group, float("-inf")):
                    await self._ask(group)
        return self._members.get(group, frozenset())

    async def _ask(self, group: str) -> None:
        try:
            asked = self._client.usergroups_users_list(usergroup=group)
            answer = await call(asked, within=PATIENCE_SECONDS)
        except SidelineError as error:
            # Free plans have no user groups at all; people named one by one still work.
            log.warning("user_group_not_read", group=group, error=str(error))
            self._ask_at[group] = self._clock() + ASK_AGAIN_SECONDS
        else:
            self._members[group] = frozenset(answer.get("users", []))
            self._ask_at[group] = self._clock() + MEMBERS_LAST_SECONDS


def _is_group(entry: str) -> bool:
    return entry.startswith("S")
