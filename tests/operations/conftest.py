"""What the tests of running it share."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from sandbox.server import serve
from tests.bot.conftest import bot, club, drain, mailbox, services, slack  # noqa: F401 - fixtures


@dataclass
class Sink:
    """Takes what anybody sends to it."""

    url: str = ""
    received: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    sink = Sink()
    web = FastAPI()

    @web.post("/{path:path}", response_model=None)
    async def take(request: Request, path: str) -> Response:
        sink.received.append((f"/{path}", dict(request.headers), await request.body()))
        return Response(status_code=200)

    async with serve(web) as sink.url:
        yield sink
