import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from core.models import EmailLog, Order, Parent, Tenant
from sandbox.slack import Message
from tests.books import add, open_books
from tests.bot.conftest import COACH, GENERAL, TEAM, Club, add_family
from tests.bot.test_player import look_up, words


async def mails(club: Club) -> int:
    await club.drain()
    return len(club.mailbox.messages)


async def resend(club: Club, text: str) -> str:
    done = await club.slack.command(COACH, GENERAL, "/resend", text)
    assert done.error is None
    return words(await done.message())


async def second_item(club: Club) -> None:
    async with club.services.database.transaction() as conn:
        await add(
            conn,
            Order,
            tenant_id=club.books.tenant_id,
            player_id=club.books.player_id,
            parent_id=club.books.parent_id,
            description="Spring Tournament",
            amount_cents=9500,
        )


async def press(club: Club, card: Message, action_id: str) -> str:
    done = await club.slack.press(COACH, card, action_id, stale=True)
    return words(await done.message())


async def test_the_button_mails_the_link_once(club: Club) -> None:
    card = await look_up(club, "jaxon")
    assert "On its way to pat@example.com (Pat Reed)" in await press(club, card, "resend_link")
    assert "Already sent to pat@example.com" in await press(club, card, "resend_link")
    assert await mails(club) == 1
    assert "/pay/" in club.mailbox.messages[0].text
    assert "went out: payment link to pat@example.com" in words(await look_up(club, "jaxon"))


async def test_the_link_is_shown_for_copying(club: Club) -> None:
    card = await look_up(club, "jaxon")
    url = club.services.family_links.pay_url(club.books.tenant_id, club.books.order_id)
    assert f"```{url}```" in await press(club, card, "copy_link")
    assert await mails(club) == 0


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        ("paid", "Already paid"),
        ("processing", "on its way"),
        ("canceled", "taken off"),
        ("refunded", "given back"),
    ],
)
async def test_a_button_on_an_old_card_does_the_right_thing(club: Club, status: str, answer: str) -> None:
    card = (await look_up(club, "jaxon")).snapshot()
    async with club.services.database.transaction() as conn:
        await conn.execute(update(Order).where(Order.id == club.books.order_id).values(status=status))
    assert answer in await press(club, card, "resend_link")
    assert answer in await press(club, card, "copy_link")
    assert await mails(club) == 0


async def test_a_forged_value_is_refused(club: Club) -> None:
    card = (await look_up(club, "jaxon")).snapshot()
    for block in card.blocks:
        for element in block.get("elements", []):
            if element.get("action_id") == "resend_link":
                element["value"] = "1; drop table orders"
    assert "older message" in await press(club, card, "resend_link")


async def test_another_clubs_order_is_unknown(club: Club) -> None:
    card = (await look_up(club, "jaxon")).snapshot()
    async with club.services.database.transaction() as conn:
        other = await add_other_club(conn)
    for block in card.blocks:
        for element in block.get("elements", []):
            if element.get("action_id") in {"resend_link", "copy_link"}:
                element["value"] = f"{other}.1"
    answer = await press(club, card, "copy_link")
    assert "/pay/" not in answer
    assert "we don't know" in answer.lower().replace("\\'", "'")


async def add_other_club(conn: AsyncConnection) -> int:
    await conn.execute(update(Tenant).values(slack_team_id=TEAM))
    return (await open_books(conn, club="Elsewhere SC", email="else@example.com")).order_id


async def test_the_command_mails_all_of_a_players_items_in_one_mail(club: Club) -> None:
    await second_item(club)
    answer = await resend(club, "jaxon reed")
    assert "in one mail" in answer
    assert "Spring Tournament" in answer
    assert await mails(club) == 1


async def test_siblings_are_left_alone(club: Club) -> None:
    await resend(club, "bo lopez")
    await club.drain()
    assert "Bo Lopez" in club.mailbox.messages[0].text
    assert "Ana Lopez" not in club.mailbox.messages[0].text


@pytest.mark.parametrize("typed", ["jaxon reed dec", "Reed Jaxon DECEMBER", '"jaxon" dec', "jax dec 2026"])
async def test_words_after_the_name_narrow_the_items(club: Club, typed: str) -> None:
    await second_item(club)
    answer = await resend(club, typed)
    assert "Monthly fee, Dec 2026" in answer
    assert "Spring" not in answer
    assert await mails(club) == 1


async def test_an_unknown_item_lists_the_open_ones(club: Club) -> None:
    answer = await resend(club, "jaxon reed jersey")
    assert "no open item with “jersey”" in answer
    assert "Monthly fee, Dec 2026" in answer
    assert await mails(club) == 0


@pytest.mark.parametrize("typed", ["ana", "jackson", "qqqq", "ana lopes"])
async def test_where_there_is_doubt_nothing_is_sent(club: Club, typed: str) -> None:
    assert "Nothing was sent" in await resend(club, typed)
    assert await mails(club) == 0


async def test_an_empty_command_explains(club: Club) -> None:
    assert "mails the family" in await resend(club, "")


async def test_no_address_is_said(club: Club) -> None:
    async with club.services.database.transaction() as conn:
        await conn.execute(update(Parent).where(Parent.id == club.books.parent_id).values(email=None))
    assert "no e-mail address" in await resend(club, "jaxon reed")
    assert "no address" in words(await look_up(club, "jaxon"))


async def test_nothing_owed_is_said(club: Club) -> None:
    async with club.services.database.transaction() as conn:
        await conn.execute(update(Order).values(status="paid"))
    assert "owes nothing" in await resend(club, "jaxon reed")


async def test_a_refused_mail_is_told_to_who_asked(club: Club) -> None:
    await add_family(club.services, club.books, "Bad Address", "Rae Wrong", email="not an address")
    await resend(club, "rae wrong")
    await club.drain()
    told = [m for m in club.slack.messages if "did not go out" in m.text]
    assert len(told) == 1
    async with club.services.database.transaction() as conn:
        failed = await conn.scalar(select(func.count()).select_from(EmailLog).where(EmailLog.status == "failed"))
    assert failed == 1
    assert "did not go out" in words(await look_up(club, "rae wrong"))
