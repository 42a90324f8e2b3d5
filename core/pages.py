"""The pages that parents see: one family's balance, and plain words where something can't be paid."""

from dataclasses import dataclass
from datetime import date

from jinja2 import Environment

from core.rendering import Brand
from core.statement_page import StatementPage


@dataclass(frozen=True, slots=True)
class ClosedPage:
    """An item that can't be paid: what it is, why, and what to do.

    It leads nowhere else: a pay link may have been passed on to somebody who is to see this one item only.
    """

    brand: Brand
    title: str
    message: str
    advice: str


@dataclass(frozen=True, slots=True)
class BalanceItem:
    """Something a family owes, in cents. Without `pay_url` it can't be paid now, and `note` says why."""

    player_name: str
    description: str
    amount_cents: int
    due_date: date | None
    pay_url: str | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class PaidItem:
    """Something a family has paid, in cents; negative where money was given back."""

    date: date
    player_name: str
    description: str
    amount_cents: int
    method: str


@dataclass(frozen=True, slots=True)
class BalancePage:
    """Everything one family owes and has paid. `total_cents` is what it can pay now.

    Where there are items of which none can be paid now, `not_payable` says why.
    """

    brand: Brand
    currency: str
    family_name: str
    items: tuple[BalanceItem, ...]
    total_cents: int
    paid: tuple[PaidItem, ...]
    today: date
    statement_url: str = ""
    not_payable: str = ""


@dataclass(frozen=True, slots=True)
class ErrorPage:
    """Something went wrong. The reference, where there is one, is in the log too."""

    brand: Brand | None
    title: str
    message: str
    reference: str | None


class PageRenderer:
    """Makes pages from their data, as complete HTML documents."""

    def __init__(self, environment: Environment) -> None:
        self._closed = environment.get_template("pages/item_closed.html")
        self._balance = environment.get_template("pages/balance.html")
        self._statement = environment.get_template("pages/statement.html")
        self._error = environment.get_template("pages/error.html")

    def closed(self, page: ClosedPage) -> str:
        """Return the page of an item that can't be paid."""
        return self._closed.render(page=page, brand=page.brand)

    def balance(self, page: BalancePage) -> str:
        """Return a family's page, its players in the order in which they first come."""
        players: dict[str, list[BalanceItem]] = {}
        for item in page.items:
            players.setdefault(item.player_name, []).append(item)
        return self._balance.render(page=page, brand=page.brand, players=players)

    def statement(self, page: StatementPage, address: str, balance_url: str) -> str:
        """Return a family's statement; `address` is its own, `balance_url` the family's page."""
        return self._statement.render(page=page, brand=page.brand, address=address, balance_url=balance_url)

    def error(self, page: ErrorPage) -> str:
        """Return the page of a failure."""
        return self._error.render(page=page, brand=page.brand)
