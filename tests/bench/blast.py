"""A blast by the real process, claims and log included, against pooled SMTP that only builds and sends."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiosmtplib
import psutil
from sqlalchemy import text
from sqlalchemy.engine import URL

from core.audiences import AudienceQuery
from core.club import Club, club_by_id
from core.database import libpq_url
from core.models.statuses import EmailType
from core.services import Services, build_services
from core.tenancy import tenant_scope
from tests.bench.ground import database, engine_of, fill
from tests.bench.raw_smtp import WAYS, Builder, Family, messages, read_families
from tests.bench.serving import free_port, process
from tests.bench.tables import table
from tests.books import made_up_settings

SIZES = (1000, 10_000)
PLAYERS_A_FAMILY = 2
BUILT = 1000
MIB = 1024 * 1024


async def run() -> str:
    """Measure blasts of both sizes, and what building a mail costs by itself."""
    rows: list[tuple[str, ...]] = []
    building = ""
    for families in SIZES:
        with database() as (url, folder):
            fill(url, families * PLAYERS_A_FAMILY, to_a_family=PLAYERS_A_FAMILY)
            rows += await _blast_rows(families, url, folder)
            building = building or await _building(url)
    head = ("ratio", "mails a second", "memory at its most, MiB", "memory after, MiB")
    return table("A blast, four connections, two players a family", head, rows) + "\n" + building


async def _blast_rows(families: int, url: URL, folder: Path) -> list[tuple[str, ...]]:
    async with sink() as port:
        seconds = {way: await _reference(port, way, url) for way in WAYS}
        ours, most, after = await _blast(port, families, url, folder)
        await _check_count(port, families * 3)
    best = families / seconds["stdlib"]
    return [
        (f"{families:,} mails: pooled aiosmtplib, EmailMessage", "1.00", f"{best:,.0f}", "", ""),
        _without_memory(f"{families:,} mails: pooled aiosmtplib, our messages", families / seconds["ours"], best),
        (
            f"{families:,} families: Sideline, claimed, logged, counted",
            f"{families / ours / best:.2f}",
            f"{families / ours:,.0f}",
            f"{most / MIB:.0f}",
            f"{after / MIB:.0f}",
        ),
    ]


def _without_memory(name: str, rate: float, reference: float) -> tuple[str, ...]:
    return (name, f"{rate / reference:.2f}", f"{rate:,.0f}", "", "")


@asynccontextmanager
async def sink() -> AsyncIterator[int]:
    """Run a mail server that takes everything, in a process of its own; gives its port."""
    port = free_port()
    async with process(sys.executable, "-m", "tests.bench.smtp_sink", str(port), port=port):
        yield port


async def _check_count(port: int, mails: int) -> None:
    async with aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False) as client:
        taken = (await client.noop()).message
    if int(taken) != mails:
        raise RuntimeError(f"{taken} mails arrived instead of {mails}, so the figures mean nothing")


async def _reference(port: int, way: str, url: URL) -> float:
    started = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.bench.raw_smtp",
        str(port),
        way,
        env=os.environ | {"BENCH_DATABASE": libpq_url(url)},
        stdout=asyncio.subprocess.PIPE,
    )
    answer, _ = await started.communicate()
    return float(answer)


async def _blast(port: int, families: int, url: URL, folder: Path) -> tuple[float, int, int]:
    """Return the seconds from the approval to the last mail's end, and the process's memory in bytes."""
    listens_on = free_port()
    environment = {
        "DATABASE_URL": libpq_url(url),
        "SIDELINE_DATA_DIR": str(folder),
        "SECRET_KEY": "a made-up key for benchmarks",
        "SMTP_URL": f"smtp://127.0.0.1:{port}",
        "MAIL_FROM": "billing@club.example",
        "PUBLIC_URL": f"http://127.0.0.1:{listens_on}",
    }
    command = (str(Path(sys.executable).with_name("sideline")), "run")
    services = build_services(made_up_settings(folder), url)
    try:
        async with process(*command, port=listens_on, environment=environment) as sideline:
            watched = psutil.Process(sideline.pid)
            blast_id = await _approve(services)
            begun, most = time.perf_counter(), 0
            with engine_of(url) as engine, engine.connect() as connection:
                status = text(f"select status from blasts where id = {blast_id}")
                while await asyncio.to_thread(connection.scalar, status) != "done":
                    most = max(most, watched.memory_info().rss)
                    await asyncio.sleep(0.05)
            seconds = time.perf_counter() - begun
            return seconds, most, watched.memory_info().rss
    finally:
        await services.close()


async def _approve(services: Services) -> int:
    async with services.database.transaction() as conn:
        club = await club_by_id(conn, 1)
    with tenant_scope(club.id):
        everyone = AudienceQuery(EmailType.OUTSTANDING_BALANCE)
        blast_id, _ = await services.blasts.start(club, everyone, note="", requested_by="U0BENCH")
    return blast_id


async def _building(url: URL) -> str:
    """Return what putting one message together takes, rendering aside."""
    club, families = await read_families(libpq_url(url))
    chosen = families[:BUILT]
    nothing = _seconds_to_build(club, chosen, lambda *_: b"")
    took = {way: _seconds_to_build(club, chosen, build) - nothing for way, build in WAYS.items()}
    head = ("ratio of time", "µs a mail")
    names = {"stdlib": "EmailMessage as it comes", "ours": "Sideline"}
    rows = [
        (names[way], f"{seconds / took['stdlib']:.2f}", f"{seconds / len(chosen) * 1e6:.0f}")
        for way, seconds in took.items()
    ]
    return table("Putting a rendered mail together", head, rows)


def _seconds_to_build(club: Club, families: list[Family], build: Builder) -> float:
    begun = time.perf_counter()
    for _ in messages(club, families, build):
        pass
    return time.perf_counter() - begun
