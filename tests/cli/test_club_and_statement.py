"""`club set` and `statement` as people run them."""

from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL

from tests.cli.test_commands import ROSTER, Run, count, last_json, run

__all__ = ["run"]


@pytest.fixture
def club(run: Run, tmp_path: Path) -> Run:
    roster = tmp_path / "roster.csv"
    roster.write_text(ROSTER.rpartition("No,")[0], encoding="utf-8")
    run("init", "--club", "River City FC")
    run("import", "roster", str(roster), "--commit")
    run("bill", "monthly", "--period", "2026-12", "--commit")
    return run


def details(url: URL) -> tuple[object, ...]:
    engine = create_engine(url)
    with engine.connect() as connection:
        row = connection.execute(text("select sends_receipts, reply_to, time_zone from tenants")).one()
    engine.dispose()
    return tuple(row)


def test_details_are_changed_once_and_written_down(run: Run, database_url: URL) -> None:
    run("init", "--club", "River City FC")
    change = ("club", "set", "--receipts", "off", "--reply-to", "office@club.example", "--json")
    rehearsed = run(*change)
    assert (rehearsed.returncode, last_json(rehearsed)["created"]) == (0, 2)
    assert "sends_receipts: on becomes off" in rehearsed.stdout
    assert details(database_url) == (True, None, "America/New_York")
    done = last_json(run(*change, "--commit"))
    assert (done["created"], done["committed"]) == (2, True)
    assert details(database_url) == (False, "office@club.example", "America/New_York")
    again = last_json(run(*change, "--commit"))
    assert (again["created"], again["skipped"]) == (0, 2)
    assert count(database_url, "audit_log where action = 'club.set'") == 1
    assert run("club", "set", "--reply-to", "", "--commit").returncode == 0
    assert details(database_url)[1] is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "Say what to change"),
        (("--reply-to", "nobody"), "--reply-to"),
        (("--time-zone", "Mars"), "--time-zone"),
        (("--brand-color", "red"), "#0b6e4f"),
    ],
)
def test_wrong_details_are_one_line(run: Run, arguments: tuple[str, ...], words: str) -> None:
    run("init", "--club", "River City FC")
    done = run("club", "set", *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_statement_is_written(club: Run, tmp_path: Path) -> None:
    file = tmp_path / "reed.pdf"
    done = club("statement", "--player", "jaxon  reed", "--out", str(file), "--json")
    assert done.returncode == 0, done.stderr
    assert "Pat Reed" in done.stdout
    assert last_json(done)["closing_cents"] == 30000
    assert file.read_bytes().startswith(b"%PDF-")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--player", "Nobody Here"), "Nobody Here"),
        (("--player", "Jaxon Reed", "--email", "x@example.com"), "x@example.com"),
        (("--player", "Jaxon Reed", "--year", "2999"), "2999"),
        (("--player", "Jaxon Reed", "--out", "no/such/folder/x.pdf"), "can't be written"),
    ],
)
def test_what_cannot_be_written_is_one_line(club: Run, arguments: tuple[str, ...], words: str) -> None:
    done = club("statement", *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
