"""The files that a club is run with: they name what exists, and an older program bears a newer schema."""

import configparser
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.engine import URL

from cli.ending import ENDS_WITHIN_SECONDS
from core.database import Database, libpq_url
from core.errors import SchemaOutdatedError
from core.services import Services
from core.settings import Settings
from tests.bot.conftest import Club
from tests.web.conftest import web_client

ROOT = Path(__file__).parent.parent.parent
# As in migrations/env.py, which can't be imported without running.
LOCK = 5_150_402
WAITING = """
    select 1 from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
        and state = 'idle' and query ilike 'commit'
"""
UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))


async def test_while_an_upgrade_is_rolled_out_the_version_before_stays_ready(club: Club) -> None:
    services: Services = club.services
    async with services.database.transaction() as conn:
        await conn.execute(text("update alembic_version set version_num = '9999'"))
    await services.database.check_schema()
    async with web_client(services) as client:
        assert (await client.get("/readyz")).json()["checks"]["schema"] == "ok"


async def test_a_schema_that_is_behind_is_not_borne(database: Database) -> None:
    async with database.transaction() as conn:
        await conn.execute(text("update alembic_version set version_num = '0001'"))
    with pytest.raises(SchemaOutdatedError, match="sideline migrate"):
        await database.check_schema()


def test_an_index_is_made_while_another_machine_waits_to_migrate(database_url: URL) -> None:
    """Waiting inside PostgreSQL would be waited for by CREATE INDEX CONCURRENTLY, for ever."""
    address = database_url.render_as_string(hide_password=False)
    code = (
        f"from sqlalchemy import make_url; from core.schema_version import migrate; migrate(make_url({address!r}))"
    )
    with psycopg.connect(libpq_url(database_url), autocommit=True) as first:
        first.execute("select pg_advisory_lock(%s)", [LOCK])
        second = subprocess.Popen([sys.executable, "-c", code])
        while not first.execute(WAITING).fetchone():
            assert second.poll() is None
            time.sleep(0.05)
        first.execute("set statement_timeout = '10s'")
        first.execute("create index concurrently ix_orders_paid_at on orders (paid_at)")
        assert second.poll() is None
    assert second.wait(timeout=60) == 0


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_finds_nothing_wrong_with_a_unit(unit: Path, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not here")
    instance = tmp_path / unit.name.replace("@", "@8001")
    instance.write_text(unit.read_text().replace("/opt/sideline/bin/sideline", "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(instance)],  # noqa: S607 - wherever it is installed
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if "Failed to" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert unit.name.split("@", maxsplit=1)[0] not in done.stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_stops_after_the_drain_and_is_not_root(unit: Path) -> None:
    parsed = configparser.ConfigParser(strict=False, interpolation=None)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]
    parsed.read(unit)
    service = parsed["Service"]
    assert service["User"] == "sideline"
    assert int(service["TimeoutStopSec"]) > ENDS_WITHIN_SECONDS
    assert service["NoNewPrivileges"] == "yes"


def test_the_settings_to_fill_in_are_settings() -> None:
    named = re.findall(r"^([A-Z_]+)=", (ROOT / "deploy" / "sideline.env.example").read_text(), re.MULTILINE)
    assert {name.lower() for name in named} <= set(Settings.model_fields)


def test_the_image_is_pinned_and_not_root() -> None:
    lines = (ROOT / "deploy" / "Containerfile").read_text()
    assert "--require-hashes -r requirements.lock" in lines
    assert re.search(r"^USER 10001$", lines, re.MULTILINE)
    assert "/readyz" in lines


def pinned(file: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9._-]+(?:\[[a-z,]+\])?)==(\S+)", file.read_text(), re.MULTILINE))


def test_what_runs_is_what_was_tested() -> None:
    tested, running = pinned(ROOT / "requirements.lock"), pinned(ROOT / "deploy" / "requirements.lock")
    assert {name: version for name, version in running.items() if tested.get(name) != version} == {}
    assert {"sentry-sdk", "opentelemetry-sdk", "hatchling", "uvicorn"} <= running.keys()
    assert "pytest" not in running
