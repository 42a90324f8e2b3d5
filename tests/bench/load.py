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
    """What runs measured: how long they took together, and each request, in milliseconds."""

    seconds: float
    took: list[float]
    failed: int

    @property
    def per_second(self) -> float:
        """Requests a second."""
        return len(self.took) / self.seconds

    def percentile(self, percent: int) -> float:
        """Return the milliseconds within which so many of a hundred requests were answered."""
        return quantiles(self.took, n=100)[percent - 1]


def together(runs: Sequence[Timing]) -> Timing:
    """Return several runs as one."""
    return Timing(
        sum(run.seconds for run in runs),
        [each for run in runs for each in run.took],
        sum(run.failed for run in runs),
    )


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
    return Timing(time.perf_counter() - start, took, failed)


async def _read_answer(reader: asyncio.StreamReader) -> int:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    lines = head.split("\r\n")
    length = next(int(line.partition(":")[2]) for line in lines if line.lower().startswith("content-length:"))
    await reader.readexactly(length)
    return int(lines[0].split(" ")[1])
