"""The nightly comparison's message, and the button that repairs one difference."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from pydantic import SecretStr
from sqlalchemy import insert, select, update
from sqlalchemy.engine import URL

from core.models import AuditLog, Order, ReconcileFinding, ReconcileRun
from core.services import Services, build_services
from sandbox.server import serve
from sandbox.slack import Message
from sandbox.stripe import StripeStandIn
from tests.bot.conftest import ADMIN, COACH, PAYMENTS, TREASURER, Club, HurriedPacer
from tests.bot.test_player import words

NIGHT = "2026-12-01"


@pytest.fixture
async def stripe() -> AsyncIterator[StripeStandIn]:
    stripe = StripeStandIn(secret_key="sk_test_made_up", webhook_secret="whsec_made_up", auto_deliver=False)
    async with serve(stripe.app) as base_url:
        stripe.base_url = base_url
        yield stripe
    await stripe.close()


@pytest.fixture
async def services(services: Services, stripe: StripeStandIn, database_url: URL) -> AsyncIterator[Services]:
    given = {"stripe_secret_key": SecretStr("sk_test_made_up"), "stripe_api_base": stripe.base_url}
    with_stripe = build_services(services.settings.model_copy(update=given), database_url)
    yield replace(with_stripe, pacer=HurriedPacer(with_stripe.database))
    await with_stripe.close()


async def night(club: Club, *, repriced: int = 1) -> Message:
    """Let the night find some links over another amount; gives its message."""
    async with club.services.database.transaction() as conn:
        orders = list(await conn.scalars(select(Order.id).order_by(Order.id).limit(repriced)))
    for order_id in orders:
        await club.services.payment_links.payable_url(club.books.tenant_id, order_id)
    async with club.services.database.transaction() as conn:
        await conn.execute(update(Order).where(Order.id.in_(orders)).values(amount_cents=9000))
    await club.services.reconciliation.run_night(club.books.tenant_id, NIGHT)
    await club.drain()
    (message,) = club.slack.messages_in(PAYMENTS)
    return message


async def press(club: Club, message: Message, who: str = ADMIN) -> str:
    done = await club.slack.press(who, message, "reconcile_repair", stale=True)
    return words(await done.message())


async def test_a_night_without_differences_is_one_line(club: Club) -> None:
    message = await night(club, repriced=0)
    assert message.text == "Reconciliation with Stripe: 0 differences (0 events, 0 links looked at)."
    assert len(message.blocks) == 1


async def test_a_difference_is_repaired_by_a_press_and_says_by_whom(club: Club, stripe: StripeStandIn) -> None:
    message = await night(club)
    assert "1 difference (" in message.text
    assert "asks for $150.00, but $90.00 is owed" in words(message)
    assert "On it" in await press(club, message)
    await club.drain()
    assert await club.slack.workspace.wait_until(lambda: "✅ Repaired by <@U0ADMIN>" in words(message), 30)
    assert "reconcile_repair" not in words(message)
    assert sorted(link["active"] for link in stripe.payment_links.values()) == [False, True]
    async with club.services.database.transaction() as conn:
        assert list(await conn.scalars(select(AuditLog.actor))) == [ADMIN]


async def test_the_second_to_press_is_told_who_was_first(club: Club) -> None:
    message = await night(club)
    old = message.snapshot()
    await press(club, message)
    assert "by <@U0ADMIN>" in await press(club, old, TREASURER)
    await club.drain()
    assert "Already repaired by <@U0ADMIN>" in await press(club, old, TREASURER)
    async with club.services.database.transaction() as conn:
        assert len(list(await conn.scalars(select(AuditLog.id)))) == 1


async def test_a_coach_may_look_but_not_repair(club: Club) -> None:
    message = await night(club)
    assert "Only admins can repair differences" in await press(club, message, COACH)
    async with club.services.database.transaction() as conn:
        assert await conn.scalar(select(ReconcileFinding.resolved_by)) is None


async def test_a_repair_that_fails_says_why_and_can_be_tried_again(club: Club) -> None:
    message = await night(club)
    async with club.services.database.transaction() as conn:
        await conn.execute(update(Order).values(amount_cents=10))
    await press(club, message)
    await club.drain()
    assert await club.slack.workspace.wait_until(lambda: "The repair failed" in words(message), 30)
    assert "Try the repair again" in words(message)
    async with club.services.database.transaction() as conn:
        await conn.execute(update(Order).values(amount_cents=9000))


async def test_a_button_of_an_earlier_night_does_the_right_thing(club: Club) -> None:
    message = await night(club)
    await club.services.reconciliation.run_night(club.books.tenant_id, "2026-12-02")
    await club.drain()
    first, second = club.slack.messages_in(PAYMENTS)
    assert first.ts == message.ts
    await press(club, first)
    await club.drain()
    for each in (first, second):
        assert await club.slack.workspace.wait_until(lambda shown=each: "✅ Repaired by" in words(shown), 30)  # type: ignore[misc]


@pytest.mark.parametrize(("name", "shown"), [("Jaxon Reed", 20), ("Zoë <b>& *Reed*" * 20, None)])
async def test_a_long_list_is_cut_and_the_rest_counted(club: Club, name: str, shown: int | None) -> None:
    message = await night(club)
    async with club.services.database.transaction() as conn:
        finding = (await conn.execute(select(ReconcileFinding.run_id, ReconcileFinding.facts))).one()
        more = [
            {
                "tenant_id": club.books.tenant_id,
                "run_id": finding.run_id,
                "kind": "link_amount_differs",
                "key": f"plink_test_{number}",
                "facts": finding.facts | {"player": name},
            }
            for number in range(30)
        ]
        ids = list(await conn.scalars(insert(ReconcileFinding).returning(ReconcileFinding.id), more))
        await conn.execute(update(ReconcileRun).values(finding_ids=ids))
        await club.services.jobs.refresh_reconciliation(conn, finding.run_id)
    await club.drain()
    assert await club.slack.workspace.wait_until(lambda: "more differences; " in words(message), 30)
    buttons = words(message).count("'action_id': 'reconcile_repair'")
    assert buttons == (shown or buttons) > 5
    assert f"…and {30 - buttons} more differences" in words(message)
    assert "<b>" not in words(message)
