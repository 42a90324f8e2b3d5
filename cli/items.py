"""Charging jerseys, tryouts and anything else: `bill item`."""

from datetime import date, datetime
from typing import Annotated

import typer

from cli.output import AsJson, ClubName, Commit, finish, say, say_list
from cli.runtime import run_for_club
from core.chosen_players import choose_players
from core.clock import local_date
from core.club import Club
from core.errors import InvalidInputError
from core.instalments import Every, dates_left, due_dates
from core.items import ItemBill, charge_in_parts, charge_item, new_item
from core.money import format_money, parse_money
from core.named_players import NameProblem
from core.services import Services

Day = datetime | None


def item(  # noqa: PLR0917 - Typer's options are function arguments
    name: Annotated[str, typer.Option(help="What it is, like “Home jersey”.")],
    category: Annotated[str, typer.Option(help="jersey, tryout or generic.")],
    price: Annotated[str, typer.Option(help="What each player pays, like 65.00.")],
    player: Annotated[list[str] | None, typer.Option(help="“First Last”. Can be given several times.")] = None,
    team: Annotated[list[str] | None, typer.Option(help="A whole team. Can be given several times.")] = None,
    everyone: Annotated[bool, typer.Option("--all", help="Every player of the club.")] = False,
    due: Annotated[Day, typer.Option(formats=["%Y-%m-%d"], help="When it is due.")] = None,
    instalments: Annotated[
        int | None, typer.Option(help="In how many parts it is paid, each with its own date and link.")
    ] = None,
    every: Annotated[Every, typer.Option(help="How far apart the parts are due.")] = Every.MONTH,
    start: Annotated[
        Day, typer.Option(formats=["%Y-%m-%d"], help="When the first part is due; else today.")
    ] = None,
    club: ClubName = None,
    commit: Commit = False,
    as_json: AsJson = False,
) -> None:
    """Charge an item, once a player however often this is run.

    Instalments sum to the price; spare cents are on the first ones. Whoever is billed after some dates have
    passed pays the whole price on the dates that are left.
    """
    wanted = new_item(name, category, parse_money(price))
    if everyone == bool(player or team):
        raise InvalidInputError("Say who is charged: --player and --team, each as often as needed, or --all.")
    if instalments is None and start is not None:
        raise InvalidInputError("--start is for --instalments; with one payment write --due.")
    if instalments is not None and due is not None:
        raise InvalidInputError("Instalments have dates of their own: write --start instead of --due.")

    async def work(services: Services, chosen: Club) -> tuple[Club, tuple[NameProblem, ...], ItemBill]:
        today = local_date(services.clock(), chosen.time_zone)
        async with services.database.transaction(keep=commit) as conn:
            who = await choose_players(conn, chosen.id, player or [], team or [], everyone=everyone)
            if instalments is None:
                due_date = due.date() if due else None
                bill = await charge_item(conn, chosen, who.player_ids, wanted, due_date, actor="cli")
            else:
                first = start.date() if start else today
                dates = dates_left(due_dates(first, every, instalments), today)
                bill = await charge_in_parts(conn, chosen, who.player_ids, wanted, dates, actor="cli")
        return chosen, who.problems, bill

    chosen, unknown, bill = run_for_club(club, work)
    _tell(chosen, bill, unknown, commit=commit)
    problems = [
        *({"player": problem.name, "reason": problem.reason} for problem in unknown),
        *({"player": problem.player_name, "reason": problem.reason} for problem in bill.problems),
    ]
    result = {
        "created": len(bill.charges),
        "skipped": bill.already_billed,
        "failed": len(problems),
        "total_cents": bill.total_cents,
        "order_ids": [charge.order_id for charge in bill.charges] if commit else [],
        "problems": problems,
    }
    finish(result, commit=commit, as_json=as_json, failed=len(problems))


def _tell(club: Club, bill: ItemBill, unknown: tuple[NameProblem, ...], *, commit: bool) -> None:
    players = len({charge.player_id for charge in bill.charges})
    total = format_money(bill.total_cents, club.currency)
    verb = "Charged" if commit else "Would charge"
    orders = f"{len(bill.charges)} order(s)"
    say(f"{verb} {players} player(s) {total} with {orders}; {bill.already_billed} already billed.")
    say_list(
        f"{charge.player_name}: {charge.description}, {format_money(charge.amount_cents, club.currency)}"
        f"{_due(charge.due_date)}"
        for charge in bill.charges
    )
    if unknown or bill.problems:
        say("Not charged:")
        say_list((f"{problem.name}: {problem.reason}" for problem in unknown), all_of_them=True)
        say_list((f"{problem.player_name}: {problem.reason}" for problem in bill.problems), all_of_them=True)


def _due(due_date: date | None) -> str:
    return f", due {due_date}" if due_date else ""
