"""Outsider, coach, admin: who may do what, and from where."""

import os
from typing import Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import text, update
from structlog.testing import capture_logs

from bot.app import build_bot
from bot.people import MEMBERS_LAST_SECONDS, People, Role
from core.models import Tenant
from core.services import Services
from sandbox.slack import Fault
from tests.books import open_books
from tests.bot.conftest import ADMIN, APPROVALS, COACH, GENERAL, GROUPED, OUTSIDER, TEAM, Club
from tests.bot.test_player import look_up, words


@pytest.mark.parametrize("command", ["/player", "/resend", "/blast", "/dues"])
async def test_an_outsider_is_told_kindly_and_sees_nothing(club: Club, command: str) -> None:
    done = await club.slack.command(OUTSIDER, GENERAL, command, "jaxon reed")
    assert "not on its list" in done.text
    assert "Reed" not in done.text
    assert done.views == []
    await club.drain()
    assert club.mailbox.messages == []


async def test_an_outsider_cannot_use_a_coachs_controls(club: Club) -> None:
    await blast_drafted(club)
    approval = await club.slack.wait_for_message(APPROVALS)
    for action in ("blast_approve", "blast_cancel", "blast_send_test"):
        done = await club.slack.press(OUTSIDER, approval, action)
        assert "not on its list" in words(await done.message())
    await club.drain()
    assert club.mailbox.messages == []


async def blast_drafted(club: Club) -> None:
    opened = await club.slack.command(ADMIN, GENERAL, "/blast")
    await club.slack.submit(ADMIN, await opened.view(), {})
    await club.drain()


async def test_a_coach_may_look_up_but_not_blast(club: Club) -> None:
    done = await club.slack.command(COACH, GENERAL, "/blast")
    assert "Only admins can send a blast" in done.text
    assert "<@U0ADMIN>" in done.text
    assert done.views == []


@pytest.mark.parametrize("action", ["blast_approve", "blast_cancel", "blast_send_test"])
async def test_a_coach_cannot_decide_about_a_blast(club: Club, action: str) -> None:
    await blast_drafted(club)
    approval = await club.slack.wait_for_message(APPROVALS)
    done = await club.slack.press(COACH, approval, action)
    assert "Only admins can" in words(await done.message())
    await club.drain()
    assert club.mailbox.messages == []
    assert "waiting for approval" in words(approval)


async def test_members_of_a_user_group_are_coaches(club: Club) -> None:
    done = await club.slack.command(GROUPED, GENERAL, "/player", "jaxon")
    assert "Jaxon Reed" in done.text


async def test_without_user_groups_people_named_one_by_one_still_work(club: Club) -> None:
    club.slack.faults.add(Fault("error", "usergroups.users.list", times=10, error="plan_upgrade_required"))
    assert "Jaxon Reed" in words(await look_up(club, "jaxon"))
    done = await club.slack.command(GROUPED, GENERAL, "/player", "jaxon")
    assert "not on its list" in done.text


async def test_a_groups_members_are_kept_through_an_outage_and_asked_for_again(club: Club) -> None:
    now = [0.0]
    people = People(club.bot.client, [], ["S0COACHES"], clock=lambda: now[0])
    assert await people.role(GROUPED) is Role.COACH
    club.slack.faults.add(Fault("error", "usergroups.users.list", times=2))
    now[0] = MEMBERS_LAST_SECONDS + 1
    assert await people.role(GROUPED) is Role.COACH
    club.slack.workspace.usergroups["S0COACHES"].users.clear()
    club.slack.faults.clear()
    now[0] += MEMBERS_LAST_SECONDS
    assert await people.role(GROUPED) is None
    calls = [call for call in club.slack.api_calls if call.method == "usergroups.users.list"]
    await people.role(GROUPED)
    assert len([call for call in club.slack.api_calls if call.method == "usergroups.users.list"]) == len(calls)


def slash_command(team_id: str, url: str, user_id: str = COACH) -> bytes:
    form = {
        "team_id": team_id,
        "user_id": user_id,
        "channel_id": GENERAL,
        "command": "/player",
        "text": "jaxon",
        "response_url": url,
        "trigger_id": "1.2.3",
    }
    return urlencode(form).encode()


async def send(club: Club, body: bytes, **forgery: Any) -> tuple[int | None, str]:  # noqa: ANN401 - a timestamp or a secret
    headers = {"Content-Type": "application/x-www-form-urlencoded", **club.slack.sign(body, **forgery)}
    answer = await club.slack.send_raw(body, headers)
    return answer.status, str(answer.body)


async def test_another_workspace_is_refused_with_nothing_revealed(club: Club) -> None:
    nowhere = f"{club.slack.base_url}/commands/T0X/x"
    status, body = await send(club, slash_command("T0FOREIGN", nowhere))
    assert status == 200
    assert "Reed" not in body
    status, body = await send(club, slash_command(TEAM, nowhere))
    assert "Reed" in body


async def test_a_club_with_a_workspace_of_its_own_answers_that_one_only(club: Club) -> None:
    async with club.services.database.transaction() as conn:
        await conn.execute(update(Tenant).values(slack_team_id="T0OTHER"))
    nowhere = f"{club.slack.base_url}/commands/T0X/x"
    assert "Reed" not in (await send(club, slash_command(TEAM, nowhere)))[1]
    assert "Reed" in (await send(club, slash_command("T0OTHER", nowhere)))[1]


async def test_two_clubs_are_kept_apart(club: Club) -> None:
    async with club.services.database.transaction() as conn:
        await conn.execute(update(Tenant).values(slack_team_id="T0OTHER"))
        elsewhere = await open_books(conn, club="Elsewhere SC", email="else@example.com")
        await conn.execute(update(Tenant).where(Tenant.id == elsewhere.tenant_id).values(slack_team_id=TEAM))
    shown = words(await look_up(club, "jaxon"))
    assert "else@example.com" in shown
    assert "pat@example.com" not in shown


@pytest.mark.parametrize("forgery", [{"secret": "another"}, {"timestamp": 1}])
async def test_forged_and_old_requests_are_refused(club: Club, forgery: dict[str, Any]) -> None:
    status, body = await send(club, slash_command(TEAM, "http://127.0.0.1:1/"), **forgery)
    assert status == 401
    assert "Reed" not in body


async def test_sign_up_variables_change_nothing(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_CLIENT_ID", "1.2")
    monkeypatch.setenv("SLACK_CLIENT_SECRET", "x")
    assert build_bot(services).app.oauth_flow is None
    assert os.environ["SLACK_CLIENT_ID"] == "1.2"


async def test_an_unexpected_failure_shows_a_reference_that_the_log_has(club: Club) -> None:
    async with club.services.database.transaction() as conn:
        await conn.execute(text("alter view searchable_players rename to gone"))
    with capture_logs() as logs:
        done = await club.slack.command(COACH, GENERAL, "/player", "jaxon")
    reference = done.text.partition("Reference ")[2][:8]
    assert reference.startswith("R-")
    assert reference in {entry.get("reference") for entry in logs}
    assert "select" not in done.text.lower()
