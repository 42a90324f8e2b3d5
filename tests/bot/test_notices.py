"""What the payments channel hears, and matching what fits no order."""

from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update

from bot.app import Bot
from bot.messenger import SlackMessenger
from bot.slack_calls import SlackBusyError
from core.models import Notice, Order, Payment, StripeEvent, UnmatchedPayment
from core.notices import NoticeKind, announce
from sandbox.slack import Fault, Message
from tests.bot.conftest import ADMIN, COACH, PAYMENTS, TREASURER, Club, add_family
from tests.bot.test_player import words


async def tell(club: Club, kind: NoticeKind, **facts: object) -> None:
    async with club.services.database.transaction() as conn:
        known = {"order_id": club.books.order_id, "amount_cents": 15000, "method": "card"}
        await announce(conn, club.services.jobs, club.books.tenant_id, kind, "fact_1", known | facts)


async def heard(club: Club) -> Message:
    await club.drain()
    (message,) = club.slack.messages_in(PAYMENTS)
    return message


@pytest.mark.parametrize(
    ("kind", "facts", "expected"),
    [
        (NoticeKind.PAYMENT, {}, ["*Paid*: $150.00 by card", "Jaxon Reed", "U12 Blue", "still owes *$150.00*"]),
        (NoticeKind.PAYMENT, {"method": "check"}, ["in check", "by check"][1:]),
        (NoticeKind.SECOND_PAYMENT, {}, ["Paid twice", "probably gets this payment back"]),
        (NoticeKind.PROCESSING, {}, ["Bank payment on its way", "few days"]),
        (NoticeKind.PAYMENT_FAILED, {}, ["Bank payment failed", "owed again"]),
        (NoticeKind.REFUND, {"refund_id": "re_test_1"}, ["Given back", "$150.00"]),
        (
            NoticeKind.DISPUTE_OPENED,
            {"dispute_id": "dp_test_1", "reason": "product_not_received", "due_by": "2026-12-09T04:59:59+00:00"},
            ["Payment disputed", "product not received", "Answer by Dec 8, 11:59 pm"],
        ),
        (
            NoticeKind.DISPUTE_OPENED,
            {"dispute_id": "dp_test_1", "reason": None, "due_by": None},
            ["Stripe shows until when"],
        ),
        (NoticeKind.DISPUTE_CLOSED, {"dispute_id": "dp_test_1", "status": "won"}, ["keeps the money"]),
        (NoticeKind.DISPUTE_CLOSED, {"dispute_id": "dp_test_1", "status": "lost"}, ["went back"]),
        (NoticeKind.DISPUTE_CLOSED, {"dispute_id": "dp_test_1", "status": "odd_<end>"}, ["odd &lt;end&gt;"]),
    ],
)
async def test_each_kind_in_words(
    club: Club, kind: NoticeKind, facts: dict[str, Any], expected: list[str]
) -> None:
    await tell(club, kind, **facts)
    message = words(await heard(club))
    for part in expected:
        assert part in message


async def test_a_family_that_owes_nothing_else(club: Club) -> None:
    async with club.services.database.transaction() as conn:
        await conn.execute(update(Order).where(Order.id == club.books.order_id).values(status="paid"))
    await tell(club, NoticeKind.PAYMENT)
    assert "Nothing else is owed." in words(await heard(club))


async def notice_status(club: Club) -> tuple[str, str | None]:
    async with club.services.database.transaction() as conn:
        row = (await conn.execute(select(Notice.status, Notice.error))).one()
    return row.status, row.error


async def test_a_refusal_for_good_is_kept_in_words_and_not_repeated(club: Club) -> None:
    club.slack.workspace.channels[PAYMENTS].bot_is_member = False
    await tell(club, NoticeKind.PAYMENT)
    await club.drain()
    status, error = await notice_status(club)
    assert status == "failed"
    assert "/invite" in (error or "")
    assert club.slack.messages_in(PAYMENTS) == []


async def test_being_asked_to_wait_delays_a_notice(club: Club) -> None:
    club.slack.faults.add(Fault("ratelimited", "chat.postMessage", times=1))
    await tell(club, NoticeKind.PAYMENT)
    assert "Sent again" not in words(await heard(club))
    assert (await notice_status(club))[0] == "sent"


async def test_after_an_error_of_slacks_the_notice_says_that_it_may_be_there_twice(club: Club) -> None:
    club.slack.faults.add(Fault("server_error", "chat.postMessage", times=1))
    await tell(club, NoticeKind.PAYMENT)
    assert "Sent again" in words(await heard(club))
    assert (await notice_status(club))[0] == "sent"


async def test_a_lost_answer_is_said(club: Club) -> None:
    club.slack.faults.add(Fault("drop", "chat.postMessage", executes=True))
    await tell(club, NoticeKind.PAYMENT)
    await club.drain()
    first, second = club.slack.messages_in(PAYMENTS)
    assert "Sent again" not in words(first)
    assert "Sent again: Slack's answer to the first try was lost." in second.blocks[-1]["elements"][0]["text"]


async def test_a_lost_answer_is_said_also_when_slack_then_asks_to_wait(club: Club, bot: Bot) -> None:
    club.slack.faults.add(Fault("drop", "chat.postMessage", executes=True))
    # One for the client, which tries again by itself, and one for us.
    club.slack.faults.add(Fault("ratelimited", "chat.postMessage", times=2))
    await tell(club, NoticeKind.PAYMENT)
    async with club.services.database.transaction() as conn:
        notice_id = (await conn.execute(select(Notice.id))).scalar_one()
    messenger = SlackMessenger(club.services, bot.clubs)
    for _ in range(2):
        with pytest.raises(SlackBusyError):
            await messenger.post_notice(notice_id)
    await messenger.post_notice(notice_id)
    first, second = club.slack.messages_in(PAYMENTS)
    assert "Sent again" not in words(first)
    assert "Sent again: Slack's answer to the first try was lost." in second.blocks[-1]["elements"][0]["text"]


async def unmatched(club: Club, **values: object) -> Message:
    async with club.services.database.transaction() as conn:
        await conn.execute(insert(StripeEvent).values(id="evt_test_1", type="checkout.session.completed"))
        payment = {
            "tenant_id": club.books.tenant_id,
            "stripe_event_id": "evt_test_1",
            "stripe_checkout_session_id": "cs_test_1",
            "stripe_payment_intent_id": "pi_test_1",
            "amount_cents": 15000,
            "currency": "usd",
            "method": "card",
            "payer_name": "Pat <b> Reed",
            "payer_email": "PAT@example.com",
        }
        statement = insert(UnmatchedPayment).values(payment | values).returning(UnmatchedPayment.id)
        unmatched_id = await conn.scalar(statement)
        facts = {"unmatched_id": unmatched_id}
        await announce(conn, club.services.jobs, club.books.tenant_id, NoticeKind.UNMATCHED, "pi_test_1", facts)
    return await heard(club)


async def test_a_payment_without_an_order_is_matched_by_an_admin(club: Club) -> None:
    message = await unmatched(club)
    assert "Pat &lt;b&gt; Reed" in words(message)
    likely = await club.slack.suggest(ADMIN, message, "payment_match", "")
    assert "Jaxon Reed" in likely[0]["text"]["text"]
    done = await club.slack.select(ADMIN, message, "payment_match", likely[0])
    assert done.error is None
    assert await club.slack.workspace.wait_until(lambda: "✅ Matched by <@U0ADMIN>" in words(message), 30)
    assert "payment_match" not in words(message)
    async with club.services.database.transaction() as conn:
        order = await conn.scalar(select(Order.status).where(Order.id == club.books.order_id))
        assert order == "paid"
        assert await conn.scalar(select(Payment.recorded_by)) == ADMIN


async def test_typing_a_name_looks_further(club: Club) -> None:
    message = await unmatched(club)
    found = await club.slack.suggest(ADMIN, message, "payment_match", "bo lop")
    assert ["Bo Lopez" in option["text"]["text"] for option in found][:1] == [True]


async def test_the_second_to_match_is_told_who_was_first(club: Club) -> None:
    message = await unmatched(club)
    likely = await club.slack.suggest(TREASURER, message, "payment_match", "")
    await club.slack.suggest(ADMIN, message, "payment_match", "")
    async with club.services.database.transaction() as conn:
        unmatched_id = int(await conn.scalar(select(UnmatchedPayment.id)) or 0)
    tenant_id, order_id = club.books.tenant_id, club.books.order_id
    await club.services.unmatched.match(tenant_id, unmatched_id, order_id, ADMIN)
    done = await club.slack.select(TREASURER, message, "payment_match", likely[0])
    assert "Already matched by <@U0ADMIN>" in words(await done.message())
    assert await club.slack.workspace.wait_until(lambda: "✅ Matched by <@U0ADMIN>" in words(message), 30)


async def test_a_coach_is_offered_nothing(club: Club) -> None:
    message = await unmatched(club)
    assert await club.slack.suggest(COACH, message, "payment_match", "") == []
    assert await club.slack.suggest(COACH, message, "payment_match", "jaxon") == []


async def test_many_likely_orders_stay_within_slacks_limits(club: Club) -> None:
    names = [f"Kid{n} {'Longname' * 12}" for n in range(30)]
    await add_family(club.services, club.books, "Reed Reed", *names, description="y" * 200)
    message = await unmatched(club, payer_email=None, payer_name=None)
    assert "does not say who paid" in words(message)
    assert await club.slack.suggest(ADMIN, message, "payment_match", "") != []
    assert await club.slack.suggest(ADMIN, message, "payment_match", "kid") != []


async def test_people_are_told_in_private_and_programs_are_not(club: Club) -> None:
    async with club.services.database.transaction() as conn:
        await conn.execute(delete(Notice))
        await club.services.jobs.tell_person(conn, club.books.tenant_id, COACH, "It <did> not arrive.")
        await club.services.jobs.tell_person(conn, club.books.tenant_id, "cli", "Nobody hears this.")
        await club.services.jobs.tell_person(conn, club.books.tenant_id, "U0GONE", "Nor this.")
    await club.drain()
    texts = [message.text for message in club.slack.messages]
    assert texts == ["It &lt;did&gt; not arrive."]
