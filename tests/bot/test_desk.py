"""`/dues`, the home tab, the message shortcut, the manifest, starting and stopping."""

import pytest
from sqlalchemy import update

from bot.app import build_bot
from bot.manifest import manifest
from core.models import Order, Tenant
from core.services import Services
from sandbox.slack import Fault, SlackStandIn, check_manifest
from tests.bot.conftest import ADMIN, COACH, GENERAL, OUTSIDER, Club, add_family
from tests.bot.test_blast import drafted
from tests.bot.test_player import words


async def dues(club: Club, text: str = "") -> str:
    done = await club.slack.command(COACH, GENERAL, "/dues", text)
    assert done.error is None
    message = await done.message()
    assert message.ephemeral_to == COACH
    return words(message)


async def test_dues_by_team(club: Club) -> None:
    shown = await dues(club)
    assert "Owed: *$750.00* by 5 players" in shown
    assert "U12 Blue: *$750.00*, 5 players, 5 items" in shown
    assert "Oldest debts" in shown


async def test_dues_of_one_team(club: Club) -> None:
    assert "Dues: U12 Blue" in await dues(club, "u12")
    assert "Nothing is owed" in await dues(club, "red")
    assert "There is no team “<!here>”".replace("<", "&lt;").replace(">", "&gt;") in await dues(club, "<!here>")
    assert "Only you see the answer" in await dues(club, "help")


async def home(club: Club, user_id: str) -> str:
    done = await club.slack.open_home(user_id)
    assert done.error is None
    return str(club.slack.homes[user_id].blocks)


async def test_the_home_tab_suits_who_opens_it(club: Club) -> None:
    await drafted(club)
    assert "not on its list" in await home(club, OUTSIDER)
    coachs = await home(club, COACH)
    assert "player_search" in coachs
    assert "$750.00" not in coachs
    admins = await home(club, ADMIN)
    assert "$750.00" in admins
    assert "4 families, $750.00: waits for approval (asked for by <@U0ADMIN>)" in admins


async def test_a_player_chosen_in_the_home_tab_opens_a_card_whose_buttons_work(club: Club) -> None:
    await home(club, COACH)
    found = await club.slack.suggest(COACH, club.slack.homes[COACH], "player_search", "jaxon")
    chosen = await club.slack.select(COACH, club.slack.homes[COACH], "player_search", found[0])
    card = await chosen.view()
    assert "pat@example.com" in str(card.blocks)
    sent = await club.slack.press(COACH, card, "resend_link")
    assert "On its way to pat@example.com" in str((await sent.view()).blocks)
    again = await club.slack.press(COACH, club.slack.views[0], "resend_link", stale=True)
    assert "Already sent" in str((await again.view()).blocks)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("How does Jaxon Reed's mom pay?", "pat@example.com"),
        ("ana or bo lopez, no idea", "bo lopez"),
        ("hello there", "names nobody we know"),
        ("😀", "names nobody we know"),
    ],
)
async def test_the_shortcut_finds_the_players_of_a_message(club: Club, said: str, shown: str) -> None:
    message = await club.slack.say(OUTSIDER, GENERAL, said)
    done = await club.slack.shortcut(COACH, "find_player", message)
    assert done.error is None
    view = await done.view()
    assert await club.slack.workspace.wait_until(lambda: shown in str(view.blocks).lower(), 30)


async def test_an_outsider_gets_nothing_from_the_shortcut(club: Club) -> None:
    message = await club.slack.say(OUTSIDER, GENERAL, "Jaxon Reed")
    done = await club.slack.shortcut(OUTSIDER, "find_player", message)
    assert "not on its list" in words(await done.message())
    assert done.views == []


@pytest.mark.parametrize("socket_mode", [True, False])
def test_slack_takes_the_manifest(socket_mode: bool) -> None:
    made = manifest("https://club.example.com/", socket_mode=socket_mode)
    assert check_manifest(made) == []
    assert ("https://club.example.com/slack/events" in str(made)) is not socket_mode


async def test_answers_do_not_need_slacks_api(club: Club) -> None:
    """A command's answer travels in the acknowledgement."""
    async with club.services.database.transaction() as conn:
        await conn.execute(update(Tenant).values(slack_team_id="T0SIDELINE"))
    club.slack.faults.add(Fault("server_error", times=100))
    done = await club.slack.command(COACH, GENERAL, "/player", "jaxon")
    assert "Jaxon Reed" in done.text


async def test_slack_away_at_the_start(services: Services, slack: SlackStandIn) -> None:
    slack.faults.add(Fault("server_error", times=100))
    bot = build_bot(services)
    await bot.start()
    await bot.close()


async def test_a_lone_clubs_workspace_is_asked_for_again_after_an_outage(club: Club) -> None:
    fresh = build_bot(club.services, clubs_last_seconds=0)
    workspace = fresh.clubs.workspace
    club.slack.faults.add(Fault("error", "auth.test"))
    with pytest.raises(Exception, match="busy"):
        await workspace.club_of("T0SIDELINE")
    assert await workspace.club_of("T0SIDELINE") is not None
    assert await workspace.club_of("T0OTHER") is None


async def test_the_report_of_a_big_club_fits(club: Club) -> None:
    await add_family(club.services, club.books, "Big Family", *(f"Kid {'Z' * 300}{n}" for n in range(30)))
    async with club.services.database.transaction() as conn:
        await conn.execute(update(Order).values(description="<" * 500))
    shown = await dues(club)
    assert "35 players" in shown
