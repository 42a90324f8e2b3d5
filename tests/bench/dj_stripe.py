"""dj-stripe's webhook, as its documentation sets it up, on the same PostgreSQL in a database of its own."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.engine import URL

from core.database import libpq_url
from tests.bench.ground import engine_of
from tests.bench.serving import free_port, process

# `make bench` installs it there: what it needs does not go together with what the product needs.
PYTHON = Path(".venv-bench/bin/python")
DATABASE = "dj_stripe"
# The endpoint's own, made up; `tests/bench/dj_stripe_site.py` has it too.
PATH = "/webhook/00000000-0000-4000-8000-000000000001/"


async def is_installed() -> bool:
    """Say whether it is there to be measured, and what to do where it isn't."""
    if await asyncio.to_thread(PYTHON.exists):
        return True
    print("dj-stripe is not measured: `make bench` installs it.", file=sys.stderr)
    return False


@contextlib.asynccontextmanager
async def dj_stripe(url: URL) -> AsyncIterator[str]:
    """Run dj-stripe; gives its webhook's address."""
    with engine_of(url) as engine, engine.connect() as connection:
        connection.execute(text(f"create database {DATABASE}"))
    port = free_port()
    environment = {"BENCH_DATABASE": libpq_url(url.set(database=DATABASE))}
    command = (str(PYTHON), "-m", "tests.bench.dj_stripe_site", str(port))
    async with process(*command, port=port, environment=environment):
        yield f"http://127.0.0.1:{port}{PATH}"
