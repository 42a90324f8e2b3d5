"""Starts the product's processes from one that has imported the program already.

Each is forked, and then does all that `sideline …` does at a prompt: settings, database, signals and event loop
are its own. Only the second or two of importing, which a run with its thousands of starts would spend most of its
time on, is not paid again.
"""

import asyncio
import gc
import io
import itertools
import json
import os
import selectors
import signal
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

_MODULE = "tests.soak.nursery"
_NOT_FOR_US = (signal.SIGTERM, signal.SIGINT)


@dataclass(slots=True)
class Child:
    """A process of the product's; `returncode` is None while it runs, negative where a signal ended it."""

    number: int
    nursery: "Nursery"
    out: Path
    _ended: asyncio.Future[int] = field(repr=False)

    @property
    def returncode(self) -> int | None:
        """How it ended."""
        return self._ended.result() if self._ended.done() else None

    async def wait(self) -> int:
        """Wait until it has ended."""
        return await asyncio.shield(self._ended)

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal; one that comes after its end reaches nobody."""
        self.nursery.tell({"number": self.number, "signal": int(number)})

    def output(self) -> str:
        """Return what was written to its file, by it and those that had the file before."""
        return self.out.read_text(encoding="utf-8", errors="replace")


class Nursery:
    """The process that all others are forked from. They end with it, and it ends with the harness."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._ended: dict[int, asyncio.Future[int]] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._listening: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Start it."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", _MODULE, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        self._listening = asyncio.create_task(self._listen())

    async def close(self) -> None:
        """End it, and with it whatever still runs."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            await self._process.wait()
        if self._listening is not None:
            await self._listening

    def start(self, arguments: Iterable[str], environment: Mapping[str, str], *, folder: Path, out: Path) -> Child:
        """Start `sideline` with these arguments in this folder; what it writes is added to `out`."""
        number = next(self._numbers)
        ended = self._ended[number] = asyncio.get_running_loop().create_future()
        self.tell(
            {
                "number": number,
                "arguments": list(arguments),
                "environment": dict(environment),
                "folder": str(folder),
                "out": str(out),
            }
        )
        return Child(number, self, out, ended)

    def tell(self, words: Mapping[str, object]) -> None:
        """Send it a line."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.write(json.dumps(words).encode() + b"\n")

    async def _listen(self) -> None:
        if self._process is None or self._process.stdout is None:
            return
        async for line in self._process.stdout:
            told = json.loads(line)
            self._ended.pop(told["number"]).set_result(told["code"])


class _Forker:
    """What runs in the process of its own."""

    def __init__(self) -> None:
        self._running: dict[int, int] = {}  # numbers by process id

    def work(self) -> None:
        """Do what is told until nobody is there to tell; returns in a forked process, too."""
        read, write = os.pipe()
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        # Whoever stops the run stops the harness, which then lets go of this.
        for number in _NOT_FOR_US:
            signal.signal(number, signal.SIG_IGN)
        with selectors.DefaultSelector() as selector:
            selector.register(sys.stdin.fileno(), selectors.EVENT_READ)
            selector.register(read, selectors.EVENT_READ)
            rest = b""
            while True:
                ready = [key.fd for key, _ in selector.select()]
                if read in ready:
                    os.read(read, 4096)
                    self._bury()
                if sys.stdin.fileno() not in ready:
                    continue
                got = os.read(sys.stdin.fileno(), 1 << 20)
                if not got:
                    break
                *lines, rest = (rest + got).split(b"\n")
                for line in lines:
                    self._obey(json.loads(line), (read, write))
        for pid in self._running:
            os.kill(pid, signal.SIGKILL)

    def _bury(self) -> None:
        while self._running:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            told = {"number": self._running.pop(pid), "code": os.waitstatus_to_exitcode(status)}
            print(json.dumps(told), flush=True)

    def _obey(self, told: dict[str, Any], pipe: tuple[int, int]) -> None:
        if "signal" in told:
            for pid in [pid for pid, number in self._running.items() if number == told["number"]]:
                os.kill(pid, told["signal"])
            return
        # One that comes before the process can hear it waits until it can.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _NOT_FOR_US)
        pid = os.fork()
        if pid:
            self._running[pid] = told["number"]
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            return
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for descriptor in pipe:
            os.close(descriptor)
        _become(told)


def _become(told: dict[str, Any]) -> None:
    """Be `sideline` from here on."""
    os.setsid()
    os.chdir(told["folder"])
    os.environ.clear()
    os.environ.update(told["environment"])
    with Path(os.devnull).open("rb") as nothing, Path(told["out"]).open("ab") as out:
        for file, descriptor in ((nothing, 0), (out, 1), (out, 2)):
            os.dup2(file.fileno(), descriptor)
    for stream in (sys.stdout, sys.stderr):
        cast("io.TextIOWrapper", stream).reconfigure(line_buffering=True)
    sys.argv = ["sideline", *told["arguments"]]
    from cli.app import main  # noqa: PLC0415 - imported before the first fork, see below

    main()
    sys.exit()


if __name__ == "__main__":
    import cli.app  # noqa: F401 - what all processes share

    # Else each of them copies, and at its end takes apart, what it only shares.
    gc.collect()
    gc.freeze()
    _Forker().work()
