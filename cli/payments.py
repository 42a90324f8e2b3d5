"""Payments outside of Stripe: `payment record`, `payment undo`."""

from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from cli.output import AsJson, ClubName, Commit, finish, say
from cli.runtime import run_for_club
from core.balances import fetch_owed
from core.club import Club
from core.errors import InvalidInputError, NotFoundError
from core.manual_payments import Recorded, Undone, new_hand_payment
from core.models import Order
from core.money import format_money, parse_money
from core.named_players import find_named
from core.services import Services

ACTOR = "cli"


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    group = typer.Typer(no_args_is_help=True, help="Cash, checks and waivers: record them, undo them.")
    group.command("record")(record)
    group.command("undo")(undo)
    app.add_typer(group, name="payment")


def record(  # noqa: PLR0917 - Typer's options are function arguments
    amount: Annotated[str, typer.Option(help="How much came in, like 60.00.")],
    method: Annotated[str, typer.Option(help="cash, check or waiver.")],
    order: Annotated[int | None, typer.Option(help="The order's number.")] = None,
    player: Annotated[str | None, typer.Option(help="“First Last”, where one item is owed for them.")] = None,
    reference: Annotated[str, typer.Option(help="The check's number, or why it is waived.")] = "",
    club: ClubName = None,
    commit: Commit = False,
    as_json: AsJson = False,
) -> None:
    """Record a payment that did not come through Stripe; less than is owed is a part payment."""
    if (order is None) == (player is None):
        raise InvalidInputError("Say what was paid: --order NUMBER, or --player NAME where one item is owed.")
    cents = parse_money(amount)

    async def work(services: Services, chosen: Club) -> tuple[Club, Recorded]:
        order_id = order
        if order_id is None:
            async with services.database.transaction() as conn:
                order_id = await _only_order(conn, chosen, player or "")
        payment = new_hand_payment(order_id, cents, method, reference)
        return chosen, await services.manual_payments.record(chosen, payment, ACTOR, keep=commit)

    chosen, recorded = run_for_club(club, work)
    after, paid = recorded.order, format_money(cents, chosen.currency)
    left = format_money(max(after.balance_cents, 0), chosen.currency)
    verb = "Recorded" if commit else "Would record"
    say(f"{verb} {paid} ({method}) for {after.player_name}: {after.description}; {left} stays owed.")
    result = {
        "created": 1,
        "skipped": 0,
        "failed": 0,
        "payment_id": recorded.payment_id if commit else None,
        "order_id": after.order_id,
        "status": after.status.value,
        "balance_cents": after.balance_cents,
    }
    finish(result, commit=commit, as_json=as_json)


def undo(
    payment: Annotated[int, typer.Option(help="The payment's number, as `payment record` says it.")],
    club: ClubName = None,
    commit: Commit = False,
    as_json: AsJson = False,
) -> None:
    """Take back a payment that was recorded by hand; what Stripe took can only be refunded."""

    async def work(services: Services, chosen: Club) -> tuple[Club, Undone]:
        return chosen, await services.manual_payments.undo(chosen, payment, ACTOR, keep=commit)

    chosen, undone = run_for_club(club, work)
    order, amount = undone.order, format_money(undone.amount_cents, chosen.currency)
    left = format_money(max(order.balance_cents, 0), chosen.currency)
    verb = "Undid" if commit else "Would undo"
    say(f"{verb} {amount} ({undone.method}) for {order.player_name}: {order.description}; {left} is owed.")
    result = {
        "created": 1,
        "skipped": 0,
        "failed": 0,
        "payment_id": payment,
        "order_id": order.order_id,
        "status": order.status.value,
        "balance_cents": order.balance_cents,
    }
    finish(result, commit=commit, as_json=as_json)


async def _only_order(conn: AsyncConnection, club: Club, name: str) -> int:
    named = await find_named(conn, club.id, [name])
    if not named.players:
        problem = named.problems[0] if named.problems else None
        reason = problem.reason if problem else "no name was given"
        raise NotFoundError(f"“{name}”: {reason}.")
    owed = await fetch_owed(conn, club.id, Order.player_id == named.players[0].id)
    if not owed:
        raise NotFoundError(f"Nothing is owed for {named.players[0].name}.")
    if len(owed) > 1:
        choices = ", ".join(
            f"--order {item.order_id} ({item.description}, {format_money(item.balance_cents, item.currency)})"
            for item in owed
        )
        raise InvalidInputError(f"Several items are owed for {named.players[0].name}; say which: {choices}")
    return owed[0].order_id
