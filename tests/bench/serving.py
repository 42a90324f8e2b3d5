"""Runs a measured server in a process of its own, and measures it."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from sqlalchemy.engine import URL

from core.database import libpq_url
from tests.bench.load import Request, Timing, post_all

AT_ONCE = 16


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.asynccontextmanager
async def process(
    *command: str, port: int | None = None, environment: Mapping[str, str] | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a program until the block ends; with a port, wait until it listens there. Its log goes nowhere."""
    started = await asyncio.create_subprocess_exec(
        *command, env=os.environ | dict(environment or {}), stdout=DEVNULL, stderr=DEVNULL
    )
    try:
        if port is not None:
            await _listens(started, port)
        yield started
    finally:
        if started.returncode is None:
            started.send_signal(signal.SIGTERM)
        await started.wait()


async def _listens(started: asyncio.subprocess.Process, port: int) -> None:
    for _ in range(600):
        if started.returncode is not None:
            break
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        await asyncio.sleep(0.05)
    raise RuntimeError("A measured server did not start.")


@contextlib.asynccontextmanager
async def server(name: str, url: URL, folder: Path) -> AsyncIterator[str]:
    """Run one of the measured servers; gives its address."""
    port = free_port()
    environment = {"BENCH_DATABASE": libpq_url(url), "BENCH_FOLDER": str(folder)}
    command = (sys.executable, "-m", "tests.bench.servers", name, str(port))
    async with process(*command, port=port, environment=environment):
        yield f"http://127.0.0.1:{port}"


async def measure(name: str, path: str, requests: list[Request], url: URL, folder: Path) -> Timing:
    """Warm a server up with a tenth of the requests, then measure the rest."""
    async with server(name, url, folder) as base:
        return await timed(name, base + path, requests)


async def timed(name: str, address: str, requests: list[Request]) -> Timing:
    """Warm an address up with a tenth of the requests, then measure the rest.

    Raises:
        RuntimeError: where requests failed, so that its figures mean nothing.
    """
    warm = len(requests) // 10
    await post_all(address, requests[:warm], at_once=AT_ONCE)
    timing = await post_all(address, requests[warm:], at_once=AT_ONCE)
    if timing.failed:
        raise RuntimeError(f"{name}: {timing.failed} requests failed, so its figures mean nothing")
    return timing
