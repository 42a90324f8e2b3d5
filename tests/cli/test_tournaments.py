"""Tournaments and first payments as an operator runs them, against the stand-in of Stripe."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy.engine import URL

from sandbox.server import serve
from sandbox.stripe import StripeStandIn
from tests.cli.test_commands import Run, count, last_json, run

__all__ = ["run"]

KEY = "sk_test_made_up"
ROSTER = """\
First,Last,Team,Parent 1 Email,Monthly Fee,Contract Status,Contract Date
Jaxon,Reed,U12 Blue,pat@example.com,150,signed,12/16/2026
Ida,Reed,U10 Gold,pat@example.com,150,signed,2026-11-02
Mia,Lopez,U14 Red,lopez@example.com,150,signed,
Uma,Wills,U12 Blue,wills@example.com,150,sent,
"""


@contextmanager
def served(stripe: StripeStandIn) -> Iterator[str]:
    """Serve the stand-in from a thread: the commands are processes of their own, and the test waits for them."""
    started, stopping = threading.Event(), asyncio.Event()
    address: list[str] = []
    loop = asyncio.new_event_loop()

    async def keep() -> None:
        async with serve(stripe.app) as base_url:
            address.append(base_url)
            started.set()
            await stopping.wait()
        await stripe.close()

    thread = threading.Thread(target=lambda: loop.run_until_complete(keep()))
    thread.start()
    started.wait(10)
    try:
        yield address[0]
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join(10)
        loop.close()


@pytest.fixture
def stripe() -> Iterator[StripeStandIn]:
    stripe = StripeStandIn(secret_key=KEY, webhook_secret="whsec_made_up", auto_deliver=False)
    with served(stripe) as base_url:
        stripe.base_url = base_url
        yield stripe


@pytest.fixture
def club(run: Run, tmp_path: Path, stripe: StripeStandIn) -> Callable[..., dict[str, object]]:
    """Run a command with `--json` in a club that has a roster; give its JSON, with its exit code under `exit`."""
    settings = {"STRIPE_SECRET_KEY": KEY, "STRIPE_API_BASE": str(stripe.base_url)}
    roster = tmp_path / "roster.csv"
    roster.write_text(ROSTER)
    run("init", "--club", "River City FC")
    run("import", "roster", str(roster), "--commit")

    def command(*arguments: str) -> dict[str, object]:
        done = run(*arguments, "--json", **settings)
        assert done.returncode in {0, 1}, done.stderr
        return last_json(done) | {"exit": done.returncode}

    return command


def test_a_tournament_from_nothing_to_its_links(
    club: Callable[..., dict[str, object]], stripe: StripeStandIn, database_url: URL
) -> None:
    add = ("tournament", "add", "--name", "Harvest Cup", "--date", "2027-03-06", "--fee", "95.00")
    teams = ("--team", "U12 Blue", "--team", "U10 Gold=70")
    rehearsed = club(*add, *teams)
    assert (rehearsed["tournament_id"], rehearsed["created"], rehearsed["committed"]) == (None, 2, False)
    assert count(database_url, "tournaments") == 0
    added = club(*add, *teams, "--commit")
    number = str(added["tournament_id"])
    again = club(*add, *teams, "--commit")
    assert (again["tournament_id"], again["created"], again["skipped"]) == (added["tournament_id"], 0, 2)

    here = ("--tournament", number)
    entered = club("tournament", "enter", *here, "--team", "U12 Blue", "--player", "Nobody Here", "--commit")
    assert (entered["exit"], entered["created"], entered["failed"]) == (1, 2, 1)
    assert (
        club("tournament", "enter", *here, "--player", "ida reed", "--player", "Mia Lopez", "--commit")["exit"]
        == 0
    )

    assert club("bill", "tournament", *here)["created"] == 2
    assert count(database_url, "orders") + len(stripe.requests) == 0
    billed = club("bill", "tournament", *here, "--commit")
    assert (billed["exit"], billed["created"], billed["links"], billed["total_cents"]) == (0, 2, 2, 16500)
    assert billed["not_charged"] == [
        {"player": "Mia Lopez", "reason": "the team has no fee for this tournament"},
        {"player": "Uma Wills", "reason": "the contract is not signed"},
    ]
    assert count(database_url, "orders where stripe_checkout_url is not null") == 2
    twice = club("bill", "tournament", *here, "--commit")
    assert (twice["created"], twice["links"], len(stripe.payment_links)) == (0, 0, 2)

    mail = club("blast", "tournament-fee", *here)
    assert (mail["created"], mail["total_cents"]) == (1, 16500)
    gone = club("tournament", "withdraw", *here, "--player", "Ida Reed", "--commit")
    assert (gone["exit"], gone["withdrawn"]) == (0, 1)
    assert count(database_url, "orders where status = 'canceled'") == 1
    fees = {"U10 Gold": 7000, "U12 Blue": 9500}
    assert club("tournament", "list")["tournaments"] == [
        {
            "tournament_id": added["tournament_id"],
            "name": "Harvest Cup",
            "date": "2027-03-06",
            "players": 3,
            "fees_cents": fees,
        }
    ]


def test_a_first_payment_blast_is_rehearsed(club: Callable[..., dict[str, object]], database_url: URL) -> None:
    prorated = club("blast", "first-payment")
    flat = club("blast", "first-payment", "--skip-proration")
    # $77.42 from Dec 16, $145.00 from Nov 2, and a whole month where no date is known.
    assert (prorated["created"], prorated["total_cents"]) == (2, 7742 + 14500 + 15000)
    assert flat["total_cents"] == 45000
    assert count(database_url, "orders") == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("tournament", "add", "--name", "Cup", "--date", "2027-03-06", "--team", "U12"), "--fee"),
        (("tournament", "add", "--name", "Cup", "--date", "2027-03-06", "--team", "U12=x"), "not an amount"),
        (("tournament", "add", "--name", "Cup", "--date", "2027-03-06", "--team", "U99=5"), "no team"),
        (("tournament", "enter", "--tournament", "1"), "--player"),
        (("tournament", "enter", "--tournament", "9", "--player", "Jaxon Reed"), "no tournament 9"),
        (("bill", "tournament", "--tournament", "9"), "no tournament 9"),
        (("blast", "tournament-fee", "--tournament", "9"), "no tournament 9"),
    ],
)
def test_wrong_use_is_one_line(run: Run, arguments: tuple[str, ...], words: str) -> None:
    run("init", "--club", "River City FC")
    done = run(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
