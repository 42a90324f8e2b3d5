"""Payments and fees by hand, from the terminal."""

from pathlib import Path

import pytest
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


def test_cash_is_recorded_and_undone_and_a_rehearsal_keeps_nothing(club: Run, database_url: URL) -> None:
    cash = ("payment", "record", "--player", "jaxon reed", "--amount", "$60", "--method", "cash", "--json")
    rehearsed = club(*cash)
    assert (rehearsed.returncode, last_json(rehearsed)["committed"]) == (0, False)
    assert "Would record $60.00 (cash) for Jaxon Reed" in rehearsed.stdout
    assert count(database_url, "payments") + count(database_url, "notices") == 0

    done = last_json(club(*cash, "--commit"))
    assert (done["created"], done["status"], done["balance_cents"]) == (1, "pending", 9000)
    payment = ("payment", "undo", "--payment", str(done["payment_id"]), "--json")
    assert last_json(club(*payment))["balance_cents"] == 15000
    assert count(database_url, "payments") == 1
    undone = last_json(club(*payment, "--commit"))
    assert (undone["created"], undone["status"], undone["balance_cents"]) == (1, "pending", 15000)
    again = club(*payment, "--commit")
    assert (again.returncode, again.stderr.strip()) == (2, "This payment was undone already by cli.")

    waived = club(
        "payment", "record", "--order", str(done["order_id"]), "--amount", "150", "--method", "waiver",
        "--reference", "hard times", "--commit", "--json",
    )  # fmt: skip
    assert last_json(waived)["status"] == "paid"


def test_wrong_use_is_one_line_that_says_what_to_do(club: Run) -> None:
    club("bill", "monthly", "--period", "2027-01", "--commit")
    wrong = {
        ("--amount", "60", "--method", "cash"): "--order NUMBER",
        ("--player", "Zoë O'Brien", "--amount", "60", "--method", "cash"): "Nothing is owed",
        ("--player", "Jaxon Reed", "--amount", "60", "--method", "cash"): "say which: --order 1 (Monthly fee, Dec",
        ("--order", "1", "--amount", "151", "--method", "cash"): "Only $150.00 is owed",
    }
    for arguments, words in wrong.items():
        done = club("payment", "record", *arguments, "--commit")
        assert done.returncode == 2
        assert words in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


def test_a_scholarship(club: Run, database_url: URL) -> None:
    fee = ("player", "fee", "--player", "Jaxon Reed", "--monthly", "100.00", "--reason", "scholarship", "--json")
    assert last_json(club(*fee))["created"] == 1
    assert count(database_url, "audit_log where action = 'player.fee'") == 0
    done = club(*fee, "--commit")
    assert "pays $100.00 a month from the next bill on, before $150.00" in done.stdout
    again = last_json(club(*fee, "--commit"))
    assert (again["created"], again["skipped"], again["monthly_fee_cents"]) == (0, 1, 10000)
    assert count(database_url, "players where monthly_fee_cents = 10000 and fee_note = 'scholarship'") == 1
    assert count(database_url, "orders where amount_cents = 10000") == 0
    billed = club("bill", "monthly", "--period", "2027-01", "--json")
    assert last_json(billed)["total_cents"] == 25000
    unknown = club("player", "fee", "--player", "No Body", "--monthly", "1")
    assert (unknown.returncode, "check the spelling" in unknown.stderr) == (2, True)
