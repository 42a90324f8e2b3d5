"""`GET /healthz` and `GET /readyz`: whether this process lives, and whether it can do its work."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from fastapi import APIRouter
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import JSONResponse, Response

from core.database import Database
from core.errors import SchemaOutdatedError
from core.jobs import WorkerState

CHECK_SECONDS = 2.0
OK = "ok"
_QUEUE = text("select 1 from procrastinate_jobs limit 1")

Check = Callable[[], Awaitable[str]]


def health_routes(database: Database, worker: WorkerState | None) -> APIRouter:
    """Return both routes. `worker` is this process's, or None where it has none."""
    router = APIRouter()
    checks = _checks(database, worker)

    @router.api_route("/healthz", methods=["GET", "HEAD"], response_model=None)
    async def alive() -> Response:
        return JSONResponse({"alive": True})

    @router.api_route("/readyz", methods=["GET", "HEAD"], response_model=None)
    async def ready() -> Response:
        # All at once: together they take no longer than one may.
        results = await asyncio.gather(*(_bounded(check) for check in checks.values()))
        is_ready = all(result == OK for result in results)
        body = {"ready": is_ready, "checks": dict(zip(checks, results, strict=True))}
        return JSONResponse(body, 200 if is_ready else 503, {"Cache-Control": "no-store"})

    return router


def _checks(database: Database, worker: WorkerState | None) -> Mapping[str, Check]:
    async def reachable() -> str:
        return OK if await database.is_reachable() else "not reachable"

    async def schema() -> str:
        try:
            await database.check_schema()
        except SchemaOutdatedError as error:
            return str(error)
        return OK

    async def queue() -> str:
        async with database.transaction() as conn:
            await conn.execute(_QUEUE)
        return OK

    async def running() -> str:
        return OK if worker is not None and worker.is_running else "stopped"

    checks: dict[str, Check] = {"database": reachable, "schema": schema, "queue": queue}
    return checks if worker is None else {**checks, "worker": running}


async def _bounded(check: Check) -> str:
    """Run a check; a server that hangs must not make this hang too."""
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await check()
    except TimeoutError:
        return f"no answer within {CHECK_SECONDS:.0f} s"
    except (SQLAlchemyError, OSError):
        return "unusable"
