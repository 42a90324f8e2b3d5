"""Setting a club up: `init`, `migrate`, `doctor`, `slack-manifest`."""

import asyncio
import json
import re
import shlex
from collections.abc import Sequence
from typing import Annotated
from zoneinfo import available_timezones

import typer
from babel.numbers import list_currencies

from bot.manifest import manifest
from cli.doctor import diagnose
from cli.output import say
from core.club import Club, all_clubs, set_up_club
from core.database import Database, database_url
from core.errors import InvalidInputError
from core.schema_version import head_revision, migrate
from core.settings import Settings, load_settings


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("init")(init)
    app.command("migrate")(migrate_command)
    app.command("doctor")(doctor)
    app.command("slack-manifest")(slack_manifest)


def init(
    club: Annotated[str, typer.Option(help="The club's name, as families know it.")],
    slack_team: Annotated[str | None, typer.Option(help="Its Slack workspace (T…); else the bot token's.")] = None,
    currency: Annotated[str | None, typer.Option(help="Three letters, e.g. usd.")] = None,
    time_zone: Annotated[str | None, typer.Option(help="E.g. America/Chicago.")] = None,
    brand_color: Annotated[str | None, typer.Option(help="For mails and pages, e.g. #0b6e4f.")] = None,
    reply_to: Annotated[str | None, typer.Option(help="Where families' answers go.")] = None,
    two_person_approval: Annotated[
        bool | None, typer.Option(help="Whether somebody else than who drafted a blast must approve it.")
    ] = None,
) -> None:
    """Set a club up, or change its details. Prepares the database where that is still to be done."""
    settings = load_settings()
    check_details(slack_team, currency, time_zone, brand_color)
    url = database_url(settings)

    async def run() -> None:
        database = Database(url, pool_size=1)
        async with database.transaction() as conn:
            made = await set_up_club(
                conn,
                club.strip(),
                slack_team_id=slack_team,
                currency=currency.lower() if currency else None,
                time_zone=time_zone,
                brand_color=brand_color,
                reply_to=reply_to,
                two_person_approval=two_person_approval,
            )
            clubs = await all_clubs(conn)
        await database.close()
        say(f"{made.name} is set up ({made.currency.upper()}, {made.time_zone}).")
        say("Next: `sideline import roster FILE.csv`, then `sideline doctor` to check the connections.")
        for words in _workspaces_to_name(clubs):
            say(words)

    migrate(url)
    asyncio.run(run())


def _workspaces_to_name(clubs: Sequence[Club]) -> list[str]:
    """Return what to do for each club whose workspace is not known; a club alone has the bot token's own."""
    if len(clubs) == 1:
        return []
    return [
        f"In Slack, {club.name} answers once its workspace is named, for it is not the only club: "
        f"`sideline club set --club {shlex.quote(club.name)} --slack-team T… --commit`, or let it install the app "
        f"by a link: `sideline club invite --club {shlex.quote(club.name)}`"
        for club in clubs
        if club.slack_team_id is None
    ]


def check_details(
    slack_team: str | None, currency: str | None, time_zone: str | None, brand_color: str | None
) -> None:
    """See that what was typed for a club's details can be used.

    Raises:
        InvalidInputError: naming the option and what it should look like.
    """
    if slack_team is not None and not re.fullmatch(r"[TE][A-Z0-9]{2,}", slack_team):
        raise InvalidInputError("--slack-team should look like T0123ABCD; it is in the workspace's web address")
    if currency is not None and currency.upper() not in list_currencies():
        raise InvalidInputError("--currency should be a currency's three letters, like usd")
    if time_zone is not None and time_zone not in available_timezones():
        raise InvalidInputError("--time-zone should be a name like America/Chicago")
    if brand_color is not None and not re.fullmatch(r"#[0-9a-fA-F]{6}", brand_color):
        raise InvalidInputError("--brand-color should look like #0b6e4f")


def migrate_command() -> None:
    """Bring the database to the schema that this version needs."""
    migrate(database_url(load_settings()))
    say(f"The database is at schema {head_revision()}.")


def doctor() -> None:
    """Check every setting against the real thing, a line each."""
    settings = load_settings()
    findings = asyncio.run(diagnose(settings))
    for finding in findings:
        say(f"{'ok  ' if finding.is_fine else 'FAIL'} {finding.subject}: {finding.words}")
    if not all(finding.is_fine for finding in findings):
        raise typer.Exit(1)


def slack_manifest() -> None:
    """Print the manifest to make the Slack app from (api.slack.com/apps → From a manifest)."""
    settings: Settings = load_settings()
    made = manifest(
        settings.base_url,
        socket_mode=settings.slack_app_token is not None,
        is_installable=settings.slack_client_id is not None,
    )
    typer.echo(json.dumps(made, indent=2))
