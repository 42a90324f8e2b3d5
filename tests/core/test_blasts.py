import asyncio
from collections import Counter
from dataclasses import replace

import pytest
from sqlalchemy import insert, select, update

from core.audiences import AudienceQuery
from core.blasts import load_blast
from core.club import Club, club_by_id
from core.errors import AlreadyDoneError, InvalidInputError, NotAllowedError
from core.models import Blast, BlastRecipient, EmailLog, Order, Parent, Player
from core.models.statuses import EmailType
from core.services import Services
from sandbox.mailbox import Mailbox, MailFault
from tests.books import Books, add, open_books
from tests.core.conftest import Drain

EVERYONE = AudienceQuery(EmailType.OUTSTANDING_BALANCE)
FAMILIES = 12


@pytest.fixture
async def books(services: Services) -> Books:
    async with services.database.transaction() as conn:
        books = await open_books(conn)
        for number in range(FAMILIES - 1):
            await another_family(conn, books, f"family{number}@example.com")
        return books


async def another_family(conn, books: Books, email: str | None, **player: object) -> int:  # type: ignore[no-untyped-def]  # noqa: ANN001
    parent_id = await add(conn, Parent, tenant_id=books.tenant_id, first_name="Sam", last_name="Lee", email=email)
    details = {"contract_status": "signed", "team_id": books.team_id} | player
    for name in ("Ana", "Bo"):
        player_id = await add(
            conn,
            Player,
            tenant_id=books.tenant_id,
            parent_id=parent_id,
            first_name=name,
            last_name="Lee",
            **details,
        )
        await conn.execute(
            insert(Order).values(
                tenant_id=books.tenant_id,
                player_id=player_id,
                parent_id=parent_id,
                product_id=books.product_id,
                amount_cents=10000,
            )
        )
    return parent_id


@pytest.fixture
async def club(services: Services, books: Books) -> Club:
    async with services.database.transaction() as conn:
        return await club_by_id(conn, books.tenant_id)


async def recipient_statuses(services: Services) -> Counter[str]:
    async with services.database.transaction() as conn:
        return Counter(await conn.scalars(select(BlastRecipient.status)))


async def blast_status(services: Services) -> str:
    async with services.database.transaction() as conn:
        return str(await conn.scalar(select(Blast.status)))


async def test_every_family_gets_one_mail_with_all_its_items(
    services: Services, mailbox: Mailbox, club: Club, drain: Drain
) -> None:
    blast_id, audience = await services.blasts.draft(club, EVERYONE, note="Thank you!", requested_by="U1")
    await drain()
    assert mailbox.messages == []
    await services.blasts.approve(club, blast_id, "U2")
    await drain()
    assert len(audience.recipients) == FAMILIES
    assert Counter(mail.envelope_to[0] for mail in mailbox.messages).most_common(1)[0][1] == 1
    assert len(mailbox.messages) == FAMILIES
    sibling_mail = next(mail for mail in mailbox.messages if mail.envelope_to == ("family0@example.com",))
    assert "Ana Lee" in sibling_mail.html
    assert "Bo Lee" in sibling_mail.html
    assert "Thank you!" in sibling_mail.text
    assert await blast_status(services) == "done"


async def test_one_approver_wins_and_the_other_learns_who(
    services: Services, mailbox: Mailbox, club: Club, drain: Drain
) -> None:
    blast_id, _ = await services.blasts.draft(club, EVERYONE, note="", requested_by="U1")
    presses = [services.blasts.approve(club, blast_id, f"U{n}") for n in range(6)]
    results = await asyncio.gather(*presses, return_exceptions=True)
    refused = [result for result in results if isinstance(result, AlreadyDoneError)]
    winner = f"U{results.index(None)}"
    assert len(refused) == 5
    assert all(winner in str(error) for error in refused)
    await drain()
    assert len(mailbox.messages) == FAMILIES


async def test_canceled_means_nobody_is_mailed(
    services: Services, mailbox: Mailbox, club: Club, drain: Drain
) -> None:
    blast_id, _ = await services.blasts.draft(club, EVERYONE, note="", requested_by="U1")
    await services.blasts.cancel(club, blast_id, "U2")
    with pytest.raises(AlreadyDoneError, match="canceled by U2"):
        await services.blasts.approve(club, blast_id, "U3")
    await drain()
    assert mailbox.messages == []


async def test_a_club_may_ask_for_two_people(services: Services, club: Club) -> None:
    strict = replace(club, two_person_approval=True)
    blast_id, _ = await services.blasts.draft(strict, EVERYONE, note="", requested_by="U1")
    with pytest.raises(NotAllowedError, match="two people"):
        await services.blasts.approve(strict, blast_id, "U1")
    await services.blasts.approve(strict, blast_id, "U2")


async def test_who_paid_meanwhile_is_not_mailed(
    services: Services, mailbox: Mailbox, books: Books, club: Club, drain: Drain
) -> None:
    blast_id, _ = await services.blasts.draft(club, EVERYONE, note="", requested_by="U1")
    async with services.database.transaction() as conn:
        await conn.execute(update(Order).where(Order.id == books.order_id).values(status="paid"))
    await services.blasts.approve(club, blast_id, "U2")
    await drain()
    assert "pat@example.com" not in [mail.envelope_to[0] for mail in mailbox.messages]
    assert await recipient_statuses(services) == {"sent": FAMILIES - 1, "skipped": 1}


async def test_who_cannot_be_mailed_is_left_out_with_the_reason(
    services: Services, books: Books, club: Club
) -> None:
    async with services.database.transaction() as conn:
        await another_family(conn, books, None)
        await another_family(conn, books, "later@example.com", contract_status="sent")
    audience = await services.blasts.preview(club, EVERYONE)
    assert sorted(skipped.reason for skipped in audience.skipped) == ["contract not signed", "no e-mail address"]
    assert len(audience.recipients) == FAMILIES


async def test_failures_are_shown_and_only_they_are_sent_again(
    services: Services, mailbox: Mailbox, club: Club, drain: Drain
) -> None:
    mailbox.faults.append(MailFault("permfail", times=2, words="no such mailbox"))
    mailbox.faults.append(MailFault("drop_after"))
    blast_id, _ = await services.blasts.start(club, EVERYONE, note="", requested_by="cli")
    await drain()
    assert await recipient_statuses(services) == {"sent": FAMILIES - 3, "failed": 2, "uncertain": 1}
    async with services.database.transaction() as conn:
        view = await load_blast(conn, club.id, blast_id)
    assert any("no such mailbox" in failure.reason for failure in view.failures)
    assert await services.blasts.retry_failed(club, blast_id, "U2") == 2
    await drain()
    assert await recipient_statuses(services) == {"sent": FAMILIES - 1, "uncertain": 1}
    assert Counter(mail.envelope_to[0] for mail in mailbox.messages).most_common(1)[0][1] == 1
    assert await blast_status(services) == "done"
    with pytest.raises(AlreadyDoneError):
        await services.blasts.retry_failed(club, blast_id, "U2")


async def test_a_refused_address_is_marked_and_another_reason_is_not(
    services: Services, mailbox: Mailbox, club: Club, drain: Drain
) -> None:
    mailbox.faults.append(MailFault("permfail", recipient="pat@example.com"))
    mailbox.faults.append(MailFault("permfail", words="too many links"))
    await services.blasts.start(club, EVERYONE, note="", requested_by="cli")
    await drain()
    assert await recipient_statuses(services) == {"sent": FAMILIES - 2, "failed": 2}
    async with services.database.transaction() as conn:
        marked = await conn.execute(
            select(Parent.email, Parent.email_problem).where(Parent.email_problem.is_not(None))
        )
        (family,) = marked.all()
    assert family.email == "pat@example.com"
    assert "no such mailbox here" in family.email_problem


async def test_refusals_for_now_are_tried_again(
    services: Services, mailbox: Mailbox, club: Club, drain: Drain
) -> None:
    mailbox.faults.append(MailFault("tempfail", times=3))
    await services.blasts.start(club, EVERYONE, note="", requested_by="cli")
    await drain()
    assert await recipient_statuses(services) == {"sent": FAMILIES}
    async with services.database.transaction() as conn:
        logs = Counter(await conn.scalars(select(EmailLog.status)))
    assert logs == {"sent": FAMILIES, "failed": 3}


async def test_a_claim_left_behind_is_uncertain(
    services: Services, mailbox: Mailbox, books: Books, club: Club
) -> None:
    blast_id, _ = await services.blasts.start(club, EVERYONE, note="", requested_by="cli")
    async with services.database.transaction() as conn:
        await conn.execute(
            update(BlastRecipient).where(BlastRecipient.parent_id == books.parent_id).values(status="sending")
        )
    await services.blast_sender.send(blast_id, books.parent_id)
    assert (await recipient_statuses(services))["uncertain"] == 1
    assert mailbox.messages == []


async def test_an_empty_audience_is_refused(services: Services, club: Club) -> None:
    query = AudienceQuery(EmailType.OUTSTANDING_BALANCE, email="nobody@example.com")
    with pytest.raises(InvalidInputError, match="Nobody"):
        await services.blasts.draft(club, query, note="", requested_by="U1")


async def drafted(services: Services, club: Club, query: AudienceQuery = EVERYONE) -> int:
    blast_id, _ = await services.blasts.draft(club, query, note="", requested_by="U1")
    return blast_id


async def test_of_two_drafts_for_the_same_families_one_goes_out(
    services: Services, mailbox: Mailbox, club: Club, drain: Drain
) -> None:
    first, second = await drafted(services, club), await drafted(services, club)
    await services.blasts.approve(club, first, "U2")
    with pytest.raises(
        AlreadyDoneError, match=f"U2 approved another mail to {FAMILIES} of these families"
    ) as told:
        await services.blasts.approve(club, second, "U3")
    assert "draft it again" in str(told.value)
    assert told.value.people == ("U2",)
    await drain()
    with pytest.raises(AlreadyDoneError, match="U2 approved another mail"):
        await services.blasts.approve(club, second, "U3")
    assert len(mailbox.messages) == FAMILIES
    await services.blasts.cancel(club, second, "U3")
    await services.blasts.approve(club, await drafted(services, club), "U3")
    await drain()
    assert len(mailbox.messages) == 2 * FAMILIES


async def test_one_family_in_common_is_enough(services: Services, club: Club) -> None:
    one = AudienceQuery(EmailType.OUTSTANDING_BALANCE, email="pat@example.com")
    everyone, pats = await drafted(services, club), await drafted(services, club, one)
    await services.blasts.approve(club, pats, "U2")
    with pytest.raises(AlreadyDoneError, match="another mail to 1 of these families"):
        await services.blasts.approve(club, everyone, "U3")


async def test_drafts_for_different_families_both_go_out(
    services: Services, mailbox: Mailbox, club: Club, drain: Drain
) -> None:
    addresses = ("family0@example.com", "family1@example.com")
    queries = [AudienceQuery(EmailType.OUTSTANDING_BALANCE, email=address) for address in addresses]
    for blast_id in [await drafted(services, club, query) for query in queries]:
        await services.blasts.approve(club, blast_id, "U2")
    await drain()
    assert sorted(mail.envelope_to[0] for mail in mailbox.messages) == sorted(addresses)


async def test_mails_of_another_kind_are_no_second_mail(services: Services, club: Club) -> None:
    first, second = await drafted(services, club), await drafted(services, club)
    async with services.database.transaction() as conn:
        await conn.execute(update(Blast).where(Blast.id == first).values(kind=EmailType.FIRST_PAYMENT))
    await services.blasts.approve(club, first, "U2")
    await services.blasts.approve(club, second, "U3")


async def test_one_that_was_canceled_before_it_began_is_no_hindrance(
    services: Services, mailbox: Mailbox, club: Club, drain: Drain
) -> None:
    first, second = await drafted(services, club), await drafted(services, club)
    await services.blasts.approve(club, first, "U2")
    await services.blasts.cancel(club, first, "U2")
    await services.blasts.approve(club, second, "U3")
    await drain()
    assert len(mailbox.messages) == FAMILIES


async def test_one_that_was_stopped_half_way_is(services: Services, books: Books, club: Club) -> None:
    first, second = await drafted(services, club), await drafted(services, club)
    await services.blasts.approve(club, first, "U2")
    await services.blast_sender.send(first, books.parent_id)
    await services.blasts.cancel(club, first, "U2")
    with pytest.raises(AlreadyDoneError, match="another mail to 1 of these families"):
        await services.blasts.approve(club, second, "U3")


async def test_a_family_that_was_left_out_does_not_count(services: Services, books: Books, club: Club) -> None:
    pats = AudienceQuery(EmailType.OUTSTANDING_BALANCE, email="pat@example.com")
    first, second = await drafted(services, club, pats), await drafted(services, club, pats)
    await services.blasts.approve(club, first, "U2")
    async with services.database.transaction() as conn:
        await conn.execute(update(Order).where(Order.id == books.order_id).values(status="paid"))
    await services.blast_sender.send(first, books.parent_id)
    await services.blasts.approve(club, second, "U3")


async def test_of_two_that_start_at_once_one_goes_out(
    services: Services, mailbox: Mailbox, club: Club, drain: Drain
) -> None:
    starts = [services.blasts.start(club, EVERYONE, note="", requested_by="cli") for _ in range(2)]
    results = await asyncio.gather(*starts, return_exceptions=True)
    (refused,) = [result for result in results if isinstance(result, Exception)]
    assert isinstance(refused, AlreadyDoneError)
    assert "Nothing was sent" in str(refused)
    await drain()
    assert len(mailbox.messages) == FAMILIES
