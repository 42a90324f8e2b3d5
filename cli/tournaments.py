"""Tournaments from the terminal: `tournament add|enter|withdraw|list`, `bill tournament`."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated

import typer

from cli.output import AsJson, ClubName, Commit, finish, print_json, progress_bar, say, say_list
from cli.runtime import run_for_club
from core.backfill import BackfillReport
from core.club import Club
from core.errors import InvalidInputError
from core.money import format_money, parse_money
from core.named_players import NameProblem
from core.services import Services
from core.tournament_billing import TournamentBill, bill_tournament
from core.tournament_entries import EntryReport, Wanted, enter_tournament, withdraw_from_tournament
from core.tournaments import AddedTournament, TournamentSummary, add_tournament, list_tournaments

TournamentId = Annotated[int, typer.Option("--tournament", min=1, help="Its number; `tournament list` shows it.")]
Teams = Annotated[list[str] | None, typer.Option("--team", help="A whole team. Can be given several times.")]
Players = Annotated[list[str] | None, typer.Option("--player", help="“First Last”. Can be given several times.")]


def add_to(app: typer.Typer) -> None:
    """Add these commands; `bill tournament` is put beside `bill monthly` by `cli.billing`."""
    group = typer.Typer(no_args_is_help=True, help="Tournaments, and who plays in them.")
    group.command("add")(add)
    group.command("enter")(enter)
    group.command("withdraw")(withdraw)
    group.command("list")(show_all)
    app.add_typer(group, name="tournament")


def add(
    name: Annotated[str, typer.Option(help="What it is called.")],
    date: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="Its first day.")],
    team: Annotated[
        list[str], typer.Option("--team", help="A team that plays, or TEAM=FEE where its fee differs.")
    ],
    fee: Annotated[str | None, typer.Option(help="What it costs a player, like 95.00.")] = None,
    club: ClubName = None,
    commit: Commit = False,
    as_json: AsJson = False,
) -> None:
    """Make a tournament, or add teams to it. What is there already stays as it is."""
    fees = dict(_team_fee(each, fee) for each in team)

    async def work(services: Services, chosen: Club) -> AddedTournament:
        async with services.database.transaction(keep=commit) as conn:
            return await add_tournament(conn, chosen, name, date.date(), fees, actor="cli")

    added = run_for_club(club, work)
    would = "" if commit else "would be "
    number = f" (tournament {added.tournament_id})" if commit else ""
    say(
        f"{added.name}{number}: {len(added.teams_added)} team(s) {would}added, {len(added.unchanged)} as they are."
    )
    say_list(added.teams_added)
    if added.fees_changed:
        say(f"Another fee, nobody was billed yet: {', '.join(added.fees_changed)}")
    result = {
        "tournament_id": added.tournament_id if commit or not added.is_new else None,
        "created": len(added.teams_added),
        "updated": len(added.fees_changed),
        "skipped": len(added.unchanged),
        "failed": 0,
    }
    finish(result, commit=commit, as_json=as_json)


def _team_fee(typed: str, fee: str | None) -> tuple[str, int]:
    team, equals, own = typed.rpartition("=")
    if equals:
        return team, parse_money(own)
    if fee is None:
        raise InvalidInputError(f"Say what it costs: --fee 95.00, or --team “{typed}=95.00”.")
    return typed, parse_money(fee)


def enter(
    tournament: TournamentId,
    team: Teams = None,
    player: Players = None,
    club: ClubName = None,
    commit: Commit = False,
    as_json: AsJson = False,
) -> None:
    """Commit players to a tournament; `bill tournament` charges them."""
    wanted = _wanted(team, player)

    async def work(services: Services, chosen: Club) -> EntryReport:
        async with services.database.transaction(keep=commit) as conn:
            return await enter_tournament(conn, chosen, tournament, wanted, actor="cli")

    report = run_for_club(club, work)
    verb = "Entered" if commit else "Would enter"
    say(f"{verb} {len(report.changed)} player(s) in {report.tournament}; {report.unchanged} were in already.")
    _finish_entries(report, "created", commit=commit, as_json=as_json)


def withdraw(
    tournament: TournamentId,
    team: Teams = None,
    player: Players = None,
    club: ClubName = None,
    commit: Commit = False,
    as_json: AsJson = False,
) -> None:
    """Take players out of a tournament; what they still owe for it is canceled."""
    wanted = _wanted(team, player)

    async def work(services: Services, chosen: Club) -> EntryReport:
        async with services.database.transaction(keep=commit) as conn:
            return await withdraw_from_tournament(
                conn, services.payment_links, chosen, tournament, wanted, actor="cli"
            )

    report = run_for_club(club, work)
    verb = "Withdrew" if commit else "Would withdraw"
    say(f"{verb} {len(report.changed)} player(s) from {report.tournament}; {report.unchanged} were not in it.")
    _finish_entries(report, "withdrawn", commit=commit, as_json=as_json)


def _wanted(teams: list[str] | None, players: list[str] | None) -> Wanted:
    if not teams and not players:
        raise InvalidInputError("Say who: --team “U12 Blue” or --player “First Last”.")
    return Wanted(teams or (), players or ())


def _finish_entries(report: EntryReport, done: str, *, commit: bool, as_json: bool) -> None:
    say_list(player.name for player in report.changed)
    if report.notes:
        say("Worth a look:")
        say_list(_in_words(report.notes), all_of_them=True)
    if report.problems:
        say(f"{len(report.problems)} could not be done; the others can:")
        say_list(_in_words(report.problems), all_of_them=True)
    result = {
        "created": 0,
        done: len(report.changed),
        "skipped": report.unchanged,
        "failed": len(report.problems),
        "problems": [{"name": problem.name, "reason": problem.reason} for problem in report.problems],
        "notes": [{"name": note.name, "reason": note.reason} for note in report.notes],
    }
    finish(result, commit=commit, as_json=as_json, failed=len(report.problems))


def _in_words(problems: Iterable[NameProblem]) -> Iterable[str]:
    return (f"{problem.name}: {problem.reason}" for problem in problems)


def show_all(club: ClubName = None, as_json: AsJson = False) -> None:
    """List the tournaments, the latest first, with each team's fee and how many players are in."""

    async def work(services: Services, chosen: Club) -> tuple[Club, list[TournamentSummary]]:
        async with services.database.transaction() as conn:
            return chosen, await list_tournaments(conn, chosen.id)

    chosen, found = run_for_club(club, work)
    if not found:
        say("There is no tournament yet; `sideline tournament add` makes one.")
    for each in found:
        say(f"{each.id}: {each.name}, {each.starts_on}, {each.committed} player(s)")
        say_list(f"{team}: {format_money(cents, chosen.currency)}" for team, cents in each.fees.items())
    if as_json:
        listed = [
            {
                "tournament_id": each.id,
                "name": each.name,
                "date": each.starts_on.isoformat(),
                "players": each.committed,
                "fees_cents": each.fees,
            }
            for each in found
        ]
        print_json({"tournaments": listed})


def bill(tournament: TournamentId, club: ClubName = None, commit: Commit = False, as_json: AsJson = False) -> None:
    """Charge everyone who is committed to a tournament, once, and mint each one's payment link."""

    async def work(services: Services, chosen: Club) -> tuple[Club, TournamentBill, BackfillReport]:
        async with services.database.transaction(keep=commit) as conn:
            billed = await bill_tournament(conn, chosen, tournament)
        if not commit:
            return chosen, billed, BackfillReport(0, 0, ())
        missing = await services.tournament_minting.missing(chosen, tournament)
        with progress_bar("Minting links", len(missing)) as progress:
            task = progress.task_ids[0]
            minted = await services.tournament_minting.mint(
                chosen, tournament, missing, lambda: progress.advance(task)
            )
        return chosen, billed, minted

    chosen, billed, minted = run_for_club(club, work)
    _say_bill(chosen, billed, commit=commit)
    if commit:
        say(f"Minted {minted.created} payment link(s).")
    if minted.failures:
        say(f"{len(minted.failures)} link(s) failed; run this again to go on with them:")
        say_list((f"{f.missing.player_name}: {f.reason}" for f in minted.failures), all_of_them=True)
    result = {
        "created": len(billed.charges),
        "skipped": billed.already_billed + len(billed.problems),
        "failed": len(minted.failures),
        "links": minted.created,
        "total_cents": billed.total_cents,
        "not_charged": [{"player": p.player_name, "reason": p.reason} for p in billed.problems],
        "failures": [{"order_id": f.missing.order_id, "reason": f.reason} for f in minted.failures],
    }
    finish(result, commit=commit, as_json=as_json, failed=len(minted.failures))


def _say_bill(club: Club, billed: TournamentBill, *, commit: bool) -> None:
    verb = "Charged" if commit else "Would charge"
    total = format_money(billed.total_cents, club.currency)
    say(
        f"{verb} {total} for {billed.tournament} in {len(billed.charges)} order(s); "
        f"{billed.already_billed} player(s) already billed."
    )
    say_list(
        f"{c.player_name}: {c.description}, {format_money(c.amount_cents, club.currency)}" for c in billed.charges
    )
    if billed.problems:
        say("Not charged:")
        say_list((f"{problem.player_name}: {problem.reason}" for problem in billed.problems), all_of_them=True)
