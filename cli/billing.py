"""Charges and links: `bill monthly|tournament|item`, `backfill payment-links`."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated

import typer

from cli import items, repairs, tournaments
from cli.output import AsJson, ClubName, Commit, finish, progress_bar, say, say_list
from cli.runtime import run_for_club
from core.backfill import BackfillReport, MissingLink
from core.club import Club
from core.money import format_money
from core.monthly_fees import BillingReport, bill_monthly, first_day
from core.services import Services


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    bill = typer.Typer(no_args_is_help=True, help="Make orders.")
    bill.command("monthly")(monthly)
    bill.command("tournament")(tournaments.bill)
    bill.command("item")(items.item)
    app.add_typer(bill, name="bill")
    backfill = typer.Typer(no_args_is_help=True, help="Make what is missing.")
    backfill.command("payment-links")(payment_links)
    backfill.command("checkout-urls")(repairs.checkout_urls)
    app.add_typer(backfill, name="backfill")


def monthly(
    period: Annotated[str, typer.Option(help="The month, like 2026-12.")],
    due: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="When it is due; else the month's first day.")
    ] = None,
    skip_proration: Annotated[
        bool, typer.Option("--skip-proration", help="Charge the whole month even where a contract began in it.")
    ] = False,
    club: ClubName = None,
    commit: Commit = False,
    as_json: AsJson = False,
) -> None:
    """Charge every signed player the monthly fee, once a month however often this is run."""
    first_day(period)

    async def work(services: Services, chosen: Club) -> tuple[Club, BillingReport]:
        async with services.database.transaction(keep=commit) as conn:
            due_date = due.date() if due else None
            return chosen, await bill_monthly(conn, chosen, period, due_date=due_date, prorate=not skip_proration)

    chosen, report = run_for_club(club, work)
    verb = "Charged" if commit else "Would charge"
    total = format_money(report.total_cents, chosen.currency)
    say(f"{verb} {len(report.charges)} player(s) {total} for {period}; {report.already_billed} already billed.")
    say_list(f"{c.player_name}: {c.description}" for c in report.charges)
    if report.problems:
        say("Not charged:")
        say_list((f"{problem.player_name}: {problem.reason}" for problem in report.problems), all_of_them=True)
    result = {
        "created": len(report.charges),
        "skipped": report.already_billed + len(report.problems),
        "failed": 0,
        "total_cents": report.total_cents,
        "not_charged": [{"player": p.player_name, "reason": p.reason} for p in report.problems],
    }
    finish(result, commit=commit, as_json=as_json)


def payment_links(club: ClubName = None, commit: Commit = False, as_json: AsJson = False) -> None:
    """Mint the payment links that signed players with something owed don't have yet."""

    async def work(services: Services, chosen: Club) -> tuple[Club, int, Sequence[MissingLink], BackfillReport]:
        adopted = await services.backfill.adopt(chosen, keep=commit)
        missing, linked = await services.backfill.find(chosen), await services.backfill.count_linked(chosen)
        if not commit:
            return chosen, adopted, missing, BackfillReport(len(missing), linked, ())
        with progress_bar("Minting links", len(missing)) as progress:
            task = progress.task_ids[0]
            report = await services.backfill.mint(chosen, missing, lambda: progress.advance(task))
        return chosen, adopted, missing, replace(report, skipped=report.skipped + linked)

    chosen, adopted, missing, report = run_for_club(club, work)
    say(f"{'Minted' if commit else 'Would mint'} {report.created} payment link(s); {report.skipped} not needed.")
    if adopted:
        say(f"{adopted} imported link(s) {'got' if commit else 'would get'} the order that they fit.")
    if not commit:
        say_list(
            f"{m.player_name}: {m.description}, {format_money(m.balance_cents, chosen.currency)}" for m in missing
        )
    if report.failures:
        say(f"{len(report.failures)} failed; run this again to go on with them:")
        say_list(
            (f"{f.missing.player_name}, {f.missing.description}: {f.reason}" for f in report.failures),
            all_of_them=True,
        )
    result = {
        "created": report.created,
        "skipped": report.skipped,
        "failed": len(report.failures),
        "adopted": adopted,
        "failures": [{"order_id": f.missing.order_id, "reason": f.reason} for f in report.failures],
    }
    finish(result, commit=commit, as_json=as_json, failed=len(report.failures))
