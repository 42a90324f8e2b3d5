"""Two guardians and plans, as coaches see them in Slack."""

from datetime import timedelta

from sqlalchemy import select

from core.clock import local_date
from core.club import club_by_id
from core.guardians import Guardian, set_second_guardian
from core.items import charge_in_parts, charge_item, new_item
from core.models import Parent
from tests.bot.conftest import COACH, GENERAL, Club
from tests.bot.test_player import look_up, words


async def split(club: Club, share: int | None) -> int:
    async with club.services.database.transaction() as conn:
        own = await club_by_id(conn, club.books.tenant_id)
        sam = Guardian("sam@example.com", "Sam", "Lee")
        await set_second_guardian(conn, own, club.books.player_id, sam, share, actor="cli")
        item = new_item("Home jersey", "jersey", 6500)
        await charge_item(conn, own, [club.books.player_id], item, None, actor="cli")
        return int(await conn.scalar(select(Parent.id).where(Parent.first_name == "Sam")) or 0)


async def test_a_resend_of_a_shared_fee_is_a_mail_for_each(club: Club) -> None:
    await split(club, 40)
    done = await club.slack.command(COACH, GENERAL, "/resend", "jaxon reed")
    answer = words(await done.message())
    assert "On its way to pat@example.com (Pat Reed)" in answer
    assert "On its way to sam@example.com (Sam Lee)" in answer
    await club.drain()
    mails = {mail.envelope_to[0]: mail.text for mail in club.mailbox.messages}
    assert "$26.00" in mails["sam@example.com"]
    assert "$39.00" not in mails["sam@example.com"]
    assert "Monthly fee" not in mails["sam@example.com"]
    assert "$26.00" not in mails["pat@example.com"]


async def test_a_resend_says_where_the_copy_goes(club: Club) -> None:
    await split(club, None)
    done = await club.slack.command(COACH, GENERAL, "/resend", "jaxon reed jersey")
    assert "A copy goes to sam@example.com (Sam Lee)." in words(await done.message())
    await club.drain()
    assert len(club.mailbox.messages) == 2


async def test_coaches_see_what_both_guardians_owe(club: Club) -> None:
    await split(club, 40)
    shown = words(await look_up(club, "jaxon"))
    assert "$39.00" in shown
    assert "$26.00" in shown


async def test_a_plan_is_one_line_on_the_card(club: Club) -> None:
    async with club.services.database.transaction() as conn:
        own = await club_by_id(conn, club.books.tenant_id)
        today = local_date(club.services.clock(), own.time_zone)
        dates = [today + timedelta(days=days) for days in (-5, 20, 50)]
        kit = new_item("Uniform kit", "generic", 15000)
        await charge_in_parts(conn, own, [club.books.player_id], kit, dates, actor="cli")
    shown = words(await look_up(club, "jaxon"))
    assert "Uniform kit, 1 of 3" in shown
    assert "Uniform kit: 0 of 3 paid · next part" in shown
    assert "3 of 3" not in shown
    assert "The family owes $300.00" in shown or "Owed $300.00" in shown
    done = await club.slack.command(COACH, GENERAL, "/resend", "jaxon reed kit")
    assert "next part" in words(await done.message())
