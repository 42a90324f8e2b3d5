"""Socket Mode: envelopes over a WebSocket instead of requests to a public address.

Follows Slack's "Using Socket Mode" (docs.slack.dev/apis/events-api/using-socket-mode).
"""

import asyncio
import json
import secrets
import time

from starlette.websockets import WebSocket, WebSocketDisconnect

from sandbox.slack.courier import Answer, Kind
from sandbox.slack.model import SlackError
from sandbox.slack.shapes import Json
from sandbox.slack.workspace import APP_ID, Workspace

MOST_CONNECTIONS = 10


class SocketConnection:
    """One open WebSocket of the app."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._waiting: dict[str, asyncio.Future[bytes]] = {}

    async def deliver(self, kind: Kind, payload: Json, within: float) -> Answer:
        """Send an envelope and wait for its acknowledgement, at most `within` seconds."""
        envelope_id = secrets.token_hex(16)
        acknowledged = self._waiting[envelope_id] = asyncio.get_running_loop().create_future()
        envelope: Json = {"type": kind, "envelope_id": envelope_id, "payload": payload}
        envelope["accepts_response_payload"] = kind != "events_api"
        started = time.perf_counter()
        try:
            await self._socket.send_text(json.dumps(envelope))
            body = await asyncio.wait_for(acknowledged, within)
        except TimeoutError:
            return Answer(None, b"", time.perf_counter() - started, "operation_timeout")
        except (WebSocketDisconnect, RuntimeError):
            return Answer(None, b"", time.perf_counter() - started, "dispatch_failed: the socket is gone")
        finally:
            self._waiting.pop(envelope_id, None)
        return Answer(200, body, time.perf_counter() - started)

    def acknowledge(self, frame: str) -> str | None:
        """Take one frame from the app; what is wrong with it, if anything."""
        try:
            answer = json.loads(frame)
        except ValueError:
            return "a frame is not JSON"
        if not isinstance(answer, dict) or "envelope_id" not in answer:
            return "a frame has no envelope_id"
        waiting = self._waiting.get(str(answer["envelope_id"]))
        if waiting is None or waiting.done():
            return "an acknowledgement for an envelope that no one waits for"
        payload = answer.get("payload")
        waiting.set_result(b"" if payload in (None, "", {}) else json.dumps(payload).encode())
        return None

    async def close(self) -> None:
        """Tell the app to connect anew, as Slack does when it refreshes a connection, and hang up."""
        await self._socket.send_text(json.dumps({"type": "disconnect", "reason": "refresh_requested"}))
        await self._socket.close()


class SocketMode:
    """Hands out tickets for WebSockets and keeps those that are open.

    Args:
        workspace: where problems are noted.
        app_token: the token that may open sockets; None switches Socket Mode off.
    """

    def __init__(self, workspace: Workspace, app_token: str | None) -> None:
        self._workspace, self._app_token = workspace, app_token
        self._tickets: set[str] = set()
        self.connections: list[SocketConnection] = []

    def open(self, token: str) -> Json:
        """The answer of `apps.connections.open`.

        Raises:
            SlackError: `not_authed`, `invalid_auth`, `not_allowed_token_type` for a token that is not the app's.
        """
        if not token:
            raise SlackError("not_authed")
        if not token.startswith("xapp-"):
            raise SlackError("not_allowed_token_type")
        if token != self._app_token:
            raise SlackError("invalid_auth")
        if len(self.connections) >= MOST_CONNECTIONS:
            raise SlackError("too_many_websockets")
        ticket = secrets.token_hex(16)
        self._tickets.add(ticket)
        address = self._workspace.base_url.replace("http", "ws", 1)
        return {"url": f"{address}/link/?ticket={ticket}&app_id={APP_ID}"}

    def current(self) -> SocketConnection | None:
        """The connection that the next envelope goes through; None when the app is not connected."""
        return self.connections[-1] if self.connections else None

    async def handle(self, socket: WebSocket) -> None:
        """Serve one WebSocket until it closes; a ticket opens one."""
        ticket = socket.query_params.get("ticket", "")
        if ticket not in self._tickets:
            await socket.close(4001)
            return
        self._tickets.remove(ticket)
        await socket.accept()
        connection = SocketConnection(socket)
        hello = {"type": "hello", "num_connections": len(self.connections) + 1}
        about = {"connection_info": {"app_id": APP_ID}, "debug_info": {"host": "stand-in"}}
        await socket.send_text(json.dumps({**hello, **about}))
        self.connections.append(connection)
        self._workspace.touch()
        try:
            while True:
                if complaint := connection.acknowledge(await socket.receive_text()):
                    self._workspace.problem(f"Socket Mode: {complaint}")
        except WebSocketDisconnect:
            pass
        finally:
            self.connections.remove(connection)
            self._workspace.touch()
