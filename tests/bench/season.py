"""A club's season, billed, linked, reminded, paid and reconciled, in a club of 500 families and in one of 2,000.

Every order is made by the product. The first eleven months' are then paid behind its back, but for a tenth of the
last; the links of what is owed are minted one by one at a strict stand-in of Stripe in a process of its own,
without Stripe's pace, which alone would take minutes. What a step costs for each family, mail or payment must not
grow with the club. The cost that is compared is the processors' time, of the product and of PostgreSQL: how long
something takes depends on what else the machine does.
"""

import asyncio
import logging
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import psutil
import structlog
from sqlalchemy import text
from sqlalchemy.engine import URL

from core.at_once import a_few_at_once
from core.backfill import Backfill
from core.club import Club, club_by_id
from core.database import libpq_url
from core.manual_payments import HandPayment, ManualPayments
from core.models.statuses import PaymentMethod
from core.monthly_fees import bill_monthly
from core.pace import Pacer
from core.payment_links import PaymentLinks
from core.reconcile import Reconciliation
from core.reminder_rules import change_rules, switch
from core.services import Services, build_services
from core.stripe_gateway import CALLS_PER_SECOND, StripeGateway
from core.tenancy import tenant_scope
from sandbox.server import serve
from sandbox.stripe import StripeStandIn
from tests.bench.blast import sink
from tests.bench.ground import database, engine_of
from tests.bench.serving import free_port, process
from tests.bench.tables import table
from tests.books import made_up_settings
from tests.core.made_up_names import made_up_players
from tests.statements import counted

# Before those two a small one, so that neither pays for what happens once in a process.
WARM_UP, SIZES = 40, (500, 2000)
MONTHS = [f"2026-{month:02}" for month in range(1, 13)]
DAY_AFTER_DUE = datetime(2026, 12, 2, 15, tzinfo=UTC)
KEY = "sk_test_bench"
NOTE = """
CPU is the product's and PostgreSQL's together; the last column must stay near 1, give or take a third for what
takes a second or two. Minted are the links of what is owed, {links:,} in the larger club, without Stripe's pace:
at the {pace:.0f} a second that it allows, all {orders:,} of a season take {minutes:.0f} minutes, whatever we do.
"""
# So many mails, payments by webhook and payments by hand, whatever the club's size.
SAMPLE = 300

_CLUB = """
insert into tenants (name, slack_team_id, created_at) values ('Bench FC', 'T0BENCH', '2026-01-01');
insert into teams (tenant_id, name) select 1, 'Team ' || n from generate_series(1, 100) n;
insert into parents (tenant_id, first_name, last_name, email)
    select 1, 'Parent', 'No' || n, 'parent' || n || '@example.com' from generate_series(1, %(families)s) n;
"""
_PAST = """
create temp table paid as select o.id, o.amount_cents, o.player_id, o.parent_id, o.product_id, o.due_date
    from orders o join products p on p.id = o.product_id
    where p.period < '2026-12' and (p.period < '2026-11' or o.parent_id % 10 > 0);
insert into payment_links (tenant_id, player_id, parent_id, product_id, amount_cents, order_id, status, paid_at,
        deactivated_at, stripe_payment_link_id, stripe_payment_link_url)
    select 1, player_id, parent_id, product_id, amount_cents, id, 'paid', due_date, due_date, 'plink_old_' || id,
        'https://buy.example/' || id from paid;
insert into payments (order_id, amount_cents, method, stripe_payment_intent_id, created_at)
    select id, amount_cents, 'card', 'pi_old_' || id, due_date from paid;
insert into checkout_attempts (stripe_checkout_session_id, order_id, stripe_payment_intent_id, status)
    select 'cs_old_' || id, id, 'pi_old_' || id, 'succeeded' from paid;
insert into order_history (order_id, from_status, to_status, reason)
    select id, 'pending', 'paid', 'bench' from paid;
update orders o set status = 'paid', paid_at = paid.due_date from paid where paid.id = o.id;
insert into email_logs (tenant_id, parent_id, email_type, to_address, subject, status, order_ids, created_at)
    select 1, parent_id, 'outstanding_balance', 'parent' || parent_id || '@example.com', 'Fees', 'sent',
        array_agg(id), due_date + 1 from paid group by parent_id, due_date;
vacuum analyze email_logs, orders, payments, payment_links, checkout_attempts, order_history, products;
"""
_OPEN = """
select o.id, o.amount_cents, l.stripe_payment_link_id from orders o join payment_links l on l.order_id = o.id
    join products p on p.id = o.product_id
where o.status = 'pending' and l.status = 'active' and p.period = '2026-12' order by o.id limit :most
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a step cost one club: for so many families, mails or payments. `cpu` is in seconds too."""

    step: str
    things: int
    seconds: float
    statements: int
    cpu: float

    @property
    def milliseconds_each(self) -> float:
        """How long one of them kept a processor busy."""
        return self.cpu / self.things * 1000


class _Unpaced(Pacer):
    async def wait(self, key: str, per_second: float) -> None:
        """Wait for nobody: Stripe's limits are not what is measured."""


async def run() -> str:
    """Measure both clubs."""
    # A line for each mail would be measured too.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    _, small, large = [await _season(families) for families in (WARM_UP, *SIZES)]
    head = [
        *(each for size in SIZES for each in (f"{size:,} families: s", "statements", "CPU ms each")),
        "CPU, large to small",
    ]
    made = table("A season of 12 months, three players to two families", head, list(map(_row, small, large)))
    return made + _note()


def _note() -> str:
    """Return what the table can't say; a tenth of the families owe November too."""
    a_month = SIZES[1] * 3 // 2
    orders = a_month * len(MONTHS)
    minutes = orders / CALLS_PER_SECOND / 60
    return NOTE.format(links=a_month * 11 // 10, pace=CALLS_PER_SECOND, orders=orders, minutes=minutes)


def _row(small: Cost, large: Cost) -> tuple[str, ...]:
    figures = [
        figure
        for cost in (small, large)
        for figure in (f"{cost.seconds:.2f}", f"{cost.statements:,}", f"{cost.milliseconds_each:.2f}")
    ]
    return (small.step, *figures, f"{large.milliseconds_each / small.milliseconds_each:.2f}")


async def _season(families: int) -> list[Cost]:
    with database() as (url, folder):
        _fill(url, families)
        async with AsyncExitStack() as stack:
            mail_port = await stack.enter_async_context(sink())
            stripe_address = await stack.enter_async_context(_stripe())
            settings = made_up_settings(
                folder,
                database_url=libpq_url(url),
                stripe_secret_key=KEY,
                smtp_url=f"smtp://127.0.0.1:{mail_port}",
                mail_from="Bench FC <billing@club.test>",
            )
            services = build_services(settings, url, clock=lambda: DAY_AFTER_DUE)
            stack.push_async_callback(services.close)
            with tenant_scope(1):
                return await _play(_Desk(services, url, folder, stripe_address), families)


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


class _Desk:
    """One club's services, with a Stripe that is close by and takes as much as comes."""

    def __init__(self, services: Services, url: URL, folder: Path, stripe_address: str) -> None:
        self.services, self.url = services, url
        pid_file = next(folder.rglob("postmaster.pid"))
        self._server = psutil.Process(int(pid_file.read_text(encoding="utf-8").partition("\n")[0]))
        parts = services.database, services.jobs
        self.gateway = StripeGateway(KEY, _Unpaced(services.database), api_base=stripe_address)
        self.links = PaymentLinks(*parts[:1], self.gateway, services.jobs, services.clock)
        self.backfill = Backfill(services.database, self.links)
        self.reconciliation = Reconciliation(*parts, self.gateway, services.clock)
        self.by_hand = ManualPayments(*parts, self.links, services.clock)

    def cpu_seconds(self) -> float:
        """Return how long this process and PostgreSQL's have kept processors busy so far."""
        times = self._server.cpu_times()
        busy = time.process_time() + times.user + times.system + times.children_user + times.children_system
        for child in self._server.children():
            with suppress(psutil.NoSuchProcess):
                own = child.cpu_times()
                busy += own.user + own.system
        return float(busy)

    async def club(self) -> Club:
        async with self.services.database.reading() as conn:
            return await club_by_id(conn, 1)

    async def rows(self, statement: str, **named: object) -> list[Any]:
        async with self.services.database.reading() as conn:
            return list(await conn.execute(text(statement), named))

    async def bill(self, club: Club) -> None:
        for month in MONTHS:
            async with self.services.database.transaction() as conn:
                await bill_monthly(conn, club, month)

    def pay_the_past(self) -> None:
        with engine_of(self.url) as engine, engine.connect() as connection:
            for statement in _PAST.split(";")[:-1]:
                connection.execute(text(statement))

    async def mint(self, club: Club) -> None:
        report = await self.backfill.mint(club, await self.backfill.find(club), lambda: None)
        if report.failures:
            raise RuntimeError(report.failures[0].reason)

    async def remind(self, club: Club) -> None:
        done = await self.services.reminders.run_now(club, actor="bench", keep=True)
        if not done.plan.audience.recipients:
            raise RuntimeError("nobody was reminded")

    async def mail(self) -> None:
        rows = await self.rows("select blast_id, parent_id from blast_recipients limit :most", most=SAMPLE)
        await a_few_at_once(rows, lambda row: self.services.blast_sender.send(*row))

    async def take_payments(self) -> None:
        rows = await self.rows(_OPEN, most=SAMPLE)
        with tenant_scope(None):  # the webhook does not know yet whose it is
            await a_few_at_once([_paid_event(*row) for row in rows], self._ingest)

    async def _ingest(self, event: dict[str, Any]) -> None:
        await self.services.stripe_events.ingest(event, orjson.dumps(event))

    async def take_cash(self, club: Club) -> None:
        rows = await self.rows(_OPEN, most=SAMPLE)

        async def take(row: Any) -> None:  # noqa: ANN401 - a row of the statement above
            await self.by_hand.record(club, HandPayment(row[0], row[1] // 2, PaymentMethod.CASH), "U0ADMIN")

        await a_few_at_once(rows, take)

    async def reconcile(self, club: Club) -> None:
        comparison = await self.reconciliation.compare(club)
        # Whatever was paid in part has no link until somebody clicks.
        others = [each for each in comparison.differences if each.kind != "debt_without_link"]
        if others:
            raise RuntimeError(f"{len(others)} differences with Stripe: {others[0]}")
        await self.reconciliation.keep(comparison)


async def _play(desk: _Desk, families: int) -> list[Cost]:
    club, services = await desk.club(), desk.services

    async def measured(step: str, things: int, work: Callable[[], Awaitable[None]]) -> Cost:
        begun, busy = time.perf_counter(), desk.cpu_seconds()
        with counted(services.database) as statements:
            await work()
        seconds, cpu = time.perf_counter() - begun, desk.cpu_seconds() - busy
        return Cost(step, things, seconds, len(statements), cpu)

    costs = [await measured("billed: 12 months, a family", families, lambda: desk.bill(club))]
    desk.pay_the_past()
    await _switch_reminders_on(services, club)
    sample = min(SAMPLE, families)
    costs += [
        await measured("linked: what is owed, a family", families, lambda: desk.mint(club)),
        await measured("reminded: everybody due, a family", families, lambda: desk.remind(club)),
        await measured(f"mailed: {SAMPLE} reminders, each", sample, desk.mail),
        await measured(f"paid: {SAMPLE} webhooks, each", sample, desk.take_payments),
        await measured(f"paid in part: {SAMPLE} in cash, each", sample, lambda: desk.take_cash(club)),
        await measured("reconciled: everything, a family", families, lambda: desk.reconcile(club)),
    ]
    await desk.gateway.close()
    return costs


async def _switch_reminders_on(services: Services, club: Club) -> None:
    every_day = {"weekdays": tuple(range(1, 8)), "needs_approval": False}
    async with services.database.transaction() as conn:
        await change_rules(conn, club, every_day, actor="bench")
        await switch(conn, club, on=True, actor="bench", now=datetime(2026, 12, 1, 9, tzinfo=UTC))


def _paid_event(order_id: int, amount_cents: int, link_id: str) -> dict[str, Any]:
    session = {
        "id": f"cs_test_{order_id}",
        "object": "checkout.session",
        "payment_status": "paid",
        "amount_total": amount_cents,
        "currency": "usd",
        "payment_intent": f"pi_test_{order_id}",
        "payment_link": link_id,
        "metadata": {"order_id": str(order_id), "tenant_id": "1"},
    }
    created = int(DAY_AFTER_DUE.timestamp())
    event = {"id": f"evt_test_{order_id}", "object": "event", "created": created}
    return {**event, "type": "checkout.session.completed", "data": {"object": session}}


@asynccontextmanager
async def _stripe() -> AsyncIterator[str]:
    port = free_port()
    async with process(sys.executable, "-m", "tests.bench.season", str(port), port=port):
        yield f"http://127.0.0.1:{port}"


async def _serve_stripe(port: int) -> None:
    stripe = StripeStandIn(secret_key=KEY, webhook_secret="whsec_bench", auto_deliver=False, max_per_second=None)
    async with serve(stripe.app, port) as address:
        stripe.base_url = address
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve_stripe(int(sys.argv[1])))
