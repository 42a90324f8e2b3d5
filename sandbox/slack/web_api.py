"""Slack's Web API as an HTTP surface: tokens, scopes, limits, faults, and the answers' form."""

import asyncio
import json
from collections.abc import Callable
from typing import NoReturn

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sandbox.slack.arguments import Arguments, read_arguments
from sandbox.slack.faults import Fault, Faults
from sandbox.slack.grants import Grants
from sandbox.slack.methods import chat, directory, files, identity, views
from sandbox.slack.methods.base import Call, Method, TooFastError
from sandbox.slack.model import ApiCall, SlackError
from sandbox.slack.pace import Pace
from sandbox.slack.shapes import Json
from sandbox.slack.workspace import Workspace

METHODS = {**chat.METHODS, **views.METHODS, **directory.METHODS, **files.METHODS, **identity.METHODS}
TOKENLESS = {"api.test"}
SOCKET_METHOD = "apps.connections.open"


class DroppedConnection(Response):
    """No answer at all: the connection is cut."""

    async def __call__(self, _scope: Scope, receive: Receive, _send: Send) -> None:
        """Cut the connection, which uvicorn keeps on the object that `receive` belongs to, and send nothing."""
        cycle = getattr(receive, "__self__", None)
        if cycle is None or not hasattr(cycle, "transport"):
            raise RuntimeError("only uvicorn's connections can be cut")
        cycle.transport.abort()
        while (await receive())["type"] != "http.disconnect":
            pass


def refusal(error: SlackError) -> Json:
    """An error in the form that the Web API answers with."""
    answer: Json = {"ok": False, "error": error.code, **error.more}
    if error.messages:
        answer["response_metadata"] = {"messages": [f"[ERROR] {line}" for line in error.messages]}
    return answer


class WebApi:
    """Answers `POST` and `GET` of `/api/{method}`.

    Args:
        workspace: what the methods act on.
        grants: the triggers and response addresses.
        pace: the rate limits.
        bot_token: the one token that acts for the app.
        scopes: what the bot token may do.
        features: the `features` of the app's manifest; empty without one.
        open_socket: answers `apps.connections.open`, given the token.
    """

    def __init__(
        self,
        workspace: Workspace,
        grants: Grants,
        pace: Pace,
        *,
        bot_token: str,
        scopes: frozenset[str],
        features: Json,
        open_socket: Callable[[str], Json],
    ) -> None:
        self._workspace, self._grants, self._pace = workspace, grants, pace
        self._bot_token, self._scopes, self._features = bot_token, scopes, features
        self.faults = Faults()
        self._open_socket = open_socket

    async def handle(self, request: Request) -> Response:
        """Carry out one call and keep a record of it."""
        method = request.path_params["method"]
        record = ApiCall(method, {}, self._workspace.clock())
        self._workspace.api_calls.append(record)
        fault = self.faults.take(method)
        if fault is not None and fault.kind == "delay":
            await asyncio.sleep(fault.seconds)
        if fault is None or fault.kind == "delay" or fault.executes:
            response = await self._answer(request, record)
        else:
            response = Response()
        if fault is not None and fault.kind != "delay":
            response = _spoilt(fault)
            record.error = fault.kind if fault.kind != "error" else fault.error
        record.status = response.status_code
        response.headers["x-oauth-scopes"] = ",".join(sorted(self._scopes))
        return response

    async def _answer(self, request: Request, record: ApiCall) -> Response:
        try:
            record.args = await read_arguments(request)
            token = _token(request, record.args)
            record.args.pop("token", None)
            answer = {"ok": True, **self._run(record, token)}
        except TooFastError as error:
            record.error = "ratelimited"
            return _too_fast(error.retry_after)
        except SlackError as error:
            record.error = error.code
            answer = refusal(error)
        record.answer = answer
        return _json(answer)

    def _run(self, record: ApiCall, token: str) -> Json:
        name = record.method
        if name == SOCKET_METHOD:
            return self._open_socket(token)
        method = METHODS.get(name)
        if method is None:
            raise SlackError("unknown_method")
        if name not in TOKENLESS:
            self._check_token(token, method)
        if wait := self._pace.wait_for_method(name, method.tier):
            raise TooFastError(wait)
        arguments = Arguments(record.args)
        call = Call(arguments, self._workspace, self._grants, self._pace, self._scopes, self._features)
        answer = method.run(call)
        for each in arguments.unknown():
            self._workspace.problem(f"{name}: unknown argument {each}")
        return answer

    def _check_token(self, token: str, method: Method) -> None:
        if not token:
            raise SlackError("not_authed")
        if token != self._bot_token:
            raise SlackError("invalid_auth")
        if method.scopes and not self._scopes.intersection(method.scopes):
            _missing_scope(method, self._scopes)


def _missing_scope(method: Method, scopes: frozenset[str]) -> NoReturn:
    provided = ",".join(sorted(scopes))
    raise SlackError("missing_scope", more={"needed": method.scopes[0], "provided": provided})


def _token(request: Request, arguments: Json) -> str:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else str(arguments.get("token", ""))


def _json(answer: Json, status: int = 200) -> Response:
    return Response(json.dumps(answer), status, media_type="application/json; charset=utf-8")


def _too_fast(seconds: float) -> Response:
    response = _json({"ok": False, "error": "ratelimited"}, 429)
    response.headers["Retry-After"] = f"{seconds:g}"
    return response


def _spoilt(fault: Fault) -> Response:
    match fault.kind:
        case "ratelimited":
            return _too_fast(fault.seconds)
        case "server_error":
            return Response("upstream connect error", 500)
        case "garbage":
            return Response("<html><body>We are down for a moment", 200, media_type="text/html")
        case "drop":
            return DroppedConnection()
        case "error":
            return _json(refusal(SlackError(fault.error)))
        case "delay":
            raise ValueError("a delayed call keeps its own answer")
