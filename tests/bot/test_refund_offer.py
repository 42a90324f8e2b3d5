"""Giving money back from a notice: offered, confirmed, done once, and said in the notice itself."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from sqlalchemy import select
from sqlalchemy.engine import URL

from core.club import club_by_id
from core.manual_payments import HandPayment
from core.models import Payment, UnmatchedPayment
from core.models.statuses import PaymentMethod
from core.services import Services, build_services
from sandbox.mailbox import Mailbox
from sandbox.server import serve
from sandbox.slack import Message, SlackStandIn
from sandbox.stripe import StripeStandIn
from tests.books import database_settings, made_up_settings
from tests.bot.conftest import (
    ADMIN,
    APPROVALS,
    COACH,
    PAYMENTS,
    SECRET,
    TOKEN,
    TREASURER,
    Club,
    HurriedPacer,
)
from tests.bot.test_player import words

KEY = "sk_test_made_up"


@pytest.fixture
async def stripe() -> AsyncIterator[StripeStandIn]:
    stripe = StripeStandIn(secret_key=KEY, webhook_secret="whsec_made_up", auto_deliver=False, max_per_second=None)
    async with serve(stripe.app) as base_url:
        stripe.base_url = base_url
        yield stripe
    await stripe.close()


@pytest.fixture
async def services(
    database_url: URL, slack: SlackStandIn, stripe: StripeStandIn, mailbox: Mailbox, tmp_path: Path
) -> AsyncIterator[Services]:
    settings = made_up_settings(
        tmp_path,
        **database_settings(database_url),
        public_url="https://club.example.com",
        slack_bot_token=TOKEN,
        slack_signing_secret=SECRET,
        slack_api_base_url=f"{slack.base_url}/api",
        slack_payments_channel=PAYMENTS,
        slack_approvals_channel=APPROVALS,
        slack_admins=f"{ADMIN},{TREASURER}",
        slack_coaches=COACH,
        stripe_secret_key=KEY,
        stripe_api_base=stripe.base_url,
        smtp_url=mailbox.smtp_url,
        mail_from="River City FC <billing@club.test>",
    )
    services = build_services(settings, database_url)
    yield replace(services, pacer=HurriedPacer(services.database))
    await services.close()


async def tell(club: Club, stripe: StripeStandIn, *kinds: str) -> None:
    for event in list(stripe.events.values()):
        if event["type"] in kinds:
            await club.services.stripe_events.ingest(event, orjson.dumps(event))
    await club.drain()


async def open_page(club: Club, stripe: StripeStandIn) -> str:
    await club.services.payment_links.payable_url(club.books.tenant_id, club.books.order_id)
    link_id = next(link["id"] for link in stripe.payment_links.values() if link["active"])
    return await stripe.open_link(link_id)


async def paid_twice(club: Club, stripe: StripeStandIn) -> Message:
    sessions = [await open_page(club, stripe) for _ in range(2)]
    for session_id in sessions:
        await stripe.pay(session_id)
    await tell(club, stripe, "checkout.session.completed")
    return next(each for each in club.slack.messages_in(PAYMENTS) if "Paid twice" in words(each))


async def becomes(club: Club, message: Message, part: str) -> None:
    await club.drain()
    assert await club.slack.workspace.wait_until(lambda: part in words(message), 30), words(message)


async def test_a_second_payment_is_given_back_by_a_button(club: Club, stripe: StripeStandIn) -> None:
    message = await paid_twice(club, stripe)
    assert "*$150.00 more came in than this costs.*" in words(message)
    old = message.snapshot()
    assert not (await club.slack.press(ADMIN, message, "payment_refund", confirm=False)).sent
    done = await club.slack.press(ADMIN, message, "payment_refund")
    assert "$150.00 goes back" in words(await done.message())
    await becomes(club, message, "✅ <@U0ADMIN> had $150.00 given back.")
    assert "payment_refund" not in words(message)
    assert len(stripe.books.refunds) == 1
    late = await club.slack.press(TREASURER, old, "payment_refund", stale=True)
    assert "Refunded already by <@U0ADMIN>" in words(await late.message())
    await tell(club, stripe, "refund.created")
    heard = [words(each) for each in club.slack.messages_in(PAYMENTS)]
    assert any("*Given back*: $150.00" in each for each in heard)


async def test_two_admins_at_once(club: Club, stripe: StripeStandIn) -> None:
    message = (await paid_twice(club, stripe)).snapshot()
    presses = [club.slack.press(who, message, "payment_refund", stale=True) for who in (ADMIN, TREASURER)]
    answers = [words(await done.message()) for done in await asyncio.gather(*presses)]
    assert sum("goes back" in answer for answer in answers) == 1
    late = next(answer for answer in answers if "goes back" not in answer)
    assert "<@U0" in late
    await club.drain()
    assert len(stripe.books.refunds) == 1


async def test_a_coach_gives_nothing_back(club: Club, stripe: StripeStandIn) -> None:
    done = await club.slack.press(COACH, await paid_twice(club, stripe), "payment_refund")
    assert "Only admins can refund payments" in words(await done.message())
    await club.drain()
    assert stripe.books.refunds == {}


async def test_stripes_refusal_is_in_the_notice_and_can_be_tried_again(club: Club, stripe: StripeStandIn) -> None:
    message = await paid_twice(club, stripe)
    async with club.services.database.transaction() as conn:
        intents = await conn.scalars(select(Payment.stripe_payment_intent_id).order_by(Payment.id.desc()))
        intent = str(intents.first())
    refund_id = await stripe.refund(intent, status="pending")
    await club.slack.press(ADMIN, message, "payment_refund")
    await becomes(club, message, "but it was not: Stripe said no: Charge")
    told = [each.text for each in club.slack.messages if each.channel not in {PAYMENTS, APPROVALS}]
    assert any("was not made" in text for text in told)
    await stripe.settle_refund(refund_id, succeed=False)
    await club.slack.press(TREASURER, message, "payment_refund")
    await becomes(club, message, "✅ <@U0TREAS> had $150.00 given back.")


async def test_what_is_too_much_beside_cash_is_offered_back(club: Club, stripe: StripeStandIn) -> None:
    session_id = await open_page(club, stripe)
    async with club.services.database.transaction() as conn:
        chosen = await club_by_id(conn, club.books.tenant_id)
    cash = HandPayment(club.books.order_id, 6000, PaymentMethod.CASH)
    await stripe.pay(session_id)
    await club.services.manual_payments.record(chosen, cash, ADMIN)
    await tell(club, stripe, "checkout.session.completed")
    message = next(each for each in club.slack.messages_in(PAYMENTS) if "*Paid*: $150.00" in words(each))
    assert "Give $60.00 back" in words(message)


async def test_a_payment_matched_to_a_paid_item_is_offered_back(club: Club, stripe: StripeStandIn) -> None:
    session_id = await open_page(club, stripe)
    stripe.sessions[session_id]["metadata"] = {}
    stripe.sessions[session_id]["payment_link"] = None
    await stripe.pay(session_id)
    await tell(club, stripe, "checkout.session.completed")
    message = await club.slack.wait_for_message(PAYMENTS)
    async with club.services.database.transaction() as conn:
        chosen = await club_by_id(conn, club.books.tenant_id)
        unmatched_id = int(await conn.scalar(select(UnmatchedPayment.id)) or 0)
    offered = (await club.slack.suggest(ADMIN, message, "payment_match", "jaxon"))[0]
    cash = HandPayment(club.books.order_id, 15000, PaymentMethod.CASH)
    await club.services.manual_payments.record(chosen, cash, ADMIN)
    await club.slack.select(ADMIN, message, "payment_match", offered)
    assert unmatched_id
    await becomes(club, message, "Give $150.00 back")
    await club.slack.press(ADMIN, message, "payment_refund")
    await becomes(club, message, "✅ <@U0ADMIN> had $150.00 given back.")
    assert "✅ Matched by <@U0ADMIN>" in words(message)


async def test_a_refund_that_came_back_says_what_to_do(club: Club, stripe: StripeStandIn) -> None:
    message = await paid_twice(club, stripe)
    await club.slack.press(ADMIN, message, "payment_refund")
    await club.drain()
    await tell(club, stripe, "refund.created")
    ((refund_id, refund),) = stripe.books.refunds.items()
    refund["status"] = "pending"
    await stripe.settle_refund(refund_id, succeed=False)
    await tell(club, stripe, "refund.failed")
    failed = next(each for each in club.slack.messages_in(PAYMENTS) if "Refund failed" in words(each))
    assert "Ask the family" in words(failed)
    await club.slack.press(TREASURER, failed, "payment_refund")
    await becomes(club, failed, "✅ <@U0TREAS> had $150.00 given back.")
    await becomes(club, message, "✅ <@U0TREAS> had $150.00 given back.")


async def test_a_failed_bank_payment_offers_to_send_the_link_again(club: Club, stripe: StripeStandIn) -> None:
    session_id = await open_page(club, stripe)
    await stripe.pay(session_id, "bank_debit")
    await tell(club, stripe, "checkout.session.completed")
    await stripe.settle(session_id, succeed=False)
    await tell(club, stripe, "checkout.session.async_payment_failed")
    message = next(each for each in club.slack.messages_in(PAYMENTS) if "Bank payment failed" in words(each))
    done = await club.slack.press(COACH, message, "resend_link")
    assert "On its way to pat@example.com" in words(await done.message())
