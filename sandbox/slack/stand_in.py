"""A local stand-in of Slack that refuses what the real one refuses."""

from collections.abc import Callable, Collection
from datetime import datetime

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute

from sandbox.slack.acting import Acting
from sandbox.slack.courier import Courier
from sandbox.slack.faults import Faults
from sandbox.slack.grants import Grants
from sandbox.slack.manifest import Installed, bot_scopes
from sandbox.slack.model import ApiCall, Channel, Message, User, UserGroup, View
from sandbox.slack.pace import Pace
from sandbox.slack.page import Page
from sandbox.slack.responses import ResponseAddresses
from sandbox.slack.shapes import Json
from sandbox.slack.socket_mode import SocketMode
from sandbox.slack.web_api import WebApi
from sandbox.slack.workspace import Workspace, utcnow

ALL_SCOPES = frozenset(
    {
        "channels:read",
        "chat:write",
        "commands",
        "files:write",
        "im:write",
        "team:read",
        "usergroups:read",
        "users:read",
        "users:read.email",
    }
)
ACK_SECONDS = 3.0


class SlackStandIn(Acting):
    """One workspace with one app in it.

    Serve `app` somewhere and set `base_url` to that address; the product then gets `{base_url}/api/` as Slack's.

    Args:
        bot_token: the app's token.
        signing_secret: signs what is sent to the app.
        app_token: the token that opens Socket Mode; None when the app has none.
        team_id: the workspace's id.
        events_url: where the app listens; may be set later.
        manifest: the app's manifest: its scopes, commands and shortcuts then hold. Without one the app may do all.
        scopes: the bot token's scopes; the manifest's, or all, if not given.
        pace: the rate limits; Slack's own if not given.
        ack_within: seconds until Slack gives up on an acknowledgement.
        clock: the UTC time that signatures, triggers and response addresses go by.

    Raises:
        ValueError: for a manifest that Slack would not install.
    """

    def __init__(  # noqa: PLR0913 - all but three have Slack's own values
        self,
        *,
        bot_token: str,
        signing_secret: str,
        app_token: str | None = None,
        team_id: str = "T0SIDELINE",
        events_url: str | None = None,
        manifest: Json | None = None,
        scopes: Collection[str] | None = None,
        pace: Pace | None = None,
        ack_within: float = ACK_SECONDS,
        clock: Callable[[], datetime] = utcnow,
    ) -> None:
        installed = Installed(manifest)
        workspace = Workspace(team_id, clock)
        grants = Grants(workspace)
        courier = Courier(events_url, signing_secret, clock, ack_within)
        super().__init__(workspace, grants, courier, installed)
        self.socket_mode = SocketMode(workspace, app_token)
        courier.socket = self.socket_mode.current
        if scopes is None:
            scopes = ALL_SCOPES if manifest is None else bot_scopes(manifest)
        self._api = WebApi(
            workspace,
            grants,
            pace or Pace(),
            bot_token=bot_token,
            scopes=frozenset(scopes),
            features=installed.features,
            open_socket=self.socket_mode.open,
        )
        self.app = Starlette(routes=self._routes())

    def _routes(self) -> list[BaseRoute]:
        addresses = ResponseAddresses(self.workspace, self._grants)
        return [
            Route("/api/{method}", self._api.handle, methods=["GET", "POST"]),
            Route("/commands/{team}/{key}", addresses.handle, methods=["POST"]),
            Route("/actions/{team}/{key}", addresses.handle, methods=["POST"]),
            Route("/upload/v1/{secret}", self._receive_file, methods=["POST"]),
            Route("/files/{file_id}", self._show_file),
            WebSocketRoute("/link/", self.socket_mode.handle),
            *Page(self, self._installed.features).routes(),
        ]

    async def _receive_file(self, request: Request) -> Response:
        secret = request.path_params["secret"]
        file = next((each for each in self.workspace.files.values() if each.secret == secret), None)
        if file is None or file.shared:
            return PlainTextResponse("not found", 404)
        content = await request.body()
        if len(content) != file.length:
            return PlainTextResponse(f"{file.length} bytes were announced, {len(content)} came", 400)
        file.content = content
        return PlainTextResponse(f"OK - {len(content)}")

    async def _show_file(self, request: Request) -> Response:
        file = self.workspace.files.get(request.path_params["file_id"])
        if file is None or file.content is None:
            return PlainTextResponse("not found", 404)
        headers = {"Content-Disposition": "attachment", "X-Content-Type-Options": "nosniff"}
        return Response(file.content, media_type="application/octet-stream", headers=headers)

    # --- furnishing the workspace ------------------------------------------------------------------------------

    def add_user(self, user_id: str, name: str, *, email: str | None = None, is_bot: bool = False) -> User:
        """Let somebody join the workspace."""
        user = self.workspace.users[user_id] = User(user_id, name, email, is_bot)
        return user

    def add_channel(
        self, channel_id: str, name: str, *, bot_is_member: bool = True, members: Collection[str] | None = None
    ) -> Channel:
        """Make a channel; with `members` it is private to them, else everybody is in it."""
        inside = None if members is None else set(members)
        channel = self.workspace.channels[channel_id] = Channel(channel_id, name, bot_is_member, inside)
        return channel

    def add_usergroup(self, group_id: str, handle: str, users: Collection[str]) -> UserGroup:
        """Make a user group."""
        group = self.workspace.usergroups[group_id] = UserGroup(group_id, handle, list(users))
        return group

    # --- looking at it -----------------------------------------------------------------------------------------

    @property
    def base_url(self) -> str:
        """Where the stand-in is served, without a slash at the end."""
        return self.workspace.base_url

    @base_url.setter
    def base_url(self, address: str) -> None:
        self.workspace.base_url = address.rstrip("/")

    @property
    def events_url(self) -> str | None:
        """Where the app listens."""
        return self._courier.events_url

    @events_url.setter
    def events_url(self, address: str | None) -> None:
        self._courier.events_url = address

    @property
    def messages(self) -> list[Message]:
        """All messages that are there now, ephemeral ones included, oldest first."""
        return self.workspace.messages

    @property
    def views(self) -> list[View]:
        """The modals that are open now."""
        return [view for stack in self.workspace.stacks.values() for view in stack]

    @property
    def homes(self) -> dict[str, View]:
        """The home tabs, by user."""
        return self.workspace.homes

    @property
    def api_calls(self) -> list[ApiCall]:
        """Every call of the Web API, in order."""
        return self.workspace.api_calls

    @property
    def problems(self) -> list[str]:
        """Everything that the real Slack would complain about or show wrongly."""
        return self.workspace.problems

    @property
    def late_acks(self) -> list[str]:
        """The interactions that were not acknowledged in time."""
        return self.workspace.late_acks

    @property
    def faults(self) -> Faults:
        """Faults of the Web API, to switch on."""
        return self._api.faults

    def messages_in(self, channel_id: str) -> list[Message]:
        """What everybody in a channel sees, oldest first."""
        return [m for m in self.messages if m.channel == channel_id and m.ephemeral_to is None]

    async def wait_for_message(self, channel_id: str, containing: str = "", within: float = 5.0) -> Message:
        """The first message in a channel whose text or blocks contain a text, waiting at most `within` seconds.

        Raises:
            TimeoutError: none came.
        """

        def found() -> list[Message]:
            return [m for m in self.messages_in(channel_id) if containing in m.words]

        if not await self.workspace.wait_until(lambda: bool(found()), within):
            raise TimeoutError(f"no message in {channel_id} with {containing!r}")
        return found()[0]
