"""Recording, undoing, changing and charging from a family's card, as admins do it."""

import asyncio
from datetime import UTC, date, datetime

import pytest
from sqlalchemy import func, insert, select, text, update

from core.models import AuditLog, EmailLog, FamilyHold, Order, Parent, Payment, Player
from sandbox.slack import Message, View
from sandbox.slack.blockkit import message_size
from tests.books import add
from tests.bot.conftest import ADMIN, COACH, GENERAL, PAYMENTS, TREASURER, Club, add_family
from tests.bot.test_player import look_up, words

PAY, AMOUNT, OFF = "Record a payment…", "Change the amount…", "Take off the list…"


async def card(club: Club, name: str = "jaxon reed", who: str = ADMIN) -> Message:
    done = await club.slack.command(who, GENERAL, "/player", name)
    assert done.error is None
    return await done.message()


async def menu(club: Club, message: Message, choice: str, who: str = ADMIN) -> View:
    done = await club.slack.select(who, message, "order_menu", choice)
    assert done.error is None
    return await done.view()


async def shown(club: Club, message: Message, part: str) -> bool:
    return await club.slack.workspace.wait_until(lambda: part in words(message), 30)


async def ledger(club: Club) -> list[tuple[int, str, str | None]]:
    async with club.services.database.transaction() as conn:
        rows = await conn.execute(
            select(Payment.amount_cents, Payment.method, Payment.reference).order_by(Payment.id)
        )
        return [tuple(row) for row in rows]  # type: ignore[misc]


async def order(club: Club) -> tuple[str, int]:
    async with club.services.database.transaction() as conn:
        row = await conn.execute(select(Order.status, Order.amount_cents).where(Order.id == club.books.order_id))
        return tuple(row.one())  # type: ignore[return-value]


async def recorded(club: Club, message: Message, **values: str) -> View:
    view = await menu(club, message, PAY)
    looked_over = await club.slack.submit(ADMIN, view, values)
    assert looked_over.errors == {}
    done = await club.slack.submit(ADMIN, view)
    assert done.error is None
    return view


async def test_a_coach_sees_no_admins_buttons(club: Club) -> None:
    coachs = words(await card(club, who=COACH))
    for action in ("order_menu", "payment_undo", "charge_player", "player_fee"):
        assert action not in coachs
    assert "order_menu" in words(await card(club))


@pytest.mark.parametrize("action", ["charge_player", "player_fee", "payment_undo", "order_menu"])
async def test_a_coach_who_gets_at_a_button_is_told(club: Club, action: str) -> None:
    admins = await card(club)
    await recorded(club, admins, amount="60")
    assert await shown(club, admins, "payment_undo")
    coachs = await card(club, who=COACH)
    coachs.blocks = admins.blocks
    if action == "order_menu":
        done = await club.slack.select(COACH, coachs, action, PAY)
    else:
        done = await club.slack.press(COACH, coachs, action)
    assert "Only admins can" in words(await done.message())
    assert done.views == []
    assert await ledger(club) == [(6000, "cash", None)]


async def test_part_of_it_in_cash(club: Club) -> None:
    message = await card(club)
    view = await menu(club, message, PAY)
    assert "Jaxon Reed" in str(view.content)
    assert "150.00" in str(view.content)
    done = await club.slack.submit(ADMIN, view, {"amount": "60"})
    assert done.errors == {}
    assert "Record cash $60.00?" in str(view.content)
    assert "$90.00 stays owed" in str(view.content)
    assert await ledger(club) == []
    await club.slack.submit(ADMIN, view)
    assert "✅ Recorded cash $60.00" in str(view.content)
    assert await ledger(club) == [(6000, "cash", None)]
    # The card behind it is brought up to date, with a way back.
    assert await shown(club, message, "$90.00 of $150.00")
    assert "payment_undo" in words(message)
    await club.drain()
    notice = words(await club.slack.wait_for_message(PAYMENTS))
    assert "*Recorded by* <@U0ADMIN>: cash $60.00" in notice
    assert "still owes *$90.00*" in notice


async def test_sent_in_twice_it_is_recorded_once(club: Club) -> None:
    view = await menu(club, await card(club), PAY)
    await club.slack.submit(ADMIN, view, {"amount": "60"})
    stale = dict(view.content)
    await asyncio.gather(*(club.slack.submit(ADMIN, view) for _ in range(2)), return_exceptions=True)
    view.content = stale
    again = await club.slack.submit(ADMIN, view)
    assert again.error is None
    assert "Recorded before, once" in str(view.content)
    assert await ledger(club) == [(6000, "cash", None)]
    await club.drain()
    assert len(club.slack.messages_in(PAYMENTS)) == 1


@pytest.mark.parametrize(
    ("values", "field", "sentence"),
    [
        ({"amount": "lots"}, "amount", "is not an amount"),
        ({"amount": "150.01"}, "amount", "Only $150.00 is owed"),
        ({"amount": "0"}, "amount", "more than nothing"),
        ({"method": "Check"}, "reference", "needs its number"),
        ({"method": "Waive it"}, "reference", "why it is waived"),
    ],
)
async def test_what_is_wrong_stands_beside_its_field(
    club: Club, values: dict[str, str], field: str, sentence: str
) -> None:
    view = await menu(club, await card(club), PAY)
    done = await club.slack.submit(ADMIN, view, values)
    assert sentence in done.errors[field]
    assert await ledger(club) == []


async def test_a_check_and_a_waiver_keep_their_references_from_families_and_the_channel(club: Club) -> None:
    message = await card(club)
    await recorded(club, message, amount="50", method="Check", reference="1042")
    assert await shown(club, message, "by check (1042)")
    await recorded(club, await card(club), method="Waive it", reference="hard <times>")
    assert (await order(club))[0] == "paid"
    assert "waived (hard &lt;times&gt;)" in words(await card(club))
    await club.drain()
    notices = "".join(words(each) for each in club.slack.messages_in(PAYMENTS))
    assert "check 1042, $50.00" in notices
    assert "waived $100.00" in notices
    assert "hard" not in notices
    # The check has a receipt, the waiver none.
    async with club.services.database.transaction() as conn:
        assert await conn.scalar(select(func.count()).select_from(EmailLog)) == 1


async def test_somebody_was_quicker(club: Club) -> None:
    view = await menu(club, await card(club), PAY)
    await club.slack.submit(ADMIN, view)
    async with club.services.database.transaction() as conn:
        await conn.execute(update(Order).where(Order.id == club.books.order_id).values(status="processing"))
    await club.slack.submit(ADMIN, view)
    assert "bank payment for this is on its way" in str(view.content)
    assert await ledger(club) == []


async def test_a_mistake_is_undone_once(club: Club) -> None:
    message = await card(club)
    await recorded(club, message)
    assert await shown(club, message, "payment_undo")
    old = message.snapshot()
    declined = await club.slack.press(ADMIN, message, "payment_undo", confirm=False)
    assert not declined.sent
    await club.slack.press(ADMIN, message, "payment_undo")
    assert await shown(club, message, "↩️ Undone: $150.00 in cash")
    assert "payment_undo" not in words(message)
    assert await shown(club, message, "None yet.")
    assert (await order(club))[0] == "pending"
    late = await club.slack.press(ADMIN, old, "payment_undo", stale=True)
    assert "undone already by <@U0ADMIN>" in words(await late.message())
    await club.drain()
    assert "*Undone by* <@U0ADMIN>" in words(club.slack.messages_in(PAYMENTS)[-1])


async def test_a_card_in_a_window_is_brought_up_to_date(club: Club) -> None:
    home = await (await club.slack.open_home(ADMIN)).view()
    found = await club.slack.suggest(ADMIN, home, "player_search", "jaxon")
    below = await (await club.slack.select(ADMIN, home, "player_search", found[0])).view()
    above = await (await club.slack.select(ADMIN, below, "order_menu", PAY)).view()
    await club.slack.submit(ADMIN, above)
    await club.slack.submit(ADMIN, above)
    assert "✅ Recorded" in str(above.content)
    assert await club.slack.workspace.wait_until(lambda: "payment_undo" in str(below.content), 30)
    await club.slack.close(above)
    await club.slack.press(ADMIN, below, "payment_undo")
    assert await club.slack.workspace.wait_until(lambda: "↩️ Undone" in str(below.content), 30)


async def test_another_amount(club: Club) -> None:
    message = await card(club)
    view = await menu(club, message, AMOUNT)
    refused = await club.slack.submit(ADMIN, view, {"amount": "150.00", "reason": "x"})
    assert "already" in refused.errors["amount"]
    done = await club.slack.submit(ADMIN, view, {"amount": "100", "reason": "scholarship"})
    assert done.errors == {}
    assert "costs $100.00 now, before $150.00" in str(view.content)
    assert await order(club) == ("pending", 10000)
    assert await shown(club, message, "Monthly fee, Dec 2026*\\n$100.00")
    async with club.services.database.transaction() as conn:
        assert await conn.scalar(
            select(Order.custom_data["reason"].astext).where(Order.id == club.books.order_id)
        ) == ("scholarship")


async def test_off_the_list(club: Club) -> None:
    message = await card(club)
    old = message.snapshot()
    view = await menu(club, message, OFF)
    await club.slack.submit(ADMIN, view, {"reason": "moved away"})
    assert "✅ Taken off the list" in str(view.content)
    assert await order(club) == ("canceled", 15000)
    assert await shown(club, message, "Nothing is owed")
    message.blocks = old.blocks
    late = await club.slack.select(ADMIN, message, "order_menu", PAY)
    assert "taken off the family's list" in words(await late.message())


async def test_a_charge_is_made_once_however_often_it_is_sent(club: Club) -> None:
    message = await card(club)
    view = await (await club.slack.press(ADMIN, message, "charge_player")).view()
    asked = {"what": "Away jersey", "kind": "Jersey or uniform", "price": "$65", "due": "2026-12-15"}
    wrong = await club.slack.submit(ADMIN, view, asked | {"price": "0"})
    assert "price" in wrong.errors
    done = await club.slack.submit(ADMIN, view, asked)
    assert done.errors == {}
    assert "is charged Away jersey, $65.00, due Dec 15" in str(view.content)
    assert await shown(club, message, "Away jersey")
    again = await (await club.slack.press(ADMIN, message, "charge_player")).view()
    await club.slack.submit(ADMIN, again, asked)
    assert "was charged Away jersey, $65.00 before" in str(again.content)
    third = await (await club.slack.press(ADMIN, message, "charge_player")).view()
    other = await club.slack.submit(ADMIN, third, asked | {"price": "70"})
    assert "owes “Away jersey” at $65.00 already" in other.errors["what"]
    async with club.services.database.transaction() as conn:
        made = select(Order.amount_cents, Order.due_date).where(Order.description == "Away jersey")
        assert (await conn.execute(made)).all() == [(6500, date(2026, 12, 15))]


async def test_a_fee_of_ones_own(club: Club) -> None:
    message = await card(club)
    view = await (await club.slack.press(ADMIN, message, "player_fee")).view()
    wrong = await club.slack.submit(ADMIN, view, {"monthly": "cheap"})
    assert "is not an amount" in wrong.errors["monthly"]
    await club.slack.submit(ADMIN, view, {"monthly": "100", "reason": "scholarship"})
    assert "$100.00 a month from the next bill on" in str(view.content)
    assert await shown(club, message, "scholarship")
    # Coaches know why; families don't.
    assert "*Fee note*\\nscholarship" in words(await look_up(club, "jaxon"))
    async with club.services.database.transaction() as conn:
        assert (
            await conn.scalar(select(Player.monthly_fee_cents).where(Player.id == club.books.player_id)) == 10000
        )
        assert await conn.scalar(select(AuditLog.actor)) == ADMIN


async def test_the_card_tells_what_coaches_need_to_know(club: Club) -> None:
    async with club.services.database.transaction() as conn:
        second = await add(
            conn,
            Parent,
            tenant_id=club.books.tenant_id,
            first_name="Robin",
            last_name="<Reed>",
            email="robin@example.com",
        )
        problem = {
            "email_problem": "550 no such mailbox",
            "email_problem_at": datetime(2026, 11, 3, 15, tzinfo=UTC),
        }
        await conn.execute(update(Parent).where(Parent.id == club.books.parent_id).values(problem))
        await conn.execute(update(Player).where(Player.id == club.books.player_id).values(second_parent_id=second))
        hold = {"tenant_id": club.books.tenant_id, "parent_id": club.books.parent_id, "created_by": ADMIN}
        await conn.execute(insert(FamilyHold).values(**hold, until=date(2099, 12, 24), reason="talking to them"))
    told = words(await look_up(club, "jaxon"))
    assert "⚠️ the mail server refused this address on Nov 3" in told
    assert "550 no such mailbox" in told
    assert "Robin &lt;Reed&gt; · robin@example.com · gets copies" in told
    assert "🔕 No reminders until Dec 24, 2099: talking to them" in told
    async with club.services.database.transaction() as conn:
        await conn.execute(update(Player).where(Player.second_parent_id == second).values(second_share_percent=40))
        await conn.execute(update(Order).where(Order.id == club.books.order_id).values(parent_id=second))
        await conn.execute(update(FamilyHold).values(until=date(2026, 1, 1)))
        await conn.execute(insert(Payment).values(order_id=club.books.order_id, amount_cents=1000, method="cash"))
    told = words(await look_up(club, "jaxon"))
    assert "pays 40 %" in told
    assert "Robin &lt;Reed&gt; pays this" in told
    assert "$10.00 in cash" in told
    assert "No reminders" not in told


async def test_a_long_family_fits_with_all_of_an_admins_buttons(club: Club) -> None:
    names = [f"Kid{n} {'Longname' * 9}" for n in range(40)]
    await add_family(club.services, club.books, "Big Family", *names, description="x" * 400)
    async with club.services.database.transaction() as conn:
        paid = text(
            "insert into payments (order_id, amount_cents, method, reference, recorded_by) "
            "select id, 100, 'check', repeat('9', 200), 'U0ADMIN' from orders where description like 'xx%' limit 5"
        )
        await conn.execute(paid)
    message = await card(club, "kid7")
    assert "payment_undo" in words(message)
    assert len(message.blocks) <= 50
    assert message_size(message.blocks) <= 13_000


async def test_two_admins_see_each_others_work(club: Club) -> None:
    mine, theirs = await card(club), await card(club, who=TREASURER)
    await recorded(club, mine)
    old = await club.slack.select(TREASURER, theirs, "order_menu", PAY)
    assert "This is paid already." in words(await old.message())
