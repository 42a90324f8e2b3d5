"""Orders of another program coming in, with what Stripe knows of them: a club can move in mid-season.

An order that is here already, by its Stripe ids or as the same item of the same player and payer, stays as it is.
Whoever imports a file twice changes nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from core import order_import_statements as statements
from core.audit import record_change
from core.charging import lock_billing
from core.club import Club
from core.errors import InvalidInputError
from core.fees import fee_rule
from core.models.statuses import Category, LinkStatus, OrderStatus
from core.order_products import find_or_make_products, product_key
from core.order_rows import OrderRow, ParsedOrders, tidy
from core.roster import RowProblem

IMPORTED_STATUSES = (OrderStatus.PENDING, OrderStatus.PAID, OrderStatus.CANCELED)
_OWED = (OrderStatus.PENDING, OrderStatus.PROCESSING)


@dataclass(frozen=True, slots=True)
class OrderImportReport:
    """What an import did: each row was created, here already, or is a problem. The total is in cents."""

    created: int
    already_here: int
    total_cents: int
    problems: tuple[RowProblem, ...]


@dataclass(frozen=True, slots=True)
class _Whose:
    """A player, and who of the guardians pays."""

    player_id: int
    payer_id: int
    is_second: bool


@dataclass(frozen=True, slots=True)
class _Known:
    """An order that the books have, or that a line above brought."""

    player_id: int
    amount_cents: int
    status: str


# What makes two orders the same: player, payer, kind, month or item. The same thing may have been taken off the
# list several times, at one amount or another.
_Key = tuple[int, int, str, str, int | None]


def _key(whose: _Whose, category: str, period: str | None, item: str, known: _Known) -> _Key:
    what = period if category == Category.MONTHLY and period else tidy(item).casefold()
    canceled = known.amount_cents if known.status == OrderStatus.CANCELED else None
    return whose.player_id, whose.payer_id, category, what, canceled


def _key_of(whose: _Whose, row: OrderRow) -> _Key:
    known = _Known(whose.player_id, row.amount_cents, row.status)
    return _key(whose, row.category, row.period, row.item, known)


class _Books:
    """What the club's books have of a file's players and Stripe ids, and what the file's lines add to it."""

    def __init__(self, orders: Iterable[Row[Any]], stripe_ids: Iterable[Row[Any]]) -> None:
        by_id: dict[int, _Known] = {}
        self._by_key: dict[_Key, _Known] = {}
        self._places: set[tuple[int, int]] = set()
        for order in orders:
            known = _Known(order.player_id, order.amount_cents, order.status)
            by_id[order.id] = known
            whose = _Whose(order.player_id, order.parent_id, is_second=False)
            self._by_key.setdefault(_key(whose, order.category, order.period, order.item, known), known)
            if order.product_id is not None and order.status != OrderStatus.CANCELED:
                self._places.add((order.player_id, order.product_id))
        self._by_stripe_id = {row.stripe_id: by_id.get(row.order_id) for row in stripe_ids}

    def has(self, whose: _Whose, row: OrderRow) -> bool:
        """Say whether the row's order is here already.

        Raises:
            InvalidInputError: where it is here as something else; says what to do.
        """
        same = self._by_key.get(_key_of(whose, row))
        for number, stripe_id in enumerate(each for each in row.stripe_ids if each in self._by_stripe_id):
            known = self._by_stripe_id[stripe_id]
            if known is None or known.player_id != whose.player_id or (number and known is not same):
                raise InvalidInputError(f"{stripe_id} is another order's already; check whose it is")
            same = known
        if same is None:
            return False
        if row.status is OrderStatus.PAID and same.status in _OWED:
            raise InvalidInputError("It is here and still owed; record the payment instead")
        if row.amount_cents != same.amount_cents:
            raise InvalidInputError("It is here with another amount; nothing was changed")
        return True

    def note(self, whose: _Whose, row: OrderRow) -> None:
        """Keep a row that comes in, so that a later line for the same thing finds it."""
        known = _Known(whose.player_id, row.amount_cents, row.status)
        self._by_key[_key_of(whose, row)] = known
        self._by_stripe_id |= dict.fromkeys(row.stripe_ids, known)

    def take_place(self, whose: _Whose, row: OrderRow, product_id: int) -> None:
        """Take the one place that a player has for a product.

        Raises:
            InvalidInputError: where another order has it.
        """
        if row.status is OrderStatus.CANCELED:
            return
        place = (whose.player_id, product_id)
        if place in self._places:
            raise InvalidInputError("The player has another order for the same product; rename one of the two")
        self._places.add(place)


async def import_orders(
    conn: AsyncConnection, club: Club, parsed: ParsedOrders, *, actor: str
) -> OrderImportReport:
    """Bring orders into the club's books; the number of statements grows with the file's months, not its rows.

    It writes; for a rehearsal, roll the transaction back. A row that can't come in is listed with its reason.
    """
    # Before looking: a fee that is being charged right now would come in twice.
    await lock_billing(conn, club.id)
    problems = list(parsed.problems)
    placed = await _place(conn, club, parsed.rows, problems)
    books = await _load_books(conn, club, placed)
    new: list[tuple[OrderRow, _Whose]] = []
    for row, whose in placed:
        try:
            if books.has(whose, row):
                continue
            _check(row)
        except InvalidInputError as error:
            problems.append(RowProblem(row.line, str(error)))
        else:
            books.note(whose, row)
            new.append((row, whose))
    rows = await _with_products(conn, club, new, books, problems)
    await _store(conn, club, rows)
    total = sum(row["amount_cents"] for row in rows)
    if rows:
        after = {"orders": len(rows), "total_cents": total}
        await record_change(conn, club.id, actor, "orders.import", f"tenant:{club.id}", after=after)
    problems.sort(key=lambda problem: problem.line)
    here = len(parsed.rows) + len(parsed.problems) - len(rows) - len(problems)
    return OrderImportReport(len(rows), here, total, tuple(problems))


def _check(row: OrderRow) -> None:
    if row.status not in IMPORTED_STATUSES:
        raise InvalidInputError(
            f"An order that is {row.status} can't come in; bring it in as paid, and Stripe tells the rest"
        )
    if row.amount_cents == 0:
        raise InvalidInputError("The amount has to be more than nothing")
    if row.link_url and not row.link_id:
        raise InvalidInputError("The payment link's address came without its id; fill in Stripe Payment Link Id")


async def _place(
    conn: AsyncConnection, club: Club, rows: Sequence[OrderRow], problems: list[RowProblem]
) -> list[tuple[OrderRow, _Whose]]:
    """Say whose each row is; the others are added to the problems."""
    players: dict[tuple[str, str], list[_Whose]] = {}
    for found in await conn.execute(statements.PLAYERS, {"tenant_id": club.id}):
        whose = _Whose(found.player_id, found.payer_id, found.is_second)
        players.setdefault((tidy(found.name).casefold(), found.email), []).append(whose)
    placed = []
    for row in rows:
        fitting = players.get((row.player.casefold(), row.email), [])
        if len(fitting) == 1:
            placed.append((row, fitting[0]))
            continue
        of = f"with the address {row.email}" if row.email else "whose family has no address"
        reason = f"There are {len(fitting) or 'no'} players called {row.player[:80]} {of}; import the roster first"
        problems.append(RowProblem(row.line, reason))
    return placed


async def _load_books(conn: AsyncConnection, club: Club, placed: Sequence[tuple[OrderRow, _Whose]]) -> _Books:
    players = {"tenant_id": club.id, "players": list({whose.player_id for _, whose in placed})}
    ids = [stripe_id for row, _ in placed for stripe_id in row.stripe_ids]
    return _Books(
        await conn.execute(statements.ORDERS, players), await conn.execute(statements.STRIPE_IDS, {"ids": ids})
    )


async def _with_products(
    conn: AsyncConnection,
    club: Club,
    new: Sequence[tuple[OrderRow, _Whose]],
    books: _Books,
    problems: list[RowProblem],
) -> list[dict[str, Any]]:
    """Return the rows as they are stored, each with its product; products are made where missing."""
    products = await find_or_make_products(conn, club, [(row, whose.is_second) for row, whose in new])
    stored = []
    for row, whose in new:
        product_id = products[product_key(row, is_share=whose.is_second)]
        try:
            books.take_place(whose, row, product_id)
        except InvalidInputError as error:
            problems.append(RowProblem(row.line, str(error)))
        else:
            stored.append(_stored(row, whose, product_id))
    return stored


def _stored(row: OrderRow, whose: _Whose, product_id: int) -> dict[str, Any]:
    return {
        "player_id": whose.player_id,
        "parent_id": whose.payer_id,
        "product_id": product_id,
        "item": row.item,
        "amount_cents": row.amount_cents,
        "status": row.status,
        "due_date": row.due_date,
        "paid_at": row.paid_at,
        "method": row.method,
        "link_id": row.link_id,
        "link_url": row.link_url,
        "link_status": _link_status(row),
        "session_id": row.session_id,
        "intent_id": row.intent_id,
    }


def _link_status(row: OrderRow) -> LinkStatus | None:
    """Return where the order's link stands; None where the place is no longer this order's."""
    if row.status is OrderStatus.CANCELED:
        return None
    is_closed = row.status is OrderStatus.PAID and fee_rule(row.category).closes_when_paid
    return LinkStatus.PAID if is_closed else LinkStatus.ACTIVE


async def _store(conn: AsyncConnection, club: Club, rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    ids = await conn.scalars(statements.NEW_IDS, {"count": len(rows)})
    told = [{"id": order_id, **row} for order_id, row in zip(ids, rows, strict=True)]
    named = {"tenant_id": club.id, "currency": club.currency, "rows": orjson.dumps(told).decode()}
    for statement in (
        statements.ADD_ORDERS,
        statements.ADD_HISTORY,
        statements.ADD_PAYMENTS,
        statements.ADD_ATTEMPTS,
        statements.ADD_LINKS,
        statements.ADD_RETIRED_LINKS,
    ):
        await conn.execute(statement, named)
