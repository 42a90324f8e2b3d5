"""A made-up club of eight teams and sixty families, and the months that it charges."""

import csv
from pathlib import Path

from sqlalchemy.engine import URL

from core.club import choose_club
from core.database import Database
from core.monthly_fees import bill_monthly
from tests.core.made_up_names import made_up_players
from tests.soak.processes import Fleet, ProcessFailedError

CLUB = "River City FC"
TEAMS, FAMILIES, PLAYERS = 8, 60, 75
HEADER = (
    "Player First Name,Player Last Name,Team,Role,Parent 1 First Name,Parent 1 Last Name,Parent 1 Email,"
    "Monthly Fee,Contract Status"
)


def write_roster(file: Path) -> None:
    """Write the club's roster; a quarter of the families have two children."""
    rows = [HEADER.split(",")]
    names = dict.fromkeys(made_up_players(PLAYERS * 3, seed=4))
    for number, (first, last) in enumerate(list(names)[:PLAYERS]):
        family = number % FAMILIES
        address, fee = f"family{family}@example.com", f"${120 + 10 * (number % 4)}"
        rows.append(
            [first, last, f"U{8 + number % TEAMS}", "Player", "Pat", f"Family {family}", address, fee, "signed"]
        )
    with file.open("w", encoding="utf-8", newline="") as out:
        csv.writer(out).writerows(rows)


async def found_club(fleet: Fleet, folder: Path, url: URL) -> None:
    """Make the club with the product's own commands, charge a first month, and mint its links.

    Raises:
        ProcessFailedError: one of them failed.
    """
    roster = folder / "roster.csv"
    write_roster(roster)
    await _run(fleet, "init", "--club", CLUB)
    await _run(fleet, "import", "roster", str(roster), "--commit")
    await charge_month(url, 0)
    await _run(fleet, "backfill", "payment-links", "--commit")


async def _run(fleet: Fleet, *command: str) -> None:
    code, words = await fleet.command(*command)
    if code != 0:
        raise ProcessFailedError(f"`sideline {' '.join(command)}` failed: {words}")


async def charge_month(url: URL, number: int) -> None:
    """Charge everybody the month of this number, counted from 2026-01."""
    database = Database(url, pool_size=1)
    try:
        async with database.transaction() as conn:
            club = await choose_club(conn)
            await bill_monthly(conn, club, f"{2026 + number // 12}-{number % 12 + 1:02}")
    finally:
        await database.close()
