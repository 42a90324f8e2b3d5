"""Putting a running process together: `run`, `web`, `worker`."""

import asyncio
import atexit
import contextlib
import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Annotated

import structlog
import typer
import uvicorn
from fastapi import FastAPI

from bot.app import Bot, build_bot
from bot.messenger import SlackMessenger
from bot.oauth import build_install
from cli.ending import Deadline, ending_in_time
from cli.garbage import spare_what_stays
from cli.runtime import prepare_database
from core.jobs import WorkerState, run_workers
from core.services import Services, build_services
from core.settings import load_settings
from core.telemetry import telemetry
from web.app import build_web
from web.connections import server_config
from web.slack_endpoint import slack_endpoint

log = structlog.get_logger(__name__)

Host = Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 for all.")]
Port = Annotated[
    int | None, typer.Option(help="The port; else PUBLIC_URL's where that is this machine, else 8000.")
]
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Parts:
    """Which parts this process has, and where it listens."""

    web: bool
    worker: bool
    host: str = LOOPBACK
    port: int | None = None


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("run")(run)
    app.command("web")(web)
    app.command("worker")(worker)


def run(host: Host = LOOPBACK, port: Port = None) -> None:
    """Run everything in one process: web, bot and worker."""
    _start(Parts(web=True, worker=True, host=host, port=port))


def web(host: Host = LOOPBACK, port: Port = None) -> None:
    """Run the web server and the bot; `sideline worker` runs the background elsewhere."""
    _start(Parts(web=True, worker=False, host=host, port=port))


def worker() -> None:
    """Run the background alone; as many as you like, on any machines."""
    _start(Parts(web=False, worker=True))


def _start(parts: Parts) -> None:
    settings = load_settings()
    # It ends with the process: what makes the process end is to be reported too.
    atexit.register(telemetry.stop)
    telemetry.start(settings)
    services = build_services(settings, prepare_database(settings))
    # uvicorn knows which event loop is the fastest here.
    loop_factory = uvicorn.Config("", log_config=None).get_loop_factory()
    with ending_in_time() as deadline, asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(_serve(services, parts, deadline))


async def _serve(services: Services, parts: Parts, deadline: Deadline) -> None:
    """Serve until SIGINT or SIGTERM, then let what is under way end; `deadline` begins then."""
    stop = asyncio.Event()

    def end() -> None:
        deadline.begin()
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, end)
    bot = build_bot(services) if services.settings.is_slack_on else None
    try:
        await services.database.check_schema()
        async with _started(bot):
            tasks = _tasks(services, parts, bot, stop)
            spare_what_stays()
            await _until_stopped(tasks, stop)
    finally:
        await services.close()


@contextlib.asynccontextmanager
async def _started(bot: Bot | None) -> AsyncIterator[None]:
    if bot is None:
        log.warning("slack_is_off", hint="set SLACK_BOT_TOKEN to turn it on")
        yield
        return
    await bot.start()
    try:
        yield
    finally:
        await bot.close()


def _tasks(services: Services, parts: Parts, bot: Bot | None, stop: asyncio.Event) -> list[asyncio.Task[None]]:
    state = WorkerState() if parts.worker else None
    tasks: list[asyncio.Task[None]] = []
    if parts.web:
        endpoint = slack_endpoint(bot.app) if bot is not None else None
        install = build_install(services, bot.clubs) if bot is not None else None
        application = build_web(services, slack=endpoint, worker=state, install=install)
        tasks.append(asyncio.create_task(_serve_web(application, services, parts, stop)))
    if parts.worker:
        messenger = SlackMessenger(services, bot.clubs) if bot is not None else None
        workers = run_workers(services.jobs, services.database, services.handlers(messenger), state)
        tasks.append(asyncio.create_task(workers))
    return tasks


async def _until_stopped(tasks: list[asyncio.Task[None]], stop: asyncio.Event) -> None:
    """Wait for the signal, or for a part that ends by itself, which it should not; then end them all."""
    waiting = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait([*tasks, waiting], return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    _, unfinished = await asyncio.wait(tasks, timeout=0.1)
    for task in unfinished:
        task.cancel()
    await asyncio.gather(*tasks, waiting, return_exceptions=True)
    for ended in done - {waiting}:
        ended.result()


class _Server(uvicorn.Server):
    """A server that leaves signals to us: the worker in the same process has to hear of them too."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


async def _serve_web(application: FastAPI, services: Services, parts: Parts, stop: asyncio.Event) -> None:
    port = parts.port or services.settings.port
    server = _Server(server_config(application, services.settings, host=parts.host, port=port))
    serving = asyncio.create_task(server.serve())
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        # Told to hurry: the drain is bounded, so wait for it all the same.
        await serving
        raise
    finally:
        stopping.cancel()
