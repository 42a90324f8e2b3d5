"""Reminders in the home tab, and holds from a family's card."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import func, select

from core.models import AuditLog, FamilyHold, ReminderRule
from sandbox.slack import View
from tests.bot.conftest import ADMIN, COACH, TREASURER, Club
from tests.bot.test_desk_payments import card, shown
from tests.bot.test_player import words


async def home(club: Club, user_id: str = ADMIN) -> View:
    assert (await club.slack.open_home(user_id)).error is None
    return club.slack.homes[user_id]


async def changing(club: Club) -> View:
    done = await club.slack.press(ADMIN, await home(club), "reminders_change")
    assert done.error is None
    return await done.view()


async def count(club: Club, table: Any) -> int:  # noqa: ANN401 - any table
    async with club.services.database.transaction() as conn:
        return int(await conn.scalar(select(func.count()).select_from(table)) or 0)


async def test_they_are_off_until_an_admin_switches_them_on(club: Club) -> None:
    tab = await home(club)
    assert "Off. Switched on, families are mailed 3 days before, 1, 7 and 14 days after" in str(tab.blocks)
    view = await changing(club)
    values = {"is_on": "On", "days_before": "7, 3", "days_after": "2", "send_at": "10:30"}
    done = await club.slack.submit(ADMIN, view, values)
    assert done.errors == {}
    assert "✅ Saved. On: 3 and 7 days before, 2 days after, 10:30" in str(view.content)
    wanted = "On: 3 and 7 days before"
    assert await club.slack.workspace.wait_until(lambda: wanted in str(club.slack.homes[ADMIN].blocks), 30)
    assert await count(club, ReminderRule) == 1
    changes = await count(club, AuditLog)
    again = await club.slack.submit(ADMIN, await changing(club), {"days_before": "3 7"})
    assert again.errors == {}
    assert await count(club, AuditLog) == changes


@pytest.mark.parametrize(
    ("values", "field", "sentence"),
    [
        ({"days_before": "soon"}, "days_before", "write them like 1, 7, 14"),
        ({"days_before": "31"}, "days_before", "from 1 to 30"),
        ({"days_before": "", "days_after": ""}, "days_after", "at least one day"),
        ({"send_at": "21:00"}, "send_at", "quiet hours"),
        ({"min_gap_days": "often"}, "min_gap_days", "whole number"),
    ],
)
async def test_what_is_wrong_stands_beside_its_field(
    club: Club, values: dict[str, str], field: str, sentence: str
) -> None:
    done = await club.slack.submit(ADMIN, await changing(club), values)
    assert sentence in done.errors[field]
    assert await count(club, AuditLog) == 0


async def test_the_preview_names_who_would_be_mailed(club: Club) -> None:
    done = await club.slack.press(ADMIN, await home(club), "reminders_preview")
    view = await done.view()
    wanted = "Nothing was sent."
    assert await club.slack.workspace.wait_until(lambda: wanted in str(view.content), 30)
    assert "Reminders are off. Switched on, " in str(view.content)
    assert not club.mailbox.messages


@pytest.mark.parametrize("action", ["reminders_change", "reminders_preview"])
async def test_a_coach_may_not(club: Club, action: str) -> None:
    admins = await home(club)
    coachs = await home(club, COACH)
    assert action not in str(coachs.blocks)
    coachs.content["blocks"] = admins.blocks
    done = await club.slack.press(COACH, coachs, action)
    assert "Only admins can" in str((await done.view()).content)


async def test_a_hold_is_set_and_lifted_from_the_card(club: Club) -> None:
    message = await card(club)
    view = await (await club.slack.press(ADMIN, message, "hold_family")).view()
    nothing = await club.slack.submit(ADMIN, view, {"reason": "  "})
    assert "why" in nothing.errors["reason"]
    done = await club.slack.submit(ADMIN, view, {"reason": "on a <payment> plan"})
    assert done.errors == {}
    assert await shown(club, message, "🔕 No reminders: on a &lt;payment&gt; plan")
    stale = message.snapshot()
    theirs = await card(club, who=TREASURER)
    kept = await club.slack.press(TREASURER, theirs, "hold_lift", confirm=False)
    assert not kept.sent
    await club.slack.press(TREASURER, theirs, "hold_lift")
    assert await shown(club, theirs, "🔔 Pat Reed gets reminders again.")
    assert "No reminders" not in words(theirs)
    late = await club.slack.press(ADMIN, stale, "hold_lift")
    assert "already lifted by <@U0TREAS>" in words(await late.message())


async def test_a_hold_sent_in_twice_is_one(club: Club) -> None:
    view = await (await club.slack.press(ADMIN, await card(club), "hold_family")).view()
    content = dict(view.content)
    sent = (club.slack.submit(ADMIN, view, {"reason": "talking"}) for _ in range(2))
    await asyncio.gather(*sent, return_exceptions=True)
    view.content = content
    await club.slack.submit(ADMIN, view, {"reason": "talking"})
    assert await count(club, FamilyHold) == 1


@pytest.mark.parametrize("action", ["hold_family", "hold_lift"])
async def test_a_coach_may_not_hold(club: Club, action: str) -> None:
    admins = await card(club)
    if action == "hold_lift":
        view = await (await club.slack.press(ADMIN, admins, "hold_family")).view()
        await club.slack.submit(ADMIN, view, {"reason": "talking"})
        assert await shown(club, admins, "hold_lift")
    before = await count(club, AuditLog)
    coachs = await card(club, who=COACH)
    assert action not in words(coachs)
    coachs.blocks = admins.blocks
    done = await club.slack.press(COACH, coachs, action)
    assert "Only admins can" in words(await done.message())
    assert (done.views, await count(club, AuditLog)) == ([], before)
