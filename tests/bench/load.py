"""A small HTTP client that keeps so many requests under way and notes how long each took."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import quantiles
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Request:
    """One POST."""

    body: bytes
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Timing:
    """What a run measured: requests a second, and milliseconds."""

    per_second: float
    p50: float
    p95: float
    p99: float
    failed: int


async def post_all(url: str, requests: Sequence[Request], *, at_once: int) -> Timing:
    """Send every request over `at_once` kept-alive connections."""
    waiting = iter(requests)
    took: list[float] = []
    failed = 0
    target = urlsplit(url)

    async def connection() -> None:
        nonlocal failed
        reader, writer = await asyncio.open_connection(target.hostname, target.port)
        for request in waiting:
            head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
            start = time.perf_counter()
            writer.write(
                f"POST {target.path} HTTP/1.1\r\nHost: {target.netloc}\r\n"
                f"Content-Length: {len(request.body)}\r\n{head}\r\n".encode()
                + request.body
            )
            status = await _read_answer(reader)
            took.append((time.perf_counter() - start) * 1000)
            failed += status != 200
        writer.close()

    start = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(connection())
    seconds = time.perf_counter() - start
    cuts = quantiles(took, n=100)
    return Timing(len(took) / seconds, cuts[49], cuts[94], cuts[98], failed)


async def _read_answer(reader: asyncio.StreamReader) -> int:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    lines = head.split("\r\n")
    length = next(int(line.partition(":")[2]) for line in lines if line.lower().startswith("content-length:"))
    await reader.readexactly(length)
    return int(lines[0].split(" ")[1])
