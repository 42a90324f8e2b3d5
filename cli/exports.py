"""The club's books as CSV: `export orders|payments|balances`."""

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, TextIO

import typer

from cli.output import AsJson, ClubName, print_json, say
from cli.runtime import run_for_club
from core.clock import local_date
from core.club import Club
from core.errors import InvalidInputError
from core.exports import Export, Span, write_export
from core.services import Services

Out = Annotated[Path | None, typer.Option(help="The file to write; else it is printed.")]
Since = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The first day that counts.")]
Until = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The last day that counts.")]


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    group = typer.Typer(no_args_is_help=True, help="The club's books as CSV, for a spreadsheet.")
    group.command("orders")(orders)
    group.command("payments")(payments)
    group.command("balances")(balances)
    app.add_typer(group, name="export")


def orders(
    out: Out = None, since: Since = None, until: Until = None, club: ClubName = None, as_json: AsJson = False
) -> None:
    """Write every order, by the day it was made. `import orders` reads this file."""
    _export(Export.ORDERS, out, _span(since, until), club, as_json=as_json)


def payments(
    out: Out = None, since: Since = None, until: Until = None, club: ClubName = None, as_json: AsJson = False
) -> None:
    """Write every payment and refund, by the day it came in or went back."""
    _export(Export.PAYMENTS, out, _span(since, until), club, as_json=as_json)


def balances(out: Out = None, club: ClubName = None, as_json: AsJson = False) -> None:
    """Write what is owed now, a line for each player and who pays."""
    _export(Export.BALANCES, out, Span(), club, as_json=as_json)


def _span(since: datetime | None, until: datetime | None) -> Span:
    return Span(since.date() if since else None, until.date() if until else None)


def _export(export: Export, out: Path | None, span: Span, club: str | None, *, as_json: bool) -> None:
    if out is None and as_json:
        raise InvalidInputError("--json needs --out: the printed file and the JSON would run into each other.")

    async def write(services: Services, chosen: Club, file: TextIO) -> int:
        today = local_date(services.clock(), chosen.time_zone)
        async with services.database.transaction() as conn:
            return await write_export(conn, chosen, export, file, span=span, today=today)

    async def work(services: Services, chosen: Club) -> int:
        if out is None:
            sys.stdout.reconfigure(encoding="utf-8", newline="")  # type: ignore[union-attr]
            return await write(services, chosen, sys.stdout)
        # Beside it first, so that a file is whole or not there.
        part = out.with_name(f"{out.name}.part")
        try:
            with part.open("w", encoding="utf-8", newline="") as file:
                rows = await write(services, chosen, file)
            part.replace(out)
        except OSError as error:
            raise InvalidInputError(f"{out} can't be written: {error.strerror or error}") from None
        finally:
            part.unlink(missing_ok=True)
        return rows

    rows = run_for_club(club, work)
    if out is not None:
        say(f"Wrote {rows} row(s) to {out}.")
    if as_json:
        print_json({"created": rows, "skipped": 0, "failed": 0, "file": str(out)})
