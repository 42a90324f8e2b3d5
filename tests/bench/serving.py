"""Runs a measured server in a process of its own, and measures it."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import URL

from core.database import libpq_url
from tests.bench.load import Request, Timing, post_all, together

AT_ONCE = 16
TURNS = 6


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
async def server(name: str, url: URL, folder: Path, path: str) -> AsyncIterator[str]:
    """Run one of the measured servers; gives the address of its path."""
    port = free_port()
    environment = {"BENCH_DATABASE": libpq_url(url), "BENCH_FOLDER": str(folder)}
    command = (sys.executable, "-m", "tests.bench.servers", name, str(port))
    async with process(*command, port=port, environment=environment):
        yield f"http://127.0.0.1:{port}{path}"


@dataclass(frozen=True)
class Contestant:
    """What is measured: its name in the table, what it is sent, and what starts it and gives its address."""

    name: str
    requests: Sequence[Request]
    started: AbstractAsyncContextManager[str]


async def in_turn(contestants: Sequence[Contestant]) -> list[tuple[str, Timing]]:
    """Warm each up with a tenth of its requests, then measure a slice of each by turns.

    A machine that grows slower or faster meanwhile does so for all of them.

    Raises:
        RuntimeError: where requests failed, so that figures mean nothing.
    """
    async with contextlib.AsyncExitStack() as stack:
        addresses = [await stack.enter_async_context(each.started) for each in contestants]
        slices = [_slices(each.requests) for each in contestants]
        runs: list[list[Timing]] = [[] for _ in contestants]
        for turn in range(1 + TURNS):
            for number, address in enumerate(addresses):
                runs[number].append(await post_all(address, slices[number][turn], at_once=AT_ONCE))
    measured = [together(each[1:]) for each in runs]
    for each, timing in zip(contestants, measured, strict=True):
        if timing.failed:
            raise RuntimeError(f"{each.name}: {timing.failed} requests failed, so its figures mean nothing")
    return [(each.name, timing) for each, timing in zip(contestants, measured, strict=True)]


def _slices(requests: Sequence[Request]) -> list[Sequence[Request]]:
    """Return the requests that warm up, and those of each turn."""
    warm = len(requests) // 10
    size = -(-(len(requests) - warm) // TURNS)
    return [requests[:warm], *(requests[start : start + size] for start in range(warm, len(requests), size))]
