"""The terminal's commands as people run them: processes of their own, on a real database."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL

from core.settings import Settings
from tests.books import database_settings
from tests.cli.forked import run_command

ROSTER = """\
First,Last,Team,Parent 1 First Name,Parent 1 Last Name,Parent 1 Email,Monthly Fee,Contract Status
Jaxon,Reed,U12 Blue,Pat,Reed,pat@example.com,$150,signed
Mia,Reed,U10 Gold,Pat,Reed,PAT@example.com,150.00,signed
Zoë,O'Brien,U12 Blue,Siobhán,O'Brien,siobhan@example.com,120,sent
No,Address,U12 Blue,,,,120,signed
"""

Run = Callable[..., CompletedProcess[str]]


@pytest.fixture
def run(database_url: URL, tmp_path: Path) -> Run:
    kept = {key: value for key, value in os.environ.items() if key.lower() not in Settings.model_fields}
    environment = kept | {
        "DATABASE_URL": str(database_settings(database_url)["database_url"]),
        "SECRET_KEY": "a made-up key for the tests",
    }

    def run(*arguments: str, **given: str) -> CompletedProcess[str]:
        return run_command(arguments, environment | given, tmp_path)

    return run


def last_json(done: CompletedProcess[str]) -> dict[str, object]:
    found: dict[str, object] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def count(url: URL, table: str) -> int:
    engine = create_engine(url)
    with engine.connect() as connection:
        found = connection.scalar(text(f"select count(*) from {table}"))
    engine.dispose()
    return int(found or 0)


def test_a_club_from_nothing_to_its_first_bills(run: Run, database_url: URL, tmp_path: Path) -> None:
    roster = tmp_path / "roster.csv"
    roster.write_text(ROSTER, encoding="utf-8-sig")
    assert "River City FC is set up" in run("init", "--club", "River City FC").stdout

    rehearsed = run("import", "roster", str(roster), "--json")
    assert rehearsed.returncode == 1
    assert "line 5" in rehearsed.stdout
    assert last_json(rehearsed)["created"] == 3
    assert count(database_url, "players") == 0

    imported = run("import", "roster", str(roster), "--commit", "--json")
    assert (last_json(imported)["created"], last_json(imported)["failed"]) == (3, 1)
    assert count(database_url, "parents") == 2
    again = last_json(run("import", "roster", str(roster), "--commit", "--json"))
    assert (again["created"], again["updated"], again["skipped"]) == (0, 0, 3)

    rehearsed = run("bill", "monthly", "--period", "2026-12", "--json")
    assert (rehearsed.returncode, last_json(rehearsed)["created"]) == (0, 2)
    assert count(database_url, "orders") + count(database_url, "products") == 0
    assert last_json(run("bill", "monthly", "--period", "2026-12", "--commit", "--json"))["created"] == 2
    billed_again = last_json(run("bill", "monthly", "--period", "2026-12", "--commit", "--json"))
    assert (billed_again["created"], billed_again["skipped"]) == (0, 2)
    assert count(database_url, "orders") == 2

    links = run("backfill", "payment-links", "--json")
    assert (links.returncode, last_json(links)["created"]) == (0, 2)
    unset = run("backfill", "payment-links", "--commit", "--json")
    assert (unset.returncode, last_json(unset)["failed"]) == (1, 2)
    assert "STRIPE_SECRET_KEY" in unset.stdout

    mail = run("blast", "outstanding", "--json")
    assert last_json(mail)["created"] == 1
    assert count(database_url, "blasts") == 0


@pytest.mark.parametrize(
    ("arguments", "settings", "words"),
    [
        (("bill", "monthly", "--period", "2026-12"), {}, "sideline init"),
        (("bill", "monthly", "--period", "Dec"), {}, "2026-12"),
        (("import", "roster", "missing.csv"), {}, "missing.csv"),
        (("migrate",), {"PUBLIC_URL": "nowhere"}, "PUBLIC_URL"),
        (("run",), {"SMTP_URL": "mail"}, "SMTP_URL"),
        (("init", "--club", "X", "--currency", "dollars"), {}, "--currency"),
        (("init", "--club", "X", "--time-zone", "Mars"), {}, "--time-zone"),
    ],
)
def test_wrong_use_is_one_line_that_says_what_to_do(
    run: Run, arguments: tuple[str, ...], settings: dict[str, str], words: str
) -> None:
    done = run(*arguments, **settings)
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_help_names_every_command(run: Run) -> None:
    words = run("--help").stdout
    for command in (
        "run",
        "web",
        "worker",
        "migrate",
        "demo",
        "doctor",
        "init",
        "slack-manifest",
        "import",
        "bill",
        "backfill",
        "blast",
    ):
        assert command in words


def test_the_doctor_names_what_is_missing(run: Run) -> None:
    run("init", "--club", "River City FC")
    done = run("doctor")
    assert done.returncode == 1
    for words in ("ok   Database", "FAIL Slack", "SLACK_BOT_TOKEN", "STRIPE_SECRET_KEY", "SMTP_URL"):
        assert words in done.stdout


def test_the_manifest_is_json_with_the_clubs_address(run: Run) -> None:
    done = run("slack-manifest", PUBLIC_URL="https://pay.club.example/")
    made = json.loads(done.stdout)
    assert {command["command"] for command in made["features"]["slash_commands"]} == {
        "/player",
        "/resend",
        "/blast",
        "/dues",
    }
    assert "https://pay.club.example/slack/events" in done.stdout
