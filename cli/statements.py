"""A family's yearly statement as a PDF: `statement`."""

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from cli.output import AsJson, ClubName, print_json, say
from cli.runtime import run_for_club
from core.clock import local_date
from core.club import Club
from core.errors import InvalidInputError
from core.family_statement import FamilyStatement, guardian_of, load_statement
from core.money import format_money
from core.services import Services
from core.statement_page import statement_page


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    app.command("statement")(statement)


def statement(
    player: Annotated[str, typer.Option(help="A player of the family, like “Jaxon Reed”.")],
    year: Annotated[int | None, typer.Option(help="The year; else the current one.")] = None,
    email: Annotated[
        str | None, typer.Option(help="Whose, where there are two guardians; else the first's.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The file to write; else statement-YEAR.pdf here.")] = None,
    club: ClubName = None,
    as_json: AsJson = False,
) -> None:
    """Write a family's yearly statement: charges, payments, refunds and waivers between two balances."""

    async def work(services: Services, chosen: Club) -> tuple[Club, FamilyStatement, bytes]:
        now = services.clock()
        async with services.database.transaction() as conn:
            parent_id = await guardian_of(conn, chosen.id, player, email)
            found = await load_statement(conn, chosen, parent_id, year=year, now=now)
        today: date = local_date(now, chosen.time_zone)
        return chosen, found, await services.pdf.statement(statement_page(chosen, found, today))

    chosen, found, content = run_for_club(club, work)
    file = out or Path(f"statement-{found.year}.pdf")
    try:
        file.write_bytes(content)
    except OSError as error:
        raise InvalidInputError(f"{file} can't be written: {error.strerror or error}") from None
    closing = format_money(found.closing_cents, chosen.currency)
    say(f"{found.parent_name}, {found.year}: balance {closing}. Written to {file}.")
    if as_json:
        print_json(
            {
                "created": 1,
                "skipped": 0,
                "failed": 0,
                "file": str(file),
                "opening_cents": found.opening_cents,
                "closing_cents": found.closing_cents,
            }
        )
