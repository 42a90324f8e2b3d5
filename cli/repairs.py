"""Repairs of single things: `backfill checkout-urls`, `regenerate tournament-orders`."""

from collections import Counter
from typing import Annotated

import typer

from cli.output import AsJson, ClubName, Commit, finish, progress_bar, say, say_list
from cli.runtime import run_for_club
from core.club import Club
from core.errors import InvalidInputError
from core.regenerate import Action, Verdict
from core.repairs import Outcome, UrlReport, UrlResult
from core.services import Services


def add_to(app: typer.Typer) -> None:
    """Add these commands; `backfill checkout-urls` joins the other backfills."""
    regenerate = typer.Typer(no_args_is_help=True, help="Replace what Stripe has by fresh links.")
    # Without this a group of one command would lose its name.
    regenerate.callback()(_nothing)
    regenerate.command("tournament-orders")(tournament_orders)
    app.add_typer(regenerate, name="regenerate")


def _nothing() -> None:
    """Replace what Stripe has by fresh links."""


def checkout_urls(club: ClubName = None, commit: Commit = False, as_json: AsJson = False) -> None:
    """Ask Stripe for the addresses that open orders with a Checkout Session lack."""

    async def work(services: Services, chosen: Club) -> UrlReport:
        waiting, settled = await services.checkout_urls.find(chosen)
        with progress_bar("Asking Stripe", len(waiting)) as progress:
            task = progress.task_ids[0]
            results = await services.checkout_urls.backfill(
                chosen, waiting, lambda: progress.advance(task), keep=commit
            )
        return UrlReport(tuple(results), settled)

    report = run_for_club(club, work)
    stored, lost, failed = (report.of(outcome) for outcome in Outcome)
    say(f"{'Stored' if commit else 'Would store'} {len(stored)} address(es).")
    for title, results in (("No address can be had for:", lost), ("Failed; run this again:", failed)):
        if results:
            say(title)
            say_list((_url_line(result) for result in results), all_of_them=True)
    if report.settled:
        say(f"{report.settled} settled order(s) need no address any more.")
    result = {
        "created": len(stored),
        "skipped": len(lost) + report.settled,
        "failed": len(failed),
        "unavailable": [{"order_id": each.order.order_id, "reason": each.reason} for each in lost],
        "failures": [{"order_id": each.order.order_id, "reason": each.reason} for each in failed],
    }
    finish(result, commit=commit, as_json=as_json, failed=len(failed))


def _url_line(result: UrlResult) -> str:
    order = result.order
    return f"order {order.order_id}, {order.player_name}, {order.description}: {result.reason}"


def tournament_orders(
    tournament_id: Annotated[int, typer.Option("--tournament-id", help="The tournament's number.")],
    product_ids: Annotated[
        str, typer.Option("--product-ids", help="Only these products, like 1,2; else all of the tournament's.")
    ] = "",
    force: Annotated[bool, typer.Option("--force", help="Replace also what looks right.")] = False,
    club: ClubName = None,
    commit: Commit = False,
    as_json: AsJson = False,
) -> None:
    """Replace the payment pages of a tournament's open orders that don't name their order at Stripe."""
    products = _numbers(product_ids)

    async def work(services: Services, chosen: Club) -> list[Verdict]:
        links = services.tournament_links
        orders = await links.find(chosen, tournament_id, products)
        with progress_bar("Asking Stripe", len(orders)) as progress:
            task = progress.task_ids[0]
            verdicts = await links.inspect(orders, lambda: progress.advance(task), force=force)
        if not commit:
            return verdicts
        with progress_bar("Replacing links", len(verdicts)) as progress:
            task = progress.task_ids[0]
            return await links.apply(chosen, verdicts, lambda: progress.advance(task))

    verdicts = run_for_club(club, work)
    _tell(verdicts, commit=commit)
    count = Counter(verdict.action for verdict in verdicts)
    failures = [each for each in verdicts if each.action is Action.FAILED]
    result = {
        "created": count[Action.REGENERATE] + count[Action.STORE_URL],
        "skipped": count[Action.NOTHING] + count[Action.HANDS_OFF],
        "failed": len(failures),
        "regenerated": [each.order.order_id for each in verdicts if each.action is Action.REGENERATE],
        "left_alone": [
            {"order_id": each.order.order_id, "reason": each.reason}
            for each in verdicts
            if each.action is Action.HANDS_OFF
        ],
        "failures": [{"order_id": each.order.order_id, "reason": each.reason} for each in failures],
    }
    finish(result, commit=commit, as_json=as_json, failed=len(failures))


def _tell(verdicts: list[Verdict], *, commit: bool) -> None:
    done = [each for each in verdicts if each.action in {Action.REGENERATE, Action.STORE_URL}]
    say(f"{'Replaced' if commit else 'Would replace'} {len(done)} of {len(verdicts)} open order(s)' links.")
    say_list(_verdict_line(each) for each in done)
    for title, action in (
        ("Left alone, money is there or on its way:", Action.HANDS_OFF),
        ("Failed; run this again:", Action.FAILED),
    ):
        listed = [each for each in verdicts if each.action is action]
        if listed:
            say(title)
            say_list((_verdict_line(each) for each in listed), all_of_them=True)


def _verdict_line(verdict: Verdict) -> str:
    order = verdict.order
    return f"order {order.order_id}, {order.player_name}, {order.description}: {verdict.reason}"


def _numbers(typed: str) -> list[int]:
    parts = [part.strip() for part in typed.split(",") if part.strip()]
    if not all(part.isascii() and part.isdecimal() for part in parts):
        raise InvalidInputError(f"--product-ids “{typed}” can't be read; write numbers like 1,2")
    return [int(part) for part in parts]
