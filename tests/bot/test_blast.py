"""A blast from the command to its outcome, in Slack."""

import asyncio

import pytest
from sqlalchemy import select, update

from core.jobs import QUEUES
from core.models import AuditLog, Blast, BlastRecipient, EmailLog, Order, Player, Team, Tenant
from sandbox.mailbox import MailFault
from sandbox.slack import Fault, Message, View
from tests.books import add
from tests.bot.conftest import ADMIN, APPROVALS, GENERAL, TREASURER, Club, add_family
from tests.bot.test_player import words


async def opened(club: Club) -> View:
    done = await club.slack.command(ADMIN, GENERAL, "/blast")
    assert done.error is None
    view = await done.view()
    await club.slack.workspace.wait_until(lambda: "Counting" not in str(view.content), 30)
    return view


async def drafted(club: Club, **values: str) -> Message:
    done = await club.slack.submit(ADMIN, await opened(club), values)
    assert done.errors == {}
    assert done.error is None
    await club.drain()
    return await club.slack.wait_for_message(APPROVALS)


async def press(club: Club, message: Message, action_id: str, who: str = ADMIN) -> str:
    done = await club.slack.press(who, message, action_id, stale=True)
    answer = words(await done.message())
    await club.drain()
    return answer


async def test_the_window_says_who_gets_a_mail_and_who_does_not(club: Club) -> None:
    await add_family(club.services, club.books, "No Address", "Kim Address", email=None)
    await add_family(club.services, club.books, "Un Signed", "Uma Signed", contract_status="sent")
    view = str((await opened(club)).content)
    assert "*4 families* would get a mail, asking for *$750.00* altogether" in view
    assert "no e-mail address: 1 family (No Address)" in view
    assert "contract not signed: 1 family (Un Signed)" in view


async def test_another_audience_shows_other_numbers_and_keeps_the_note(club: Club) -> None:
    view = await opened(club)
    club.slack.fill(ADMIN, view, "blast_note", "Thank you!")
    await club.slack.select(ADMIN, view, "blast_audience", "U10 Red")
    await club.slack.workspace.wait_until(lambda: "Nobody would get a mail" in str(view.content), 30)
    refused = await club.slack.submit(ADMIN, view)
    assert "Nobody in this audience" in refused.errors["blast_audience"]
    await club.slack.select(ADMIN, view, "blast_audience", "U12 Blue")
    done = await club.slack.submit(ADMIN, view)
    assert done.errors == {}
    await club.drain()
    assert "Thank you!" in words(await club.slack.wait_for_message(APPROVALS))


async def test_the_whole_way(club: Club) -> None:
    message = await drafted(club, blast_note="See *you* <soon> & thanks")
    asked = words(message)
    for expected in (
        "waiting for approval",
        "Everyone who owes something",
        "$750.00",
        "See *you* <soon> & thanks",
        "<@U0ADMIN>",
    ):
        assert expected in asked
    assert message.metadata is not None
    assert message.metadata["event_type"] == "sideline_blast"
    assert "Approved" in await press(club, message, "blast_approve", TREASURER)
    ended = words(message)
    assert "✅ *Done*: 4 of 4 sent" in ended
    assert "approved by <@U0TREAS>" in ended
    assert "blast_approve" not in ended
    assert len(club.mailbox.messages) == 4
    assert len(club.slack.messages_in(APPROVALS)) == 1


async def test_of_two_who_press_at_once_one_wins_and_the_other_learns_who(club: Club) -> None:
    message = (await drafted(club)).snapshot()
    presses = [club.slack.press(who, message, "blast_approve", stale=True) for who in (ADMIN, TREASURER)]
    answers = [words(await done.message()) for done in await asyncio.gather(*presses)]
    assert sum("Approved." in answer for answer in answers) == 1
    late = next(answer for answer in answers if "Approved." not in answer)
    assert "already approved by <@U0" in late
    await club.drain()
    assert len(club.mailbox.messages) == 4


async def test_a_second_draft_for_the_same_families_says_who_approved_the_first(club: Club) -> None:
    first = await drafted(club)
    assert (await club.slack.submit(ADMIN, await opened(club))).errors == {}
    await club.drain()
    _, second = club.slack.messages_in(APPROVALS)
    await press(club, first, "blast_approve", TREASURER)
    answer = await press(club, second, "blast_approve")
    assert "<@U0TREAS> approved another mail to 4 of these families (at " in answer
    assert "Cancel this one" in answer
    shown = len(updates(club))
    await press(club, second, "blast_approve")
    # Nothing about it has changed.
    assert len(updates(club)) == shown
    assert "waiting for approval" in words(second)
    assert len(club.mailbox.messages) == 4
    assert "Canceled" in await press(club, second, "blast_cancel")
    assert "Nobody was mailed" in words(second)


async def test_canceled_is_canceled(club: Club) -> None:
    message = await drafted(club)
    old = message.snapshot()
    assert "Canceled" in await press(club, message, "blast_cancel")
    assert "canceled by <@U0ADMIN>" in words(message)
    assert "already canceled by <@U0ADMIN>" in await press(club, old, "blast_approve", TREASURER)
    assert club.mailbox.messages == []


async def test_a_declined_question_does_nothing(club: Club) -> None:
    message = await drafted(club)
    done = await club.slack.press(ADMIN, message, "blast_approve", confirm=False)
    assert not done.sent
    await club.drain()
    assert club.mailbox.messages == []


async def test_only_what_failed_is_sent_again(club: Club) -> None:
    message = await drafted(club)
    club.mailbox.faults.append(MailFault("permfail", recipient="nia@example.com"))
    await press(club, message, "blast_approve")
    ended = words(message)
    assert "3 of 4 sent, 1 failed" in ended
    assert "Nia Carter" in ended
    assert "Send the 1 failed again" in ended
    assert "Sending 1 mail again" in await press(club, message, "blast_retry_failed")
    assert "4 of 4 sent" in words(message)
    assert len(club.mailbox.messages) == 4
    assert "nothing to send again" in await press(
        club, _with_button(message, "blast_retry_failed"), "blast_retry_failed"
    )


def _with_button(message: Message, action_id: str) -> Message:
    old = message.snapshot()
    value = old.metadata["event_payload"]["blast_id"] if old.metadata else ""
    text = {"type": "plain_text", "text": "Again"}
    button = {"type": "button", "action_id": action_id, "text": text, "value": str(value)}
    old.blocks.append({"type": "actions", "block_id": "old", "elements": [button]})
    return old


async def test_a_test_goes_to_oneself_only(club: Club) -> None:
    message = await drafted(club)
    assert "A test is on its way to ada@example.com" in await press(club, message, "blast_send_test")
    (mail,) = club.mailbox.messages
    assert mail.envelope_to == ("ada@example.com",)
    assert mail.subject.startswith("[Test] ")
    assert "waiting for approval" in words(message)
    async with club.services.database.transaction() as conn:
        logged = (await conn.execute(select(EmailLog.to_address, EmailLog.status, EmailLog.parent_id))).all()
        actions = (await conn.scalars(select(AuditLog.action).order_by(AuditLog.id))).all()
    assert ([tuple(row) for row in logged], actions[-1]) == ([("ada@example.com", "sent", None)], "blast.test")


async def test_a_test_needs_an_address(club: Club) -> None:
    message = await drafted(club)
    club.slack.workspace.users[ADMIN].email = None
    assert "users:read.email" in await press(club, message, "blast_send_test")


async def test_a_club_may_want_two_people(club: Club) -> None:
    async with club.services.database.transaction() as conn:
        await conn.execute(update(Tenant).values(two_person_approval=True))
    message = await drafted(club)
    assert "two people" in await press(club, message, "blast_approve", ADMIN)
    assert "Approved" in await press(club, message, "blast_approve", TREASURER)


async def test_a_deleted_message_is_posted_anew(club: Club) -> None:
    message = await drafted(club)
    await club.bot.client.chat_delete(channel=APPROVALS, ts=message.ts)
    old = message.snapshot()
    await press(club, old, "blast_approve")
    (anew,) = club.slack.messages_in(APPROVALS)
    assert "Done" in words(anew)


async def test_two_refreshes_at_once_post_one_message(club: Club) -> None:
    await club.slack.submit(ADMIN, await opened(club))
    async with club.services.database.transaction() as conn:
        blast_id = await conn.scalar(select(Blast.id))
        for _ in range(3):
            await club.services.jobs.refresh_blast_message(conn, int(blast_id or 0))
    await club.drain()
    assert len(club.slack.messages_in(APPROVALS)) == 1


async def test_of_many_refreshes_that_wait_few_are_done(club: Club) -> None:
    message = await drafted(club)
    called = len(updates(club))
    async with club.services.database.transaction() as conn:
        blast_id = int(await conn.scalar(select(Blast.id)) or 0)
        await conn.execute(update(Blast).values(status="canceled", canceled_by=ADMIN))
        for _ in range(20):
            await club.services.jobs.refresh_blast_message(conn, blast_id)
    await club.drain()
    # Those that were begun at the same time as the last are done too.
    assert called < len(updates(club)) <= called + QUEUES["slack"]
    assert "canceled by <@U0ADMIN>" in words(message)


def updates(club: Club) -> list[str]:
    return [call.method for call in club.slack.workspace.api_calls if call.method == "chat.update"]


async def test_progress_is_shown_in_numbers_and_a_bar(club: Club) -> None:
    message = await drafted(club)
    async with club.services.database.transaction() as conn:
        blast_id = int(await conn.scalar(select(Blast.id)) or 0)
        await conn.execute(update(Blast).values(status="sending", approved_by=ADMIN))
        first = select(BlastRecipient.parent_id).limit(1).scalar_subquery()
        await conn.execute(update(BlastRecipient).where(BlastRecipient.parent_id == first).values(status="sent"))
        await club.services.jobs.refresh_blast_message(conn, blast_id)
    await club.drain()
    assert "▓▓▓▓▓░░░░░░░░░░░░░░░ 1 of 4 sent" in words(message)
    assert "Stop the blast" in words(message)


async def test_a_family_that_paid_meanwhile_is_left_out(club: Club) -> None:
    message = await drafted(club)
    async with club.services.database.transaction() as conn:
        await conn.execute(update(Order).where(Order.id == club.books.order_id).values(status="paid"))
    await press(club, message, "blast_approve")
    assert "3 of 3 sent" in words(message)
    assert "nothing is owed any more" in words(message)


async def test_slack_away_while_the_window_opens(club: Club) -> None:
    club.slack.faults.add(Fault("server_error", "views.open", times=2))
    done = await club.slack.command(ADMIN, GENERAL, "/blast")
    assert "Slack is busy" in done.text


@pytest.mark.parametrize("kind", ["ratelimited", "server_error", "drop"])
async def test_slack_away_while_the_message_is_updated(club: Club, kind: str) -> None:
    message = await drafted(club)
    club.slack.faults.add(Fault(kind, "chat.update", times=1))  # type: ignore[arg-type]
    await press(club, message, "blast_approve")
    assert "Done" in words(message)


async def test_many_teams_fit_into_the_window(club: Club) -> None:
    async with club.services.database.transaction() as conn:
        for number in range(120):
            await add(conn, Team, tenant_id=club.books.tenant_id, name=f"Team {number:03} {'x' * 90}")
    view = await opened(club)
    assert "did not fit into the list" in str(view.content)


async def test_the_window_counts_players_of_a_team(club: Club) -> None:
    async with club.services.database.transaction() as conn:
        await conn.execute(update(Player).where(Player.id == club.books.player_id).values(team_id=None))
    view = await opened(club)
    await club.slack.select(ADMIN, view, "blast_audience", "U12 Blue")
    assert await club.slack.workspace.wait_until(lambda: "*3 families*" in str(view.content), 30)
