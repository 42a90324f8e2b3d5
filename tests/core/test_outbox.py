import asyncio

import pytest
from sqlalchemy import select, update

from core.club import Club, club_by_id
from core.errors import AlreadyDoneError, InvalidInputError
from core.models import EmailLog, Order, Parent, Player
from core.services import Services
from sandbox.mailbox import Mailbox, MailFault
from tests.books import Books, open_books
from tests.core.conftest import Drain


@pytest.fixture
async def books(services: Services) -> Books:
    async with services.database.transaction() as conn:
        return await open_books(conn)


@pytest.fixture
async def club(services: Services, books: Books) -> Club:
    async with services.database.transaction() as conn:
        return await club_by_id(conn, books.tenant_id)


async def statuses(services: Services) -> list[str]:
    async with services.database.transaction() as conn:
        return list(await conn.scalars(select(EmailLog.status).order_by(EmailLog.id)))


async def test_a_resend_reaches_the_parent_with_a_lasting_link(
    services: Services, mailbox: Mailbox, books: Books, club: Club, drain: Drain
) -> None:
    receipt = await services.outbox.resend(club, (books.order_id,), "U1")
    await drain()
    assert receipt.mails[0].to_address == "pat@example.com"
    assert [mail.envelope_to for mail in mailbox.messages] == [("pat@example.com",)]
    assert services.family_links.pay_url(club.id, books.order_id) in mailbox.messages[0].html
    assert await statuses(services) == ["sent"]


async def test_the_same_is_not_sent_twice_within_a_minute(
    services: Services, mailbox: Mailbox, books: Books, club: Club, drain: Drain
) -> None:
    pressed = [services.outbox.resend(club, (books.order_id,), f"U{n}") for n in range(5)]
    results = await asyncio.gather(*pressed, return_exceptions=True)
    assert sum(isinstance(result, AlreadyDoneError) for result in results) == 4
    await drain()
    assert len(mailbox.messages) == 1


async def test_a_refusal_for_now_is_tried_again(
    services: Services, mailbox: Mailbox, books: Books, club: Club, drain: Drain
) -> None:
    mailbox.faults.append(MailFault("tempfail"))
    await services.outbox.resend(club, (books.order_id,), "U1")
    await drain()
    assert len(mailbox.messages) == 1
    assert await statuses(services) == ["failed", "sent"]


async def test_a_refusal_for_good_is_kept_in_the_servers_words(
    services: Services, mailbox: Mailbox, books: Books, club: Club, drain: Drain
) -> None:
    mailbox.faults.append(MailFault("permfail", words="mailbox is full"))
    await services.outbox.resend(club, (books.order_id,), "U1")
    await drain()
    assert await statuses(services) == ["failed"]
    async with services.database.transaction() as conn:
        assert "mailbox is full" in (await conn.scalar(select(EmailLog.error)) or "")


async def test_an_accepted_mail_whose_answer_was_lost_is_uncertain_and_never_sent_again(
    services: Services, mailbox: Mailbox, books: Books, club: Club, drain: Drain
) -> None:
    mailbox.faults.append(MailFault("drop_after"))
    await services.outbox.resend(club, (books.order_id,), "U1")
    await drain()
    assert await statuses(services) == ["uncertain"]
    assert len(mailbox.messages) == 1


async def test_a_mail_left_behind_by_a_dead_process_is_uncertain(
    services: Services, mailbox: Mailbox, books: Books, club: Club
) -> None:
    await services.outbox.resend(club, (books.order_id,), "U1")
    async with services.database.transaction() as conn:
        log_id = await conn.scalar(update(EmailLog).values(status="sending").returning(EmailLog.id))
    await services.outbox.send(int(log_id or 0))
    assert await statuses(services) == ["uncertain"]
    assert mailbox.messages == []


async def test_nothing_is_sent_once_it_is_paid(
    services: Services, mailbox: Mailbox, books: Books, club: Club, drain: Drain
) -> None:
    await services.outbox.resend(club, (books.order_id,), "U1")
    async with services.database.transaction() as conn:
        await conn.execute(update(Order).values(status="paid"))
    await drain()
    assert mailbox.messages == []
    with pytest.raises(AlreadyDoneError, match="Nothing is owed"):
        await services.outbox.resend(club, (books.order_id,), "U1")


async def test_what_cannot_be_paid_is_not_mailed(services: Services, books: Books, club: Club) -> None:
    async with services.database.transaction() as conn:
        await conn.execute(update(Player).values(contract_status="sent"))
    with pytest.raises(InvalidInputError, match="contract"):
        await services.outbox.resend(club, (books.order_id,), "U1")


async def test_a_family_without_an_address_is_said_so(services: Services, books: Books, club: Club) -> None:
    async with services.database.transaction() as conn:
        await conn.execute(update(Parent).values(email=None))
    with pytest.raises(InvalidInputError, match="no e-mail address"):
        await services.outbox.resend(club, (books.order_id,), "U1")
