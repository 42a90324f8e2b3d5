"""`make bench`: runs every benchmark and writes the tables of docs/benchmarks.md."""

import asyncio
import contextlib
import hashlib
import hmac
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
import urllib.parse
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import orjson
from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL, make_url

from core.database import libpq_url
from core.embedded_postgres import start_embedded, stop_embedded
from core.schema_version import migrate
from tests.bench.load import Request, Timing, post_all
from tests.bench.servers import COACH, SIGNING_SECRET, TEAM, WEBHOOK_SECRET
from tests.core.made_up_names import made_up_players

EVENTS = 3000
LOOKUPS = 1500
PLAYERS = 100_000
AT_ONCE = 16
PAGE = Path(__file__).parent.parent.parent / "docs" / "benchmarks.md"

FILL = """
insert into tenants (name, slack_team_id) values ('Bench FC', 'T0BENCH');
insert into teams (tenant_id, name) select 1, 'Team ' || n from generate_series(1, 500) n;
insert into parents (tenant_id, first_name, last_name, email)
    select 1, 'Parent', 'No' || n, 'parent' || n || '@example.com' from generate_series(1, %(players)s) n;
insert into products (tenant_id, category, name, price_cents, period)
    values (1, 'monthly', 'Monthly fee, Dec 2026, $150', 15000, '2026-12');
"""
ORDERS = """
insert into orders (tenant_id, player_id, parent_id, product_id, amount_cents, due_date)
    select 1, id, parent_id, 1, 15000, '2026-12-01' from players;
insert into payment_links (tenant_id, player_id, parent_id, product_id, amount_cents, order_id,
        stripe_payment_link_id, stripe_payment_link_url)
    select 1, player_id, parent_id, 1, 15000, id, 'plink_' || id, 'https://buy.example/' || id from orders;
"""


def fill(url: URL, players: int) -> list[tuple[str, str]]:
    """Make a club with so many players, each of whom owes one monthly fee and has a link."""
    names = made_up_players(players, seed=1)
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        cursor = connection.connection.cursor()
        cursor.execute(FILL % {"players": players})
        with cursor.copy(
            "copy players (tenant_id, parent_id, team_id, first_name, last_name, contract_status) from stdin"
        ) as copy:
            for number, (first, last) in enumerate(names, 1):
                copy.write_row((1, number, number % 500 + 1, first, last, "signed"))
        cursor.execute(ORDERS)
        cursor.execute("create table bare_events (id text primary key, type text, payload bytea)")
        connection.execute(text("vacuum analyze"))
    engine.dispose()
    return names


def events(first_order: int) -> list[Request]:
    """Signed events of about 5 KB, each the payment of another order."""
    requests = []
    for order_id in range(first_order, first_order + EVENTS):
        session = {
            "id": f"cs_test_{order_id}",
            "object": "checkout.session",
            "payment_status": "paid",
            "amount_total": 15000,
            "currency": "usd",
            "payment_intent": f"pi_{order_id}",
            "payment_link": f"plink_{order_id}",
            "metadata": {"order_id": str(order_id), "tenant_id": "1"},
            "customer_details": {"email": "pat@example.com", "name": "Pat"},
            "padding": "x" * 4300,
        }
        event = {
            "id": f"evt_{order_id}",
            "object": "event",
            "type": "checkout.session.completed",
            "created": int(time.time()),
            "data": {"object": session},
        }
        requests.append(_signed_event(orjson.dumps(event)))
    return requests


def _signed_event(body: bytes) -> Request:
    stamp = int(time.time())
    signature = hmac.new(WEBHOOK_SECRET.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    headers = {"Stripe-Signature": f"t={stamp},v1={signature}", "Content-Type": "application/json"}
    return Request(body, headers)


def lookups(names: list[tuple[str, str]]) -> list[Request]:
    """Signed `/player` commands for players spread over the whole club."""
    step = max(len(names) // LOOKUPS, 1)
    requests = []
    for first, last in names[::step][:LOOKUPS]:
        form = {
            "command": "/player",
            "text": f"{first} {last}",
            "team_id": TEAM,
            "user_id": COACH,
            "channel_id": "C0",
            "api_app_id": "A0",
            "trigger_id": "1.2.3",
            "response_url": "http://127.0.0.1:9/r",
        }
        body = urllib.parse.urlencode(form).encode()
        stamp = str(int(time.time()))
        digest = hmac.new(SIGNING_SECRET.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
        requests.append(
            Request(
                body,
                {
                    "X-Slack-Request-Timestamp": stamp,
                    "X-Slack-Signature": f"v0={digest}",
                    "Content-Type": "application/x-www-form-urlencoded",
                },
            )
        )
    return requests


@contextlib.asynccontextmanager
async def server(name: str, url: URL, folder: Path) -> AsyncIterator[str]:
    """Run one of the measured servers in a process of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {"BENCH_DATABASE": libpq_url(url), "BENCH_FOLDER": str(folder)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.servers", name, str(port), env=environment
    )
    try:
        for _ in range(600):
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                break
            await asyncio.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


@contextlib.contextmanager
def database() -> Iterator[tuple[URL, Path]]:
    """A PostgreSQL with its durability on, as in real life."""
    folder = Path(tempfile.mkdtemp(prefix="sideline-bench-"))
    url = make_url(start_embedded(folder)).set(drivername="postgresql+psycopg")
    migrate(url)
    try:
        yield url, folder
    finally:
        stop_embedded(folder)
        shutil.rmtree(folder, ignore_errors=True)


def table(title: str, rows: list[tuple[str, Timing]]) -> str:
    """Return a table; the first row is the reference."""
    reference = rows[0][1].per_second
    lines = [f"## {title}", "", "| | ratio | a second | p50 ms | p95 ms | p99 ms |", "|---|---|---|---|---|---|"]
    lines += [
        f"| {name} | {t.per_second / reference:.2f} | {t.per_second:.0f} "
        f"| {t.p50:.1f} | {t.p95:.1f} | {t.p99:.1f} |"
        for name, t in rows
    ]
    return "\n".join(lines) + "\n"


async def measure(name: str, path: str, requests: list[Request], url: URL, folder: Path) -> Timing:
    """Warm a server up with a tenth of the requests, then measure the rest."""
    async with server(name, url, folder) as base:
        warm = len(requests) // 10
        await post_all(base + path, requests[:warm], at_once=AT_ONCE)
        timing = await post_all(base + path, requests[warm:], at_once=AT_ONCE)
    if timing.failed:
        sys.exit(f"{name}: {timing.failed} requests failed, so its figures mean nothing")
    return timing


async def run() -> None:
    """Run everything, print it, and write the page."""
    with database() as (url, folder):
        print(f"Filling a club of {PLAYERS:,} players…", flush=True)
        names = fill(url, PLAYERS)
        webhook = "/webhooks/stripe"
        ingest = [
            ("bare: verify and insert one row", await measure("bare", webhook, events(1), url, folder)),
            (
                "Sideline: stored, applied, follow-up enqueued",
                await measure("sideline", webhook, events(1), url, folder),
            ),
        ]
        slack = "/slack/events"
        lookup = [
            ("no-op Bolt listener", await measure("no_op_slack", slack, lookups(names), url, folder)),
            (
                f"/player among {PLAYERS:,}, whole card",
                await measure("sideline", slack, lookups(names), url, folder),
            ),
        ]
    text_ = "\n".join(
        [
            table(f"Webhook, {AT_ONCE} at a time, one process", ingest),
            table(f"/player, {AT_ONCE} at a time, one process", lookup),
        ]
    )
    print(text_)
    head = PAGE.read_text(encoding="utf-8").partition("## ")[0]
    PAGE.write_text(head + text_, encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(run())
