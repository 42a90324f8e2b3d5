"""Two guardians: copies, shares, and what neither may see of the other's."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update

from core.audiences import AudienceQuery
from core.balances import family_owes
from core.charging import split_cents
from core.club import Club, club_by_id
from core.errors import AlreadyDoneError, InvalidInputError, NotFoundError
from core.family_statement import load_statement
from core.guardians import Guardian, GuardianChange, remove_second_guardian, set_second_guardian
from core.items import charge_in_parts, charge_item, new_item
from core.models import AuditLog, InstalmentPlan, Order, Parent, Player
from core.models.statuses import EmailType
from core.services import Services
from sandbox.mailbox import Mailbox
from tests.books import Books, add, open_books
from tests.core.conftest import Drain

SAM = Guardian("sam@example.com", "Sam", "Lee")
JERSEY = new_item("Home jersey", "jersey", 6501)
EVERYONE = AudienceQuery(EmailType.OUTSTANDING_BALANCE)


@pytest.fixture
async def books(services: Services) -> Books:
    async with services.database.transaction() as conn:
        books = await open_books(conn)
        await add(
            conn,
            Player,
            tenant_id=books.tenant_id,
            parent_id=books.parent_id,
            first_name="Mia",
            last_name="Reed",
            contract_status="signed",
        )
        return books


@pytest.fixture
async def club(services: Services, books: Books) -> Club:
    async with services.database.transaction() as conn:
        return await club_by_id(conn, books.tenant_id)


async def set_sam(services: Services, books: Books, club: Club, share: int | None = None) -> GuardianChange:
    async with services.database.transaction() as conn:
        return await set_second_guardian(conn, club, books.player_id, SAM, share, actor="cli")


async def sams_id(services: Services) -> int:
    async with services.database.transaction() as conn:
        return int(await conn.scalar(select(Parent.id).where(Parent.email == "sam@example.com")) or 0)


async def charge(services: Services, books: Books, club: Club) -> dict[int, int]:
    """Charge the jersey and return the orders by payer."""
    async with services.database.transaction() as conn:
        bill = await charge_item(conn, club, [books.player_id], JERSEY, date(2026, 12, 1), actor="cli")
    return {charge.payer_id: charge.order_id for charge in bill.charges}


async def sibling_owes(services: Services, books: Books) -> None:
    async with services.database.transaction() as conn:
        mia = await conn.scalar(select(Player.id).where(Player.first_name == "Mia"))
        await add(
            conn,
            Order,
            tenant_id=books.tenant_id,
            player_id=mia,
            parent_id=books.parent_id,
            description="Mia's tryout",
            amount_cents=2500,
        )


def mail_to(mailbox: Mailbox, address: str) -> str:
    found = [mail for mail in mailbox.messages if mail.envelope_to == (address,)]
    assert len(found) == 1
    return f"{found[0].text}\n{found[0].html}"


@given(cents=st.integers(0, 10**9), percent=st.integers(1, 99))
def test_a_split_sums_to_the_cent(cents: int, percent: int) -> None:
    first, second = split_cents(cents, percent)
    assert first + second == cents
    assert abs(second * 100 - cents * percent) <= 50
    assert first >= 0
    assert second >= 0


async def test_setting_twice_changes_once(services: Services, books: Books, club: Club) -> None:
    first = await set_sam(services, books, club, 40)
    assert (first.player_name, first.guardian_name, first.share_percent) == ("Jaxon Reed", "Sam Lee", 40)
    assert first.is_changed
    assert not (await set_sam(services, books, club, 40)).is_changed
    assert (await set_sam(services, books, club)).is_changed
    async with services.database.transaction() as conn:
        actions = list(await conn.scalars(select(AuditLog.action)))
    assert actions == ["guardian.set", "guardian.set"]


@pytest.mark.parametrize("share", [-1, 0, 100])
async def test_a_share_is_a_part(services: Services, books: Books, club: Club, share: int) -> None:
    with pytest.raises(InvalidInputError, match="1 to 99"):
        await set_sam(services, books, club, share)


async def test_the_first_guardian_is_not_the_second(services: Services, books: Books, club: Club) -> None:
    async with services.database.transaction() as conn:
        with pytest.raises(InvalidInputError, match="first guardian already"):
            await set_second_guardian(conn, club, books.player_id, Guardian("PAT@example.com"), None, actor="cli")


async def test_another_clubs_player_is_left_alone(services: Services, club: Club) -> None:
    async with services.database.transaction() as conn:
        other = await open_books(conn, "Other FC", "kim@example.com")
        with pytest.raises(NotFoundError):
            await set_second_guardian(conn, club, other.player_id, SAM, None, actor="cli")


async def test_a_share_holds_for_new_orders_only(services: Services, books: Books, club: Club) -> None:
    await set_sam(services, books, club, 40)
    orders = await charge(services, books, club)
    async with services.database.transaction() as conn:
        rows = await conn.execute(select(Order.id, Order.parent_id, Order.amount_cents, Order.product_id))
        told = {row.id: row for row in rows}
    assert told[books.order_id].amount_cents == 15000
    amounts = {payer: told[order].amount_cents for payer, order in orders.items()}
    assert amounts == {books.parent_id: 3901, await sams_id(services): 2600}
    assert len({told[order].product_id for order in orders.values()}) == 2
    await set_sam(services, books, club, 10)
    assert await charge(services, books, club) == {}


async def test_a_copy_reaches_the_guardian_who_reads_along(
    services: Services, mailbox: Mailbox, books: Books, club: Club, drain: Drain
) -> None:
    await set_sam(services, books, club)
    await sibling_owes(services, books)
    _, audience = await services.blasts.start(club, EVERYONE, note="", requested_by="U1")
    assert audience.total_cents == 17500
    await drain()
    payers, copy = mail_to(mailbox, "pat@example.com"), mail_to(mailbox, "sam@example.com")
    assert "Mia's tryout" in payers
    assert "You get a copy" not in payers
    assert "You get a copy; Pat Reed usually pays this" in copy
    assert "Monthly fee, Dec 2026" in copy
    assert "Mia" not in copy


async def test_with_a_share_each_gets_their_own_mail_only(
    services: Services, mailbox: Mailbox, books: Books, club: Club, drain: Drain
) -> None:
    await set_sam(services, books, club, 40)
    await charge(services, books, club)
    await services.blasts.start(club, EVERYONE, note="", requested_by="U1")
    await drain()
    pats, sams = mail_to(mailbox, "pat@example.com"), mail_to(mailbox, "sam@example.com")
    assert "$39.01" in pats
    assert "$26.00" in sams
    for word in ("$26.00", "Sam"):
        assert word not in pats
    for word in ("$39.01", "Pat", "Monthly fee", "You get a copy"):
        assert word not in sams


async def test_a_resend_sends_the_copy_too(
    services: Services, mailbox: Mailbox, books: Books, club: Club, drain: Drain
) -> None:
    await set_sam(services, books, club)
    receipt = await services.outbox.resend(club, (books.order_id,), "U1")
    assert [(mail.to_address, mail.is_copy) for mail in receipt.mails] == [
        ("pat@example.com", False),
        ("sam@example.com", True),
    ]
    await drain()
    assert "You get a copy; Pat Reed usually pays this" in mail_to(mailbox, "sam@example.com")
    with pytest.raises(AlreadyDoneError):
        await services.outbox.resend(club, (books.order_id,), "U2")
    await drain()
    assert len(mailbox.messages) == 2


async def test_a_resend_goes_to_whoever_pays_it(
    services: Services, mailbox: Mailbox, books: Books, club: Club, drain: Drain
) -> None:
    await set_sam(services, books, club, 40)
    orders = await charge(services, books, club)
    await services.outbox.resend(club, (orders[await sams_id(services)],), "U1")
    await drain()
    assert [mail.envelope_to for mail in mailbox.messages] == [("sam@example.com",)]
    mailbox.messages.clear()
    # Of what was sent just now, only what was not is sent again.
    receipt = await services.outbox.resend(club, (books.order_id, *orders.values()), "U1")
    await drain()
    assert [mail.to_address for mail in receipt.mails] == ["pat@example.com"]
    assert "$26.00" not in mail_to(mailbox, "pat@example.com")


async def test_nobody_gets_a_copy_once_it_was_stopped(
    services: Services, mailbox: Mailbox, books: Books, club: Club, drain: Drain
) -> None:
    await set_sam(services, books, club)
    await services.outbox.resend(club, (books.order_id,), "U1")
    async with services.database.transaction() as conn:
        await remove_second_guardian(conn, club, books.player_id, move_orders=False, actor="cli")
    await drain()
    assert [mail.envelope_to for mail in mailbox.messages] == [("pat@example.com",)]


async def test_a_copy_without_an_address_holds_nothing_up(
    services: Services, mailbox: Mailbox, books: Books, club: Club, drain: Drain
) -> None:
    await set_sam(services, books, club)
    async with services.database.transaction() as conn:
        await conn.execute(update(Parent).where(Parent.first_name == "Sam").values(email=None))
    receipt = await services.outbox.resend(club, (books.order_id,), "U1")
    await drain()
    assert (len(receipt.mails), receipt.not_sent) == (1, ())


async def test_statements_keep_the_two_apart(services: Services, books: Books, club: Club) -> None:
    await set_sam(services, books, club, 40)
    await charge(services, books, club)
    async with services.database.transaction() as conn:
        now = datetime.now(UTC)
        sams = await load_statement(conn, club, await sams_id(services), year=None, now=now)
        pats = await load_statement(conn, club, books.parent_id, year=None, now=now)
    assert (sams.closing_cents, pats.closing_cents) == (2600, 15000 + 3901)


async def test_who_still_owes_is_not_removed_or_replaced(services: Services, books: Books, club: Club) -> None:
    await set_sam(services, books, club, 40)
    await charge(services, books, club)
    async with services.database.transaction() as conn:
        with pytest.raises(InvalidInputError, match="--move-orders"):
            await remove_second_guardian(conn, club, books.player_id, move_orders=False, actor="cli")
        with pytest.raises(InvalidInputError, match="--move-orders"):
            await set_second_guardian(conn, club, books.player_id, Guardian("kim@example.com"), None, actor="cli")


async def test_what_is_owed_can_move_to_the_first_guardian(services: Services, books: Books, club: Club) -> None:
    await set_sam(services, books, club, 40)
    orders = await charge(services, books, club)
    sam = await sams_id(services)
    async with services.database.transaction() as conn:
        kit = new_item("Uniform kit", "generic", 20000)
        await charge_in_parts(
            conn, club, [books.player_id], kit, [date(2027, 1, 1), date(2027, 2, 1)], actor="cli"
        )
        change = await remove_second_guardian(conn, club, books.player_id, move_orders=True, actor="cli")
        theirs = await family_owes(conn, club.id, sam)
        pats = await family_owes(conn, club.id, books.parent_id)
    assert (change.is_changed, change.moved_orders, theirs) == (True, 3, [])
    assert sum(item.balance_cents for item in pats) == 15000 + 6501 + 20000
    assert orders[sam] in {item.order_id for item in pats}
    async with services.database.transaction() as conn:
        again = await remove_second_guardian(conn, club, books.player_id, move_orders=True, actor="cli")
        assert len((await conn.execute(select(InstalmentPlan))).all()) == 2
    assert not again.is_changed


async def test_a_bank_payment_on_its_way_is_waited_for(services: Services, books: Books, club: Club) -> None:
    await set_sam(services, books, club, 40)
    orders = await charge(services, books, club)
    async with services.database.transaction() as conn:
        await conn.execute(
            update(Order).where(Order.id == orders[await sams_id(services)]).values(status="processing")
        )
        with pytest.raises(InvalidInputError, match="on its way"):
            await remove_second_guardian(conn, club, books.player_id, move_orders=True, actor="cli")
