"""Senders that take their time, on real sockets: they are cut off, and the others are answered meanwhile."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from time import perf_counter

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from core.pages import PageRenderer
from core.rendering import build_environment
from tests.books import made_up_settings
from web.bodies import read_body
from web.connections import BoundedProtocol, server_config
from web.errors import ErrorAnswers

LOOPBACK = "127.0.0.1"
# The real bounds, shortened.
BODY_SECONDS, REQUEST_SECONDS = 0.2, 0.4
PATIENCE = 5.0


class Hurried(BoundedProtocol):
    REQUEST_SECONDS = REQUEST_SECONDS


class QuietServer(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def application() -> FastAPI:
    app = FastAPI(openapi_url=None)
    ErrorAnswers(PageRenderer(build_environment())).add_to(app)

    @app.post("/body", response_model=None)
    async def body(request: Request) -> Response:
        return JSONResponse({"bytes": len(await read_body(request, seconds=BODY_SECONDS))})

    @app.get("/who", response_model=None)
    async def who(request: Request) -> Response:
        assert request.client is not None
        return JSONResponse({"sender": request.client.host})

    return app


@contextlib.asynccontextmanager
async def listening(folder: Path, *, proxies: str) -> AsyncIterator[int]:
    settings = made_up_settings(folder, trusted_proxies=proxies)
    config = server_config(application(), settings, host=LOOPBACK, port=0, protocol=Hurried)
    config.timeout_keep_alive = 1
    server = QuietServer(config)
    serving = asyncio.create_task(server.serve())
    async with asyncio.timeout(PATIENCE):
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.005)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await serving


@pytest.fixture
async def port(tmp_path: Path) -> AsyncIterator[int]:
    async with listening(tmp_path, proxies=LOOPBACK) as port:
        yield port


async def said(port: int, *pieces: bytes, pause: float = 0.0) -> tuple[bytes, float]:
    """Send pieces one after the other; return all that came back until the connection was closed, and the time."""
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    started = perf_counter()

    async def send() -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)

    sending = asyncio.create_task(send())
    answer = b""
    async with asyncio.timeout(PATIENCE):
        with contextlib.suppress(ConnectionError):
            # Piece by piece: what came before a reset would be lost with it.
            while piece := await reader.read(65536):
                answer += piece
    sending.cancel()
    writer.close()
    await asyncio.gather(sending, return_exceptions=True)
    return answer, perf_counter() - started


async def test_a_body_that_trickles_in_is_answered_with_408(port: int) -> None:
    head = b"POST /body HTTP/1.1\r\nHost: club.test\r\nContent-Length: 1000\r\n\r\n"
    answer, seconds = await said(port, head, *[b"x"] * 100, pause=0.05)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"did not arrive in time" in answer
    assert b"connection: close" in answer.lower()
    assert seconds < REQUEST_SECONDS + 1


@pytest.mark.parametrize(
    ("first", "more"),
    [
        (b"", b""),
        (b"POST /body HT", b""),
        (b"POST /body HTTP/1.1\r\nHost: club.test\r\n", b"X-More: 1\r\n"),
        (b"GET /who HTTP/1.1\r\nHost: club.test\r\nContent-Length: 100000\r\n\r\n", b"x"),
        (b"GET /who HTTP/1.1\r\nHost: club.test\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        (b"GET /who HTTP/1.1\r\nHost: club.test\r\n\r\n", b"\r\n"),
    ],
    ids=["silence", "half a line", "header after header", "unread body", "chunk after chunk", "empty lines"],
)
async def test_a_request_that_does_not_end_is_cut_off(port: int, first: bytes, more: bytes) -> None:
    answer, seconds = await said(port, first, *[more] * 100, pause=0.05)
    assert seconds < REQUEST_SECONDS + 2
    # Only a complete head may be answered (the answer is lost where we still send when it is cut off), and what
    # came after it began no other request.
    assert answer.count(b"HTTP/1.1 200 ") <= first.count(b"\r\n\r\n")


async def test_a_head_that_does_not_end_is_refused(port: int) -> None:
    line = b"X-More: " + b"x" * 8000 + b"\r\n"
    answer, _ = await said(port, b"GET /who HTTP/1.1\r\nHost: club.test\r\n", *[line] * 40)
    # Refused while it is still being sent: the answer may be lost with the connection.
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")
    assert b"HTTP/1.1 200" not in answer


async def test_others_are_answered_while_many_dawdle(port: int) -> None:
    dawdling = [said(port, b"POST /body HTTP/1.1\r\n", *[b"X-A: 1\r\n"] * 50, pause=0.02) for _ in range(100)]
    waiting = asyncio.gather(*dawdling)
    async with httpx.AsyncClient(base_url=f"http://{LOOPBACK}:{port}") as client:
        for _ in range(10):
            answer = await client.post("/body", content=b"here")
            assert answer.json() == {"bytes": 4}
    assert not any(b"HTTP/1.1 200" in answer for answer, _ in await waiting)


async def test_a_sender_is_whom_a_trusted_proxy_names(port: int) -> None:
    for forwarded in (
        "203.0.113.7",
        # What the sender put there itself stands before what the proxy adds.
        "198.51.100.1, 203.0.113.7",
        "203.0.113.7, 127.0.0.1",
    ):
        assert await sender_seen(port, forwarded) == "203.0.113.7"


async def test_whom_anybody_else_names_is_not_believed(tmp_path: Path) -> None:
    async with listening(tmp_path, proxies="10.0.0.7, 192.168.0.0/16") as port:
        assert await sender_seen(port, "203.0.113.7") == LOOPBACK


async def sender_seen(port: int, forwarded: str) -> str:
    async with httpx.AsyncClient(base_url=f"http://{LOOPBACK}:{port}") as client:
        answer = await client.get("/who", headers={"X-Forwarded-For": forwarded})
    return str(answer.json()["sender"])
