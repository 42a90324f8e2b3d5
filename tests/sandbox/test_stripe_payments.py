import asyncio
import json

import pytest
import stripe

from sandbox.stripe import NotPossibleError
from tests.sandbox.stripe_kit import SECRET, account


async def test_a_card_that_works_pays_at_once() -> None:
    async with account() as club:
        session_id = await club.stripe.open_link(await club.link(), prefilled_email="pat@example.com")
        await club.stripe.pay(session_id)
        session = club.stripe.sessions[session_id]
        assert (session["status"], session["payment_status"]) == ("complete", "paid")
        assert session["customer_details"]["email"] == "pat@example.com"
        assert club.event_types()[1:] == [
            "charge.succeeded",
            "payment_intent.succeeded",
            "checkout.session.completed",
        ]
        with pytest.raises(NotPossibleError):
            await club.stripe.pay(session_id)


async def test_a_declined_card_leaves_the_session_open() -> None:
    async with account() as club:
        session_id = await club.stripe.open_link(await club.link())
        await club.stripe.pay(session_id, "card_declined")
        session = club.stripe.sessions[session_id]
        assert (session["status"], session["payment_intent"]) == ("open", None)
        failed = club.latest_event("payment_intent.payment_failed")["data"]["object"]
        assert failed["last_payment_error"]["code"] == "card_declined"
        await club.stripe.pay(session_id)
        assert session["payment_intent"] == failed["id"]


@pytest.mark.parametrize(
    ("succeed", "kind", "status"),
    [
        (True, "checkout.session.async_payment_succeeded", "paid"),
        (False, "checkout.session.async_payment_failed", "unpaid"),
    ],
)
async def test_a_bank_debit_settles_later(succeed: bool, kind: str, status: str) -> None:
    async with account() as club:
        session_id = await club.stripe.open_link(await club.link())
        await club.stripe.pay(session_id, "bank_debit")
        completed = club.latest_event("checkout.session.completed")["data"]["object"]
        assert completed["payment_status"] == "unpaid"
        assert club.stripe.payment_intents[completed["payment_intent"]]["status"] == "processing"
        await club.stripe.settle(session_id, succeed=succeed)
        assert club.latest_event(kind)["data"]["object"]["payment_status"] == status
        with pytest.raises(NotPossibleError):
            await club.stripe.settle(session_id)


async def test_an_open_session_of_a_deactivated_link_can_still_be_paid() -> None:
    async with account() as club:
        link = await club.link()
        session_id = await club.stripe.open_link(link)
        await club.stripe.deactivate(link)
        await club.stripe.pay(session_id)
        assert club.stripe.sessions[session_id]["payment_status"] == "paid"


async def test_a_link_for_one_payment_closes_after_it() -> None:
    async with account() as club:
        link = await club.link(restrictions={"completed_sessions": {"limit": 1}})
        await club.stripe.pay(await club.stripe.open_link(link))
        assert not club.stripe.payment_links[link]["active"]
        with pytest.raises(NotPossibleError):
            await club.stripe.open_link(link)


async def test_sessions_expire_after_a_day() -> None:
    async with account() as club:
        session_id = await club.stripe.open_link(await club.link())
        club.clock.pass_by(hours=24)
        session = await club.client.v1.checkout.sessions.retrieve_async(session_id)
        assert session.status == "expired"
        assert club.event_types()[-1] == "checkout.session.expired"
        with pytest.raises(NotPossibleError):
            await club.stripe.pay(session_id)


async def test_refunds_cannot_exceed_the_charge() -> None:
    async with account() as club:
        intent, refunds = await club.paid(), club.client.v1.refunds
        part = await refunds.create_async({"payment_intent": intent, "amount": 5000})
        assert (part.status, part.amount) == ("succeeded", 5000)
        with pytest.raises(stripe.InvalidRequestError, match="10000"):
            await refunds.create_async({"payment_intent": intent, "amount": 10001})
        rest = await refunds.create_async({"payment_intent": intent})
        assert rest.amount == 10000
        with pytest.raises(stripe.InvalidRequestError) as caught:
            await refunds.create_async({"payment_intent": intent})
        assert caught.value.code == "charge_already_refunded"
        listed = await refunds.list_async({"payment_intent": intent})
        assert [refund.id for refund in listed.data] == [rest.id, part.id]


async def test_a_refund_that_fails_can_be_made_again() -> None:
    async with account() as club:
        intent = await club.paid()
        await club.stripe.refund(intent, status="failed")
        assert club.event_types()[-3:] == ["refund.created", "refund.updated", "refund.failed"]
        pending = await club.stripe.refund(intent, status="pending")
        await club.stripe.settle_refund(pending)
        assert club.latest_event("refund.updated")["data"]["object"]["status"] == "succeeded"


async def test_a_dispute_is_opened_answered_and_decided() -> None:
    async with account() as club:
        intent = await club.paid()
        dispute = await club.stripe.dispute(intent, reason="fraudulent")
        await club.stripe.answer_dispute(dispute)
        await club.stripe.close_dispute(dispute, "won")
        kinds = ["charge.dispute.created", "charge.dispute.updated", "charge.dispute.closed"]
        assert club.event_types()[-3:] == kinds
        words = [club.latest_event(kind)["data"]["object"]["status"] for kind in kinds]
        assert words == ["needs_response", "under_review", "won"]


async def test_events_are_delivered_signed() -> None:
    async with account(auto_deliver=True) as club:
        await club.paid()
        await club.stripe.wait_for_deliveries()
        assert sorted(json.loads(body)["type"] for body in club.webhook.bodies) == sorted(club.event_types())
        for body, signature in zip(club.webhook.bodies, club.webhook.signatures, strict=True):
            assert stripe.WebhookSignature.verify_header(body, signature, SECRET)
            with pytest.raises(stripe.SignatureVerificationError):
                stripe.WebhookSignature.verify_header(body, signature, "whsec_other")


async def test_a_webhook_that_is_down_gets_the_event_again() -> None:
    async with account(auto_deliver=True) as club:
        club.webhook.refuse = 2
        await club.link()
        await club.stripe.wait_for_deliveries()
        (event_id,) = club.stripe.events
        assert [attempt.status for attempt in club.stripe.attempts(event_id)] == [503, 503, 200]


async def test_copies_forgeries_and_replays_are_sent_by_hand() -> None:
    async with account() as club:
        await club.paid()
        assert club.webhook.bodies == []
        event = club.latest_event("checkout.session.completed")
        answers = await club.stripe.deliver(event, times=3)
        assert [answer.status_code for answer in answers] == [200, 200, 200]
        assert len(set(club.webhook.bodies)) == 1
        await club.stripe.deliver(event["id"], secret="whsec_forged")
        await club.stripe.deliver(event["id"], timestamp=1)
        assert club.webhook.signatures[-1].startswith("t=1,v1=")


async def test_events_are_listed_by_type_and_time() -> None:
    async with account() as club:
        await club.link()
        club.clock.pass_by(minutes=5)
        await club.paid()
        since = int(club.clock().timestamp())
        events = club.client.v1.events
        listed = await events.list_async({"types": ["payment_link.created"], "created": {"gte": since}})
        assert len(listed.data) == 1
        newest = await events.list_async({"limit": 1})
        assert newest.data[0].type == "checkout.session.completed"
        assert newest.data[0].api_version == stripe.api_version
        assert (await events.retrieve_async(newest.data[0].id)).id == newest.data[0].id


async def test_many_visits_at_once_make_a_session_each() -> None:
    async with account() as club:
        link = await club.link()
        made = await asyncio.gather(*(club.stripe.open_link(link) for _ in range(20)))
        assert len(set(made)) == 20
