"""Items, instalments, second guardians, exports and imports, as an operator types them."""

import csv
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL

from tests.cli.test_commands import Run, count, last_json, run

__all__ = ["run"]

JSON = ("--json",)
JERSEY = ("bill", "item", "--name", "Home jersey", "--category", "jersey", "--price", "65.00", "--json")
KIT = ("bill", "item", "--name", "Uniform kit", "--category", "generic", "--price", "200.01", "--json")


BOOKS = """
    insert into tenants (name) values ('River City FC');
    insert into teams (tenant_id, name) values (1, 'U12 Blue'), (1, 'U10 Gold');
    insert into parents (tenant_id, first_name, last_name, email)
    values (1, 'Pat', 'Reed', 'pat@example.com'), (1, 'Siobhán', 'O''Brien', 'siobhan@example.com');
    insert into players (tenant_id, parent_id, team_id, first_name, last_name)
    values (1, 1, 1, 'Jaxon', 'Reed'), (1, 1, 2, 'Mia', 'Reed'), (1, 2, 1, 'Zoë', 'O''Brien');
"""


@pytest.fixture
def club(run: Run, database_url: URL) -> Run:
    engine = create_engine(database_url)
    with engine.begin() as connection:
        for statement in BOOKS.split(";")[:-1]:
            connection.execute(text(statement))
    engine.dispose()
    return run


def test_an_item_is_charged_once(club: Run, database_url: URL) -> None:
    whom = ("--player", "Jaxon Reed", "--player", "Nobody Known", "--team", "u10 gold", "--team", "U99")
    rehearsed = club(*JERSEY, *whom, "--due", "2027-01-15")
    assert (rehearsed.returncode, last_json(rehearsed)["created"], count(database_url, "orders")) == (1, 2, 0)
    done = club(*JERSEY, *whom, "--commit")
    told = last_json(done)
    assert (done.returncode, told["created"], told["failed"], told["total_cents"]) == (1, 2, 2, 13000)
    assert {problem["player"] for problem in told["problems"]} == {"Nobody Known", "U99"}  # type: ignore[attr-defined]
    everybody = club(*JERSEY, "--all", "--commit")
    assert everybody.returncode == 0
    assert (last_json(everybody)["created"], last_json(everybody)["skipped"]) == (1, 2)
    again = last_json(club(*JERSEY, "--all", "--commit"))
    assert (again["created"], again["skipped"], count(database_url, "orders")) == (0, 3, 3)


def test_instalments_sum_to_the_price(club: Run, database_url: URL) -> None:
    plan = ("--player", "Jaxon Reed", "--instalments", "4", "--every", "month", "--start", "2090-01-31")
    done = club(*KIT, *plan, "--commit")
    assert (last_json(done)["created"], last_json(done)["total_cents"]) == (4, 20001)
    for day in ("2090-01-31", "2090-02-28", "2090-03-31", "2090-04-30"):
        assert f"due {day}" in done.stdout
    assert "Uniform kit, 1 of 4, $50.01" in done.stdout
    assert last_json(club(*KIT, *plan, "--commit"))["skipped"] == 1
    assert count(database_url, "instalment_plans") == 1
    late = club(*KIT, "--all", "--instalments", "2", "--start", "2001-01-01")
    assert (late.returncode, "start later" in late.stderr) == (2, True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "--all"),
        (("--all", "--player", "Jaxon Reed"), "--all"),
        (("--all", "--start", "2027-01-01"), "--due"),
        (("--all", "--instalments", "4", "--due", "2027-01-01"), "--start"),
        (("--all", "--price", "much"), "amount"),
        (("--all", "--category", "monthly"), "jersey"),
    ],
)
def test_wrong_use_is_one_line(run: Run, options: tuple[str, ...], words: str) -> None:
    done = run(*KIT, *options)
    assert (done.returncode, len(done.stderr.strip().splitlines())) == (2, 1)
    assert words in done.stderr


def test_a_second_guardian_is_set_and_removed(club: Run) -> None:
    sam = (
        "guardian",
        "set",
        "--player",
        "jaxon reed",
        "--email",
        "sam@example.com",
        "--name",
        "Sam Lee",
        "--json",
    )
    assert "Sam Lee would now get copies" in club(*sam).stdout
    done = club(*sam, "--share", "40", "--commit")
    assert "Sam Lee now pays 40% of Jaxon Reed's fees" in done.stdout
    assert "new orders" in done.stdout
    assert last_json(done)["created"] == 1
    assert last_json(club(*JERSEY, "--player", "Jaxon Reed", "--commit"))["created"] == 2
    remove = ("guardian", "remove", "--player", "Jaxon Reed", "--commit", "--json")
    refused = club(*remove)
    assert (refused.returncode, "--move-orders" in refused.stderr) == (2, True)
    assert last_json(club(*remove, "--move-orders"))["moved_orders"] == 1
    unknown = club("guardian", "remove", "--player", "Nobody Known")
    assert (unknown.returncode, "Nobody Known" in unknown.stderr) == (2, True)


def test_orders_go_out_and_come_in(club: Run, database_url: URL, tmp_path: Path) -> None:
    club(*JERSEY, "--all", "--commit")
    wrote = club("export", "orders", "--out", "orders.csv", "--json")
    assert last_json(wrote)["created"] == 3
    content = (tmp_path / "orders.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(content.decode("utf-8-sig").splitlines()))
    assert {row["Player"] for row in rows} == {"Jaxon Reed", "Mia Reed", "Zoë O'Brien"}
    back = club("import", "orders", "orders.csv", "--commit", "--json")
    assert (last_json(back)["created"], last_json(back)["skipped"]) == (0, 3)
    assert club("export", "balances").stdout.count("65.00") >= 3


def test_another_programs_orders_come_in(club: Run, database_url: URL, tmp_path: Path) -> None:
    more = tmp_path / "more.csv"
    more.write_text("Player;Parent Email;Item;Amount;Status\nMia Reed;pat@example.com;Cap;12;paid\nX;y;z;1;paid\n")
    rehearsed = club("import", "orders", "more.csv", "--json")
    assert (rehearsed.returncode, last_json(rehearsed)["created"], count(database_url, "orders")) == (1, 1, 0)
    assert "line 3" in rehearsed.stdout
    assert last_json(club("import", "orders", "more.csv", "--commit", "--json"))["total_cents"] == 1200
    assert "Cap" in club("export", "payments").stdout


def test_an_export_that_cannot_be_written_says_why(club: Run) -> None:
    assert club("export", "orders", "--json").returncode == 2
    refused = club("export", "orders", "--out", "nowhere/orders.csv")
    assert (refused.returncode, len(refused.stderr.strip().splitlines())) == (2, 1)
