"""Blasts from the terminal: `blast outstanding|first-payment|tournament-fee`."""

from typing import Annotated

import typer

from cli.output import AsJson, ClubName, Commit, finish, say, say_list
from cli.runtime import run_for_club
from core.audiences import Audience, AudienceQuery
from core.club import Club
from core.errors import InvalidInputError
from core.models.statuses import EmailType
from core.money import format_money
from core.services import Services


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    group = typer.Typer(no_args_is_help=True, help="Mail many families.")
    group.command("outstanding")(outstanding)
    group.command("first-payment")(first_payment)
    group.command("tournament-fee")(tournament_fee)
    app.add_typer(group, name="blast")


TestEmail = Annotated[str | None, typer.Option(help="Only the family with this address.")]
Note = Annotated[str, typer.Option(help="A few words of the club's above the table.")]


def outstanding(
    test_email: TestEmail = None,
    note: Note = "",
    club: ClubName = None,
    commit: Commit = False,
    as_json: AsJson = False,
) -> None:
    """Mail every family that owes something what it owes, with a Pay Now button an item."""
    _mail(AudienceQuery(EmailType.OUTSTANDING_BALANCE, email=test_email), note, club, commit, as_json)


def first_payment(
    skip_proration: Annotated[
        bool, typer.Option("--skip-proration", help="Ask for the whole month even where a contract began in it.")
    ] = False,
    test_email: TestEmail = None,
    note: Note = "",
    club: ClubName = None,
    commit: Commit = False,
    as_json: AsJson = False,
) -> None:
    """Mail every family with a signed contract whose first month is not paid."""
    query = AudienceQuery(EmailType.FIRST_PAYMENT, email=test_email, skip_proration=skip_proration)
    _mail(query, note, club, commit, as_json)


def tournament_fee(
    tournament: Annotated[int, typer.Option(min=1, help="Its number; `tournament list` shows it.")],
    test_email: TestEmail = None,
    note: Note = "",
    club: ClubName = None,
    commit: Commit = False,
    as_json: AsJson = False,
) -> None:
    """Mail every family with a player in a tournament each child's own fee."""
    query = AudienceQuery(EmailType.TOURNAMENT_FEE, email=test_email, tournament_id=tournament)
    _mail(query, note, club, commit, as_json)


def _mail(query: AudienceQuery, note: str, club: str | None, commit: bool, as_json: bool) -> None:
    async def work(services: Services, chosen: Club) -> tuple[Club, int | None, Audience]:
        audience = await services.blasts.preview(chosen, query)
        if not commit or not audience.recipients:
            return chosen, None, audience
        if not services.mailer.is_on:
            raise InvalidInputError("Mail is off: set SMTP_URL and MAIL_FROM.")
        blast_id, audience = await services.blasts.start(chosen, query, note=note, requested_by="cli")
        return chosen, blast_id, audience

    chosen, blast_id, audience = run_for_club(club, work)
    verb = "Queued" if blast_id else "Would mail"
    total = format_money(audience.total_cents, chosen.currency)
    say(f"{verb} {len(audience.recipients)} family mail(s) over {total}.")
    if blast_id:
        say("A running `sideline run` or `sideline worker` sends them.")
    if audience.skipped:
        say(f"Left out: {len(audience.skipped)}")
        say_list(f"{skipped.parent_name}: {skipped.words}" for skipped in audience.skipped)
    result = {
        "blast_id": blast_id,
        "created": len(audience.recipients),
        "skipped": len(audience.skipped),
        "failed": 0,
        "total_cents": audience.total_cents,
    }
    finish(result, commit=commit, as_json=as_json)
