"""The repairs as people run them: dry runs that only look, then --commit, then nothing left to do."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from subprocess import CompletedProcess

import pytest
from sqlalchemy import select, update

from core.database import Database
from core.models import Order, ReconcileFinding, ReconcileRun
from sandbox.server import serve
from sandbox.stripe import StripeStandIn
from tests.books import Books, open_books
from tests.cli.test_commands import Run, last_json, run

__all__ = ["run"]
KEY = "sk_test_made_up"
Ask = Callable[..., Awaitable[CompletedProcess[str]]]


@pytest.fixture
async def stripe() -> AsyncIterator[StripeStandIn]:
    stripe = StripeStandIn(secret_key=KEY, webhook_secret="whsec_made_up", auto_deliver=False)
    async with serve(stripe.app) as base_url:
        stripe.base_url = base_url
        yield stripe
    await stripe.close()


@pytest.fixture
def ask(run: Run, stripe: StripeStandIn) -> Ask:
    """Run a command that can reach Stripe."""

    async def ask(*arguments: str) -> CompletedProcess[str]:
        given = {"STRIPE_SECRET_KEY": KEY, "STRIPE_API_BASE": stripe.base_url}
        return await asyncio.to_thread(run, *arguments, **given)

    return ask


@pytest.fixture
async def books(database: Database) -> Books:
    async with database.transaction() as conn:
        return await open_books(conn)


async def test_a_payment_that_was_missed_is_reconciled(
    ask: Ask, stripe: StripeStandIn, books: Books, database: Database
) -> None:
    first, again = [last_json(await ask("backfill", "payment-links", "--commit", "--json")) for _ in range(2)]
    assert (first["created"], first["skipped"]) == (again["skipped"], again["created"]) == (1, 0)
    await stripe.pay(await stripe.open_link(next(iter(stripe.payment_links))))
    asked = len(stripe.requests)

    rehearsed = await ask("reconcile", "--json")
    assert rehearsed.returncode == 0, rehearsed.stderr
    assert "Reconciliation with Stripe: 1 difference (" in rehearsed.stdout
    assert last_json(rehearsed)["created"] == 1
    assert {request.method for request in stripe.requests[asked:]} == {"GET"}
    async with database.transaction() as conn:
        assert await conn.scalar(select(ReconcileRun.id)) is None
        assert await conn.scalar(select(ReconcileFinding.id)) is None

    done = await ask("reconcile", "--commit", "--json")
    assert (done.returncode, last_json(done)["created"], last_json(done)["failed"]) == (0, 1, 0)
    async with database.transaction() as conn:
        assert await conn.scalar(select(Order.status)) == "paid"
        await conn.execute(update(Order).values(status="paid"))
    again = last_json(await ask("reconcile", "--commit", "--json", "--since", "7"))
    # Its link is closed by a job that no worker has done here.
    assert (again["created"], again["failed"]) == (0, 0)


async def test_what_fails_is_listed_and_exits_with_one(
    ask: Ask, stripe: StripeStandIn, books: Books, database: Database
) -> None:
    await ask("backfill", "payment-links", "--commit")
    async with database.transaction() as conn:
        await conn.execute(update(Order).values(amount_cents=10))
    done = await ask("reconcile", "--commit", "--json")
    assert done.returncode == 1
    assert "Stripe said no" in done.stdout
    assert last_json(done)["failed"] == 1
    wrong = await ask("reconcile", "--since", "31")
    assert (wrong.returncode, "1 to 30" in wrong.stderr) == (2, True)


async def test_addresses_that_orders_lack(
    ask: Ask, stripe: StripeStandIn, books: Books, database: Database
) -> None:
    async with database.transaction() as conn:
        await conn.execute(update(Order).values(stripe_checkout_session_id="cs_test_elsewhere"))
    done = await ask("backfill", "checkout-urls", "--commit", "--json")
    assert (done.returncode, last_json(done)["skipped"]) == (0, 1)
    assert "doesn't know this session" in json.dumps(last_json(done)["unavailable"])


async def test_a_tournament_that_is_not_there(ask: Ask, books: Books) -> None:
    done = await ask("regenerate", "tournament-orders", "--tournament-id", "4711")
    assert (done.returncode, "no tournament 4711" in done.stderr) == (2, True)
    wrong = await ask("regenerate", "tournament-orders", "--tournament-id", "1", "--product-ids", "x")
    assert (wrong.returncode, "numbers like 1,2" in wrong.stderr) == (2, True)


async def test_without_stripe_a_repair_says_so(run: Run, books: Books) -> None:
    done = await asyncio.to_thread(run, "reconcile")
    assert (done.returncode, "STRIPE_SECRET_KEY" in done.stderr) == (2, True)
