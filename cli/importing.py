"""Bringing a club's data in: `import roster|orders`."""

from pathlib import Path
from typing import Annotated

import typer

from cli.output import AsJson, ClubName, Commit, finish, say, say_list
from cli.runtime import run_for_club
from core.audit import record_change
from core.club import Club
from core.errors import InvalidInputError
from core.money import format_money
from core.order_import import OrderImportReport, import_orders
from core.order_rows import read_orders
from core.roster import RosterReport, import_roster, read_roster
from core.services import Services

BIGGEST_FILE = 50 * 1024 * 1024


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    group = typer.Typer(no_args_is_help=True, help="Bring data in.")
    group.command("roster")(roster)
    group.command("orders")(orders)
    app.add_typer(group, name="import")


def roster(
    file: Annotated[
        Path, typer.Argument(help="A CSV or TSV file; TeamSnap's, SportsEngine's or LeagueApps' export.")
    ],
    club: ClubName = None,
    commit: Commit = False,
    as_json: AsJson = False,
) -> None:
    """Bring players, parents and teams in. Importing the same file twice changes nothing."""
    parsed = read_roster(_content(file))

    async def work(services: Services, chosen: Club) -> RosterReport:
        async with services.database.transaction(keep=commit) as conn:
            report = await import_roster(conn, chosen.id, parsed)
            after = {"created": report.players_created, "updated": report.players_updated}
            await record_change(conn, chosen.id, "cli", "roster.import", f"file:{file.name}", after=after)
            return report

    report = run_for_club(club, work)
    would = "" if commit else "would be "
    say(
        f"Players: {report.players_created} {would}added, {report.players_updated} {would}changed, "
        f"{report.unchanged} as they are. "
        f"Families: {report.parents_created} {would}added, {report.parents_updated} {would}changed. "
        f"Teams: {report.teams_created} {would}added. Staff rows left out: {report.staff_left_out}."
    )
    if report.problems:
        say(f"{len(report.problems)} row(s) could not be read; the others can:")
        say_list((f"line {problem.line}: {problem.reason}" for problem in report.problems), all_of_them=True)
    if report.notices:
        say("Worth a look:")
        say_list((f"line {notice.line}: {notice.reason}" for notice in report.notices), all_of_them=True)
    result = {
        "created": report.players_created,
        "updated": report.players_updated,
        "skipped": report.unchanged,
        "staff_left_out": report.staff_left_out,
        "failed": len(report.problems),
        "problems": [{"line": problem.line, "reason": problem.reason} for problem in report.problems],
    }
    finish(result, commit=commit, as_json=as_json, failed=len(report.problems))


def orders(
    file: Annotated[Path, typer.Argument(help="A CSV or TSV file with the columns that `export orders` writes.")],
    club: ClubName = None,
    commit: Commit = False,
    as_json: AsJson = False,
) -> None:
    """Bring another program's orders in, with their Stripe ids. What is here already stays as it is."""
    content = _content(file)

    async def work(services: Services, chosen: Club) -> tuple[Club, OrderImportReport]:
        parsed = read_orders(content, chosen, services.clock())
        async with services.database.transaction(keep=commit) as conn:
            return chosen, await import_orders(conn, chosen, parsed, actor="cli")

    chosen, report = run_for_club(club, work)
    verb = "Brought in" if commit else "Would bring in"
    total = format_money(report.total_cents, chosen.currency)
    say(f"{verb} {report.created} order(s) over {total}; {report.already_here} are here already.")
    if report.problems:
        say(f"{len(report.problems)} row(s) can't come in; the others can:")
        say_list((f"line {problem.line}: {problem.reason}" for problem in report.problems), all_of_them=True)
    result = {
        "created": report.created,
        "skipped": report.already_here,
        "failed": len(report.problems),
        "total_cents": report.total_cents,
        "problems": [{"line": problem.line, "reason": problem.reason} for problem in report.problems],
    }
    finish(result, commit=commit, as_json=as_json, failed=len(report.problems))


def _content(file: Path) -> bytes:
    try:
        if file.stat().st_size > BIGGEST_FILE:
            raise InvalidInputError(f"{file} is bigger than a club's list can be (50 MiB); is it the right file?")
        return file.read_bytes()
    except OSError as error:
        raise InvalidInputError(f"{file} can't be read: {error.strerror or error}") from None
