"""`sideline demo`: the whole product against local stand-ins, to click through or to watch."""

import asyncio
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import httpx
import typer

from bot.manifest import manifest
from cli.output import say
from core.errors import SidelineError
from core.settings import Settings

READY_WITHIN_SECONDS = 60


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    app.command("demo")(demo)


def demo(
    once: Annotated[bool, typer.Option("--once", help="Play the whole story, print every step, and end.")] = False,
    port: Annotated[int, typer.Option(help="Where the demo's start page listens; 0 takes a free port.")] = 8200,
) -> None:
    """Try everything with a made-up club and stand-ins for Slack, Stripe and the mail server. Nothing leaves."""
    folder = Path(tempfile.mkdtemp(prefix="sideline-demo-"))
    try:
        asyncio.run(_play_story(folder) if once else _stay_open(folder, port))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Product:
    """The product as anybody runs it: separate processes, told where the world is by their environment alone."""

    def __init__(self, folder: Path, settings: dict[str, str]) -> None:
        self._folder = folder
        # What the user set for a real club must not reach the demo, nor the other way round.
        kept = {key: value for key, value in os.environ.items() if key.lower() not in Settings.model_fields}
        self._environment = kept | settings | {"SIDELINE_DATA_DIR": str(folder / "data")}
        self._running: asyncio.subprocess.Process | None = None
        self.log = folder / "product.log"

    async def command(self, *arguments: str) -> str:
        """Run a command to its end and return what it printed.

        Raises:
            SidelineError: where it failed, with its words.
        """
        process = await self._spawn(*arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
        out, err = await process.communicate()
        if process.returncode != 0:
            words = (err or out).decode(errors="replace").strip()
            raise SidelineError(f"`sideline {' '.join(arguments)}` failed: {words}")
        return out.decode().strip()

    @asynccontextmanager
    async def running(self, url: str) -> AsyncIterator[None]:
        """Run `sideline run` while the block runs; it answers at `url` when the block starts."""
        with self.log.open("ab") as log:
            self._running = await self._spawn("run", "--port", url.rpartition(":")[2], stdout=log, stderr=log)
        try:
            await self._wait_until_ready(url)
            yield
        finally:
            if self._running.returncode is None:
                self._running.send_signal(signal.SIGTERM)
            await self._running.wait()

    async def _wait_until_ready(self, url: str) -> None:
        deadline = time.monotonic() + READY_WITHIN_SECONDS
        async with httpx.AsyncClient() as client:
            while time.monotonic() < deadline:
                if self._running is not None and self._running.returncode is not None:
                    raise SidelineError(f"`sideline run` ended: {self.log.read_text()[-800:]}")
                try:
                    if (await client.get(f"{url}/readyz")).status_code == httpx.codes.OK:
                        return
                except httpx.TransportError:
                    pass
                await asyncio.sleep(0.1)
        raise SidelineError(f"`sideline run` was not ready in time: {self.log.read_text()[-800:]}")

    async def _spawn(self, *arguments: str, stdout: object, stderr: object) -> asyncio.subprocess.Process:
        code = "from cli.app import main; main()"
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            code,
            *arguments,
            stdout=stdout,  # type: ignore[arg-type] # a pipe's number or a file
            stderr=stderr,  # type: ignore[arg-type] # the same
            env=self._environment,
            cwd=self._folder,
            # Ctrl-C is for us: we end the product ourselves, in order.
            start_new_session=True,
        )


async def set_up_sample_club(product: Product, tell: Callable[[str, str], None]) -> None:
    """Do what a new club does first: make it, bring the roster in, charge a month, mint the links."""
    from sandbox.sample import CLUB, ROSTER  # noqa: PLC0415 - only the demo needs the sandbox

    await product.command("init", "--club", CLUB, "--reply-to", "office@rivercity.test")
    tell("The club's database is ready", f"sideline init --club “{CLUB}”")
    tell("The roster comes in", await product.command("import", "roster", str(ROSTER), "--commit"))
    tell("A month is charged", await product.command("bill", "monthly", "--period", "2026-12", "--commit"))
    tell("Payment links are minted", await product.command("backfill", "payment-links", "--commit"))


def free_port() -> int:
    """Return a loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _stay_open(folder: Path, port: int) -> None:
    from sandbox.world import open_world  # noqa: PLC0415 - only the demo needs the sandbox

    started = time.monotonic()
    say("Setting up a made-up club…")
    url = f"http://127.0.0.1:{free_port()}"
    async with open_world(url, manifest=manifest(url, socket_mode=False), home_port=port) as world:
        product = Product(folder, world.settings())
        await set_up_sample_club(product, lambda step, _evidence: say(f"  {step}"))
        async with product.running(url):
            say(f"Ready in {time.monotonic() - started:.0f} s. Open {world.home_url}")
            say("Ctrl-C ends it; nothing is kept.")
            stop = asyncio.Event()
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, stop.set)
            await stop.wait()


async def _play_story(folder: Path) -> None:
    from cli.demo_story import Story  # noqa: PLC0415 - only the demo needs the sandbox
    from sandbox.world import open_world  # noqa: PLC0415 - the same

    url = f"http://127.0.0.1:{free_port()}"
    async with open_world(url, manifest=manifest(url, socket_mode=False)) as world:
        product = Product(folder, world.settings())
        story = Story(world)
        await set_up_sample_club(product, story.tell)
        async with product.running(url):
            await story.play()
    story.end()
