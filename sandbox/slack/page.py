"""The page that looks like a chat: what one person sees, and what they can do, for the browser."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from sandbox.slack.acting import Acting
from sandbox.slack.model import Message, NotPossibleError, SlackError, Surface
from sandbox.slack.shapes import Json
from sandbox.slack.state import values_of
from sandbox.slack.view_json import view_as_json
from sandbox.slack.workspace import BOT_USER, Workspace

STATIC = Path(__file__).parent / "static"
SHOWN_MESSAGES = 300


def what_a_person_sees(workspace: Workspace, user_id: str, features: Json) -> Json:
    """Everything that the page shows to one person."""
    workspace.direct_channel(user_id)
    channels = [each for each in workspace.channels.values() if each.holds(user_id)]
    ids = {each.id for each in channels}
    messages = [m for m in workspace.messages if m.channel in ids and m.ephemeral_to in {None, user_id}]
    stack, home = workspace.stacks.get(user_id, []), workspace.homes.get(user_id)
    return {
        "version": workspace.version,
        "user": user_id,
        "app": BOT_USER,
        "people": [{"id": u.id, "name": u.name, "is_bot": u.is_bot} for u in workspace.users.values()],
        "channels": [
            {"id": c.id, "name": c.name, "direct": c.is_im, "private": c.members is not None and not c.is_im}
            for c in channels
            if not c.is_im or c.id == f"D{user_id[1:]}"
        ],
        "messages": [_message(workspace, each) for each in messages[-SHOWN_MESSAGES:]],
        "modal": {**view_as_json(workspace, stack[-1]), "errors": stack[-1].errors} if stack else None,
        "home": view_as_json(workspace, home) if home else None,
        "commands": features.get("slash_commands", []),
        "shortcuts": [each for each in features.get("shortcuts", []) if each["type"] == "message"],
        "problems": workspace.problems[-50:],
    }


def _message(workspace: Workspace, message: Message) -> Json:
    return {
        "channel": message.channel,
        "ts": message.ts,
        "user": message.user,
        "text": message.text,
        "blocks": message.blocks,
        "ephemeral": message.ephemeral_to is not None,
        "edited": message.edited,
        "thread": message.thread_ts,
        "values": values_of(message),
        "files": [{"id": each, "name": workspace.files[each].title} for each in message.files],
    }


class Page:
    """Serves the page and carries out what is done in it.

    Args:
        acting: does what people can do.
        features: the `features` of the app's manifest; empty without one.
    """

    def __init__(self, acting: Acting, features: Json) -> None:
        self._acting, self._features = acting, features

    def routes(self) -> list[BaseRoute]:
        """The page's addresses."""
        return [
            Route("/", self._index),
            Route("/archives/{channel}/{message}", self._permalink),
            Route("/ui/state", self._state),
            Route("/ui/act", self._act, methods=["POST"]),
            Mount("/static", StaticFiles(directory=STATIC)),
        ]

    async def _index(self, _request: Request) -> Response:
        headers = {"Content-Security-Policy": "default-src 'self'; img-src 'self' data: http: https:"}
        return FileResponse(STATIC / "index.html", headers=headers)

    async def _permalink(self, request: Request) -> Response:
        return RedirectResponse(f"{request.scope.get('root_path', '')}/#{request.path_params['channel']}")

    async def _state(self, request: Request) -> Response:
        workspace = self._acting.workspace
        people = [user.id for user in workspace.users.values() if not user.is_bot]
        user_id = request.query_params.get("user", "")
        if user_id not in people:
            if not people:
                return JSONResponse({"error": "nobody is here yet"}, 404)
            user_id = people[0]
        if request.query_params.get("since") == f"{user_id}/{workspace.version}":
            return Response(status_code=204)
        return JSONResponse(what_a_person_sees(workspace, user_id, self._features))

    async def _act(self, request: Request) -> Response:
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            return JSONResponse({"error": "only JSON"}, 415)  # other sites' forms cannot send it
        asked = json.loads(await request.body())
        try:
            return JSONResponse(await self._carry_out(asked))
        except (NotPossibleError, SlackError) as error:
            return JSONResponse({"error": str(error)})

    def _surface(self, asked: Json) -> Surface:
        if "view" in asked:
            return self._acting.workspace.views[asked["view"]]
        return self._acting.workspace.find_message(asked["channel"], asked["ts"])

    async def _carry_out(self, asked: Json) -> Json:
        acts: dict[str, Callable[[str, Json], Awaitable[Json]]] = {
            "say": self._say,
            "command": self._command,
            "press": self._press,
            "select": self._select,
            "suggest": self._suggest,
            "submit": self._submit,
            "close": self._close,
            "shortcut": self._shortcut,
            "home": self._home,
        }
        return await acts[asked["kind"]](asked["user"], asked)

    async def _say(self, user: str, asked: Json) -> Json:
        await self._acting.say(user, asked["channel"], asked["text"])
        return {}

    async def _command(self, user: str, asked: Json) -> Json:
        done = await self._acting.command(user, asked["channel"], asked["command"], asked["text"])
        return {"error": done.error}

    async def _press(self, user: str, asked: Json) -> Json:
        block_id, action_id = asked["block_id"], asked["action_id"]
        done = await self._acting.press(user, self._surface(asked), action_id, block_id=block_id)
        return {"error": done.error}

    async def _select(self, user: str, asked: Json) -> Json:
        surface, block_id = self._surface(asked), asked["block_id"]
        done = await self._acting.select(user, surface, asked["action_id"], asked["given"], block_id=block_id)
        return {"error": done.error}

    async def _suggest(self, user: str, asked: Json) -> Json:
        surface, block_id = self._surface(asked), asked["block_id"]
        options = await self._acting.suggest(user, surface, asked["action_id"], asked["query"], block_id=block_id)
        return {"options": options}

    async def _submit(self, user: str, asked: Json) -> Json:
        view = self._acting.workspace.views[asked["view"]]
        for each in asked["filled"]:
            self._acting.fill(user, view, each["action_id"], each["given"], each["block_id"])
        done = await self._acting.submit(user, view)
        return {"error": done.error}

    async def _close(self, _user: str, asked: Json) -> Json:
        done = await self._acting.close(self._acting.workspace.views[asked["view"]])
        return {"error": done.error}

    async def _shortcut(self, user: str, asked: Json) -> Json:
        message = self._acting.workspace.find_message(asked["channel"], asked["ts"])
        return {"error": (await self._acting.shortcut(user, asked["callback_id"], message)).error}

    async def _home(self, user: str, _asked: Json) -> Json:
        return {"error": (await self._acting.open_home(user)).error}
