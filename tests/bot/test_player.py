from sqlalchemy import insert, update

from core.models import Order, Payment, Player
from sandbox.slack import Message
from sandbox.slack.blockkit import message_size
from tests.bot.conftest import COACH, GENERAL, ODD_NAME, Club, add_family
from tests.statements import counted


async def look_up(club: Club, name: str) -> Message:
    done = await club.slack.command(COACH, GENERAL, "/player", name)
    assert done.error is None
    message = await done.message()
    assert message.ephemeral_to == COACH
    return message


def words(message: Message) -> str:
    return f"{message.text}\n{message.blocks}"


async def test_one_match_shows_the_family(club: Club) -> None:
    shown = words(await look_up(club, "jaxon"))
    for expected in ("Jaxon Reed", "U12 Blue", "✅ signed", "Pat Reed", "pat@example.com", "$150.00", "Dec"):
        assert expected in shown
    assert "Re-send link" in shown
    assert "Show link" in shown


async def test_siblings_owe_together(club: Club) -> None:
    shown = words(await look_up(club, "bo lopez"))
    assert "Ana Lopez" in shown
    assert "The family owes $300.00 altogether" in shown


async def test_a_misspelt_name_shows_the_nearest(club: Club) -> None:
    shown = words(await look_up(club, "jackson"))
    assert "No player matches “jackson”. The nearest is Jaxon Reed:" in shown


async def test_a_name_that_is_far_off_is_asked_about_first(club: Club) -> None:
    await add_family(club.services, club.books, "Gert Jan", "Bo Jan")
    shown = words(await look_up(club, "bob"))
    assert "gert@example.com" not in shown


async def test_several_matches_make_a_pick_list_that_opens_a_card(club: Club) -> None:
    listed = await look_up(club, "ana")
    assert "Mia Sister-Parent" in words(listed)
    assert "Nia Carter" in words(listed)
    option = next(o for o in options(listed) if o["text"]["text"] == "Ana Carter")
    chosen = await club.slack.select(COACH, listed, "player_select", option)
    assert "nia@example.com" in words(await chosen.message())


def options(message: Message) -> list[dict[str, dict[str, str]]]:
    found: list[dict[str, dict[str, str]]] = next(
        element["options"]
        for block in message.blocks
        for element in block.get("elements", [])
        if element.get("action_id") == "player_select"
    )
    return found


async def test_a_whole_name_wins_over_longer_ones(club: Club) -> None:
    await add_family(club.services, club.books, "Lou Reedman", "Jaxon Reedman")
    shown = await look_up(club, "jaxon reed")
    assert "pat@example.com" in words(shown)
    assert [o["text"]["text"] for o in options(shown)] == ["Jaxon Reedman"]


async def test_nobody_found_says_what_was_searched(club: Club) -> None:
    shown = words(await look_up(club, "qqqq <!channel>"))
    assert "No player matches “qqqq &lt;!channel&gt;”" in shown


async def test_a_word_that_bolt_takes_for_a_fields_name_is_a_word(club: Club) -> None:
    await add_family(club.services, club.books, "Lou Payload", "Ada Payload")
    assert "Ada Payload" in words(await look_up(club, "ada payload"))
    assert "No player matches “payload=" in words(await look_up(club, "payload={}&x"))


async def test_an_empty_command_explains_and_offers_a_search(club: Club) -> None:
    help_text = await look_up(club, "")
    assert "Type any part" in words(help_text)
    found = await club.slack.suggest(COACH, help_text, "player_search", "jax")
    assert [option["text"]["text"] for option in found] == ["Jaxon Reed"]
    chosen = await club.slack.select(COACH, help_text, "player_search", found[0])
    assert "pat@example.com" in words(await chosen.message())


async def test_odd_names_arrive_intact_and_harmless(club: Club) -> None:
    shown = words(await look_up(club, "zoe obrien"))
    assert ODD_NAME in shown.replace("\\'", "'")
    assert "Odd &lt;Parent&gt;&amp;" in shown


async def test_what_cannot_be_paid_has_no_buttons(club: Club) -> None:
    async with club.services.database.transaction() as conn:
        await conn.execute(update(Player).where(Player.id == club.books.player_id).values(contract_status="sent"))
    shown = words(await look_up(club, "jaxon"))
    assert "contract not signed" in shown
    assert "resend_link" not in shown
    async with club.services.database.transaction() as conn:
        await conn.execute(update(Order).where(Order.id == club.books.order_id).values(status="processing"))
    shown = words(await look_up(club, "jaxon"))
    assert "bank payment on its way" in shown
    assert "Nothing is owed" in shown


async def test_part_payments_and_refunds_are_shown(club: Club) -> None:
    async with club.services.database.transaction() as conn:
        payments = [
            {"order_id": club.books.order_id, "amount_cents": 6000, "method": "check"},
            {"order_id": club.books.order_id, "amount_cents": -1000, "method": "check"},
        ]
        for payment in payments:
            await conn.execute(insert(Payment).values(payment))
    shown = words(await look_up(club, "jaxon"))
    assert "$100.00 of $150.00" in shown
    assert "$60.00 by check" in shown
    assert "$10.00 given back" in shown


async def test_a_long_family_is_cut_and_says_so(club: Club) -> None:
    names = [f"Kid{'abcdefghijklmnopqrstuvwxyz'[n % 26]}{n} Verylongname" for n in range(40)]
    ids = await add_family(club.services, club.books, "Big Family", *names, description="x" * 400)
    shown = await look_up(club, "kida0 verylongname")
    assert len(ids) == 40
    assert "22 more items" in words(shown)
    assert "https://club.example.com/balance/" in words(shown)
    assert len(shown.blocks) <= 50
    assert message_size(shown.blocks) <= 13_000


async def test_the_number_of_statements_does_not_grow(club: Club) -> None:
    await add_family(club.services, club.books, "Big Family", *(f"Kid Number{n}" for n in range(40)))
    await look_up(club, "jaxon reed")
    with counted(club.services.database) as one_item:
        await look_up(club, "jaxon reed")
    with counted(club.services.database) as forty_items:
        await look_up(club, "kid number7")
    assert len(forty_items) == len(one_item) <= 6
