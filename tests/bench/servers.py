"""The servers that are measured, each in a process of its own: `python -m tests.bench.servers NAME PORT`."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import orjson
import psycopg_pool
import stripe
import uvicorn
from fastapi import FastAPI, Request, Response
from slack_bolt.adapter.fastapi.async_handler import AsyncSlackRequestHandler
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.web.async_client import AsyncWebClient
from sqlalchemy.engine import make_url

from bot.app import build_bot
from bot.manifest import BOT_SCOPES
from cli.garbage import spare_what_stays
from core.database import libpq_url
from core.logs import configure_logging
from core.services import build_services
from tests.books import made_up_settings
from web.app import build_web
from web.slack_endpoint import slack_endpoint

WEBHOOK_SECRET = "whsec_bench"
SIGNING_SECRET = "bench-signing-secret"
TEAM, COACH = "T0BENCH", "U0COACH"


def bare() -> FastAPI:
    """A route that verifies a webhook and inserts one row, and does nothing else."""
    pool = psycopg_pool.AsyncConnectionPool(os.environ["BENCH_DATABASE"], min_size=10, max_size=10, open=False)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with pool:
            yield

    app = FastAPI(lifespan=lifespan)

    @app.post("/webhooks/stripe")
    async def webhook(request: Request) -> Response:
        raw = await request.body()
        stripe.WebhookSignature.verify_header(raw, request.headers["stripe-signature"], WEBHOOK_SECRET, 300)
        event = orjson.loads(raw)
        async with pool.connection() as conn:
            await conn.execute(
                "insert into bare_events (id, type, payload) values (%s, %s, %s) on conflict do nothing",
                (event["id"], event["type"], raw),
            )
        return Response(b'{"received":true}', media_type="application/json")

    return app


def sideline() -> Any:  # noqa: ANN401 - an ASGI application
    """The product's own web application, as `sideline web` puts it together, and its log."""
    configure_logging()
    url = make_url(os.environ["BENCH_DATABASE"]).set(drivername="postgresql+psycopg")
    settings = made_up_settings(
        Path(os.environ["BENCH_FOLDER"]),
        database_url=libpq_url(url),
        stripe_webhook_secret=(WEBHOOK_SECRET,),
        slack_bot_token="xoxb-bench",
        slack_signing_secret=SIGNING_SECRET,
        slack_api_base_url=_slack_that_knows_us(),
        slack_coaches=(COACH,),
        slack_payments_channel="C0",
    )
    services = build_services(settings, url)
    bot = build_bot(services)

    async def application(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI's
        if scope["type"] == "lifespan":
            # As `sideline web` does before it serves.
            await bot.start()
        await web(scope, receive, send)

    web = build_web(services, slack=slack_endpoint(bot.app))
    spare_what_stays()
    return application


def _slack_that_knows_us() -> str:
    """Start what answers `auth.test`; returns its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            answer = orjson.dumps({"ok": True, "team_id": TEAM, "user_id": "U0BOT", "bot_id": "B0"})
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("X-OAuth-Scopes", ",".join(BOT_SCOPES))
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/api/"


def no_op_slack() -> FastAPI:
    """A Bolt listener that answers one block and does nothing else, set up as Bolt's documentation does."""
    client = AsyncWebClient(token="xoxb-bench", base_url=_slack_that_knows_us())
    handler = AsyncSlackRequestHandler(_with_no_op(AsyncApp(client=client, signing_secret=SIGNING_SECRET)))
    app = FastAPI()

    @app.post("/slack/events")
    async def events(request: Request) -> Response:
        response: Response = await handler.handle(request)
        return response

    return app


def bare_slack() -> FastAPI:
    """The same with all left out that can be: no look for the answer every ten milliseconds, no client."""

    async def authorize(**_: object) -> AuthorizeResult:
        return AuthorizeResult(
            enterprise_id=None, team_id=TEAM, bot_token="xoxb-bench", bot_user_id="U0BOT", bot_id="B0"
        )

    bolt = AsyncApp(signing_secret=SIGNING_SECRET, authorize=authorize, process_before_response=True)
    app = FastAPI()
    endpoint = slack_endpoint(_with_no_op(bolt))

    @app.post("/slack/events")
    async def events(request: Request) -> Response:
        response: Response = await endpoint(request, await request.body())
        return response

    return app


def _with_no_op(bolt: AsyncApp) -> AsyncApp:
    @bolt.command("/player")
    async def player(ack: Callable[..., Any]) -> None:
        await ack(blocks=[{"type": "section", "text": {"type": "mrkdwn", "text": "ok"}}], text="ok")

    return bolt


SERVERS: dict[str, Callable[[], Any]] = {
    "bare": bare,
    "sideline": sideline,
    "no_op_slack": no_op_slack,
    "bare_slack": bare_slack,
}


def main() -> None:
    """Serve one of them until told to stop."""
    name, port = sys.argv[1], int(sys.argv[2])
    config = uvicorn.Config(SERVERS[name](), host="127.0.0.1", port=port, log_level="error", access_log=False)
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(uvicorn.Server(config).serve())


if __name__ == "__main__":
    main()
