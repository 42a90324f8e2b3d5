"""A club's season, billed, linked, reminded and reconciled, in a club of 500 families and in one of 2,000.

Every month's orders are made by the product. The links of the last month are minted, at a strict stand-in of
Stripe in a process of its own and without Stripe's pace, which alone would take minutes; the months before were
paid in cash. What a step costs for each family must not grow with the club.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import text
from sqlalchemy.engine import URL

from core.backfill import Backfill
from core.club import Club, club_by_id
from core.database import libpq_url
from core.monthly_fees import bill_monthly
from core.pace import Pacer
from core.payment_links import PaymentLinks
from core.reconcile import Reconciliation
from core.reminder_rules import change_rules, switch
from core.services import Services, build_services
from core.stripe_gateway import StripeGateway
from core.tenancy import tenant_scope
from sandbox.server import serve
from sandbox.stripe import StripeStandIn
from tests.bench.ground import database, engine_of
from tests.bench.serving import free_port, process
from tests.bench.tables import table
from tests.books import made_up_settings
from tests.core.made_up_names import made_up_players
from tests.statements import counted

SIZES = (500, 2000)
MONTHS = [f"2026-{month:02}" for month in range(1, 13)]
DAY_AFTER_DUE = datetime(2026, 12, 2, 15, tzinfo=UTC)
KEY = "sk_test_bench"

_CLUB = """
insert into tenants (name, slack_team_id) values ('Bench FC', 'T0BENCH');
insert into teams (tenant_id, name) select 1, 'Team ' || n from generate_series(1, 100) n;
insert into parents (tenant_id, first_name, last_name, email)
    select 1, 'Parent', 'No' || n, 'parent' || n || '@example.com' from generate_series(1, %(families)s) n;
"""
_PAID_IN_CASH = """
insert into payments (order_id, amount_cents, method, recorded_by)
    select o.id, o.amount_cents, 'cash', 'U0ADMIN' from orders o join products p on p.id = o.product_id
    where p.period < '2026-12';
update orders o set status = 'paid', paid_at = now() from products p
    where p.id = o.product_id and p.period < '2026-12';
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a step cost one club."""

    step: str
    seconds: float
    statements: int


class _Unpaced(Pacer):
    async def wait(self, key: str, per_second: float) -> None:
        """Wait for nobody: Stripe's limits are not what is measured."""


async def run() -> str:
    """Measure both clubs."""
    small, large = [await _season(families) for families in SIZES]
    head = (
        f"{SIZES[0]:,} families: s",
        "statements",
        f"{SIZES[1]:,} families: s",
        "statements",
        "cost for a family, large to small",
    )
    return table("A season of 12 months, one and a half players a family", head, list(map(_row, small, large)))


def _row(small: Cost, large: Cost) -> tuple[str, ...]:
    growth = (large.seconds / SIZES[1]) / (small.seconds / SIZES[0])
    return (
        small.step,
        f"{small.seconds:.2f}",
        f"{small.statements:,}",
        f"{large.seconds:.2f}",
        f"{large.statements:,}",
        f"{growth:.2f}",
    )


async def _season(families: int) -> list[Cost]:
    with database() as (url, folder):
        _fill(url, families)
        port = free_port()
        command = (sys.executable, "-m", "tests.bench.season", str(port))
        async with process(*command, port=port):
            settings = made_up_settings(
                folder,
                database_url=libpq_url(url),
                stripe_secret_key=KEY,
                smtp_url="smtp://127.0.0.1:9",
                mail_from="Bench FC <billing@club.test>",
            )
            services = build_services(settings, url, clock=lambda: DAY_AFTER_DUE)
            with tenant_scope(1):
                costs = await _play(services, url, f"http://127.0.0.1:{port}")
            await services.close()
    return costs


def _fill(url: URL, families: int) -> None:
    players = made_up_players(families * 3 // 2, seed=1)
    with engine_of(url) as engine, engine.connect() as connection:
        cursor = connection.connection.cursor()
        cursor.execute(_CLUB % {"families": families})
        columns = "tenant_id, parent_id, team_id, first_name, last_name, contract_status, monthly_fee_cents"
        with cursor.copy(f"copy players ({columns}) from stdin") as copy:
            for number, (first, last) in enumerate(players):
                fee = 12000 + number % 5 * 1500
                copy.write_row((1, number % families + 1, number % 100 + 1, first, last, "signed", fee))
        connection.execute(text("vacuum analyze tenants, teams, parents, players"))


async def _play(services: Services, url: URL, stripe_address: str) -> list[Cost]:
    async with services.database.reading() as conn:
        club = await club_by_id(conn, 1)
    gateway = StripeGateway(KEY, _Unpaced(services.database), api_base=stripe_address)
    links = PaymentLinks(services.database, gateway, services.jobs, services.clock)
    backfill = Backfill(services.database, links)

    async def bill() -> None:
        for month in MONTHS:
            async with services.database.transaction() as conn:
                await bill_monthly(conn, club, month)

    async def link() -> None:
        report = await backfill.mint(club, await backfill.find(club), lambda: None)
        if report.failures:
            raise RuntimeError(report.failures[0].reason)

    async def remind() -> None:
        done = await services.reminders.run_now(club, actor="bench", keep=True)
        if not done.plan.audience.recipients:
            raise RuntimeError("nobody was reminded")

    async def reconcile() -> None:
        comparison = await Reconciliation(services.database, services.jobs, gateway, services.clock).compare(club)
        if comparison.differences:
            raise RuntimeError(f"{len(comparison.differences)} differences with Stripe")

    costs = [await _measured("billed: 12 months", services, bill)]
    with engine_of(url) as engine, engine.connect() as connection:
        for statement in _PAID_IN_CASH.split(";")[:-1]:
            connection.execute(text(statement))
        connection.execute(text("vacuum analyze orders, payments, products"))
    costs.append(await _measured("linked: one month, at Stripe", services, link))
    await _switch_reminders_on(services, club)
    costs.append(await _measured("reminded: one day, everybody due", services, remind))
    costs.append(await _measured("reconciled: 30 days, open links", services, reconcile))
    return costs


async def _switch_reminders_on(services: Services, club: Club) -> None:
    every_day = {"weekdays": tuple(range(1, 8)), "needs_approval": False}
    async with services.database.transaction() as conn:
        await change_rules(conn, club, every_day, actor="bench")
        await switch(conn, club, on=True, actor="bench", now=datetime(2026, 12, 1, 9, tzinfo=UTC))


async def _measured(step: str, services: Services, work: Callable[[], Awaitable[None]]) -> Cost:
    begun = time.perf_counter()
    with counted(services.database) as statements:
        await work()
    return Cost(step, time.perf_counter() - begun, len(statements))


async def _serve_stripe(port: int) -> None:
    stripe = StripeStandIn(secret_key=KEY, webhook_secret="whsec_bench", auto_deliver=False, max_per_second=None)
    async with serve(stripe.app, port) as address:
        stripe.base_url = address
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve_stripe(int(sys.argv[1])))
