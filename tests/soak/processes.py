"""The product's processes as anybody runs them: started, killed, told to stop, frozen, and started again."""

import asyncio
import itertools
import os
import random
import signal
import socket
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from core.settings import Settings
from tests.soak.nursery import Child, Nursery

READY_WITHIN_SECONDS = 60.0
# As supervisors do, by `deploy/systemd`; whatever does not answer, a process ends within 30 s.
ENDS_WITHIN_SECONDS = 40.0
# One that ends like that said in a sentence why it could not start, e.g. because PostgreSQL was away.
COULD_NOT_START = 2


class ProcessFailedError(Exception):
    """A process that ended by itself, or would not end."""


def free_port() -> int:
    """Return a loopback port that was free a moment ago.

    Below those that systems give to clients: else one of theirs may have it while the web server is restarted.
    """
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def environment(settings: dict[str, str], folder: Path) -> dict[str, str]:
    """Return an environment that holds these settings and nothing of whoever runs the suite."""
    kept = {key: value for key, value in os.environ.items() if key.lower() not in Settings.model_fields}
    return kept | settings | {"SIDELINE_DATA_DIR": str(folder / "data")}


@dataclass(slots=True)
class Member:
    """One process that is kept running: whatever ends it, it is started again, as a supervisor would."""

    name: str
    arguments: tuple[str, ...]
    environment: dict[str, str]
    folder: Path
    nursery: Nursery
    port: int | None = None
    failures: list[str] = field(default_factory=list)
    # Times that it ended while starting.
    false_starts: int = 0
    _process: Child | None = None
    _started_at: float = 0.0
    _is_expected: bool = False
    _watch: asyncio.Task[None] | None = None
    # Two faults that strike it at once come one after the other.
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def log(self) -> Path:
        """What it wrote."""
        return self.folder / f"{self.name}.log"

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start it; it may take a second or two until it works."""
        self._process = self.nursery.start(self.arguments, self.environment, folder=self.folder, out=self.log)
        self._started_at, self._is_expected = time.monotonic(), False
        self._watch = asyncio.create_task(self._watched(self._process))

    async def end(self, number: signal.Signals, pause: float = 0.0) -> None:
        """Send it a signal that ends it, and wait until it has ended and `pause` seconds longer.

        Raises:
            ProcessFailedError: it went on.
        """
        process, self._is_expected = self._process, True
        if process is None or process.returncode is not None:
            return
        process.send_signal(number)
        try:
            async with asyncio.timeout(ENDS_WITHIN_SECONDS):
                await process.wait()
        except TimeoutError:
            process.send_signal(signal.SIGKILL)
            raise ProcessFailedError(f"{self.name} did not end within {ENDS_WITHIN_SECONDS:.0f} s") from None
        await asyncio.sleep(pause)

    async def restart(self, number: signal.Signals, pause: float) -> None:
        """End it with a signal, and start it again `pause` seconds later."""
        async with self._turn:
            await self.end(number, pause)
            await self.start()

    def freeze(self) -> None:
        """Stop its clock: it keeps its connections and knows of nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    async def is_ready(self) -> bool:
        """Whether it says that it can work; a worker says nothing, so it is asked nothing."""
        if self._process is None or self._process.returncode is not None:
            return False
        if self.port is None:
            return True
        async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
            try:
                return (await client.get(f"{self.url}/readyz")).is_success
            except httpx.TransportError:
                return False

    async def _watched(self, process: Child) -> None:
        code = await process.wait()
        if self._is_expected or process is not self._process:
            return
        lived = time.monotonic() - self._started_at
        if code != COULD_NOT_START:
            self.failures.append(f"{self.name} ended by itself after {lived:.0f} s (code {code}): {self.tail()}")
        self.false_starts += 1
        await asyncio.sleep(0.3)
        async with self._turn:
            # Unless a fault that struck meanwhile has started it again: two would fight for the port.
            if process is self._process and not self._is_expected:
                await self.start()

    def tail(self, characters: int = 1500) -> str:
        """Return the end of what it wrote."""
        return self.log.read_text(errors="replace")[-characters:] if self.log.exists() else ""


class Fleet:
    """All processes of one product: web and worker, each any number of times."""

    def __init__(self, settings: dict[str, str], folder: Path, ports: list[int], nursery: Nursery) -> None:
        self._environment, self._folder, self._nursery = environment(settings, folder), folder, nursery
        self._commands = itertools.count(1)
        self.webs = [self._member(f"web{n}", ("web", "--port", str(p)), p) for n, p in enumerate(ports, 1)]
        self.workers = [self._member(f"worker{n}", ("worker",)) for n in range(1, 4)]
        self.running: list[Member] = []

    def _member(self, name: str, arguments: tuple[str, ...], port: int | None = None) -> Member:
        return Member(name, arguments, self._environment, self._folder, self._nursery, port)

    @property
    def addresses(self) -> list[str]:
        """Where a load balancer would send requests."""
        return [each.url for each in self.running if each.port is not None]

    async def keep(self, webs: int, workers: int) -> None:
        """Have this many of each running; those that are too many are told to stop."""
        wanted = [*self.webs[:webs], *self.workers[:workers]]
        await asyncio.gather(*(each.end(signal.SIGTERM) for each in self.running if each not in wanted))
        await asyncio.gather(*(each.start() for each in wanted if each not in self.running))
        self.running = wanted

    async def wait_until_ready(self) -> None:
        """Wait until everything runs.

        Raises:
            ProcessFailedError: something does not.
        """
        deadline = time.monotonic() + READY_WITHIN_SECONDS
        for each in self.running:
            while not await each.is_ready():
                if time.monotonic() > deadline:
                    raise ProcessFailedError(f"{each.name} is not ready: {each.tail()}")
                await asyncio.sleep(0.1)

    async def close(self) -> None:
        """End everything."""
        for each in self.running:
            each.thaw()
        await asyncio.gather(*(each.end(signal.SIGKILL) for each in self.running))
        self.running = []

    async def command(self, *arguments: str) -> tuple[int, str]:
        """Run a command to its end; return its exit code and everything it wrote."""
        process = self.spawn(*arguments)
        return await process.wait(), process.output()

    def spawn(self, *arguments: str) -> Child:
        """Start a command."""
        out = self._folder / f"{arguments[0]}{next(self._commands)}.out"
        return self._nursery.start(arguments, self._environment, folder=self._folder, out=out)
