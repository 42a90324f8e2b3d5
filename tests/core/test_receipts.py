"""A receipt for each payment, once a person; nothing for what was no money or was undone."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from bs4 import BeautifulSoup
from sqlalchemy import func, insert, select, text, update

from core.models import EmailLog, Order, Parent, Payment, Player, Tenant
from core.models.statuses import EmailType, PaymentMethod
from core.payments import Income, lock_order, record_payment, refresh_status
from core.rendering import Brand, MailItem, MailRenderer, ReceiptMail, build_environment
from core.services import Services
from sandbox.mailbox import Mailbox, MailFault
from tests.books import Books, add, open_books
from tests.core.conftest import Drain
from tests.statements import counted
from tests.web.kit import session_event

PAID_AT = datetime(2026, 12, 1, 3, 30, tzinfo=UTC)  # still November in New York


@pytest.fixture
async def books(services: Services) -> Books:
    async with services.database.transaction() as conn:
        return await open_books(conn)


async def take(
    services: Services, books: Books, cents: int = 15000, method: PaymentMethod = PaymentMethod.CASH, **given: str
) -> int:
    """Record money by hand, as the desk does."""
    async with services.database.transaction() as conn:
        order = await lock_order(conn, books.order_id)
        assert order is not None
        income = Income(cents, method, PAID_AT, recorded_by="U1", **given)
        payment_id = await record_payment(conn, order, income)
        assert payment_id is not None
        await refresh_status(conn, order, "test")
        await services.jobs.send_receipts(conn, payment_id)
    return payment_id


async def second_guardian(services: Services, books: Books, share: int | None = None) -> int:
    async with services.database.transaction() as conn:
        other = await add(
            conn, Parent, tenant_id=books.tenant_id, first_name="Sam", last_name="Reed", email="sam@example.com"
        )
        await conn.execute(update(Player).values(second_parent_id=other, second_share_percent=share))
    return other


async def logged(services: Services) -> list[tuple[str, str, str | None]]:
    async with services.database.transaction() as conn:
        rows = await conn.execute(
            select(EmailLog.to_address, EmailLog.status, EmailLog.error).order_by(EmailLog.id)
        )
        return [(row.to_address, row.status, row.error) for row in rows]


async def test_a_payment_through_stripe_has_a_receipt(
    services: Services, mailbox: Mailbox, books: Books, drain: Drain
) -> None:
    told = session_event(order_id=books.order_id, payment_link=None)
    await services.stripe_events.ingest(told, b"{}")
    await drain()
    (mail,) = mailbox.messages
    assert mail.envelope_to == ("pat@example.com",)
    assert mail.subject == "River City FC: your receipt for Jaxon ($150.00)"
    for words in ("$150.00", "Monthly fee, Dec 2026", "Jaxon Reed", "card", "Nothing"):
        assert words in mail.html
        assert words in mail.text
    assert services.family_links.balance_url(books.tenant_id, books.parent_id) in mail.text
    assert services.family_links.statement_url(books.tenant_id, books.parent_id) in mail.html
    assert services.family_links.pay_url(books.tenant_id, books.order_id) not in mail.html


async def test_the_payments_transaction_pays_one_statement_for_it(services: Services, books: Books) -> None:
    async with services.database.transaction() as conn:
        await conn.execute(update(Tenant).values(sends_receipts=False))
    async with services.database.transaction() as conn:
        with counted(services.database) as statements:
            await services.jobs.send_receipts(conn, 1)
    assert len(statements) == 1
    assert "procrastinate_defer_jobs" in statements[0]


async def test_a_part_payment_says_what_is_left_and_where_to_pay_it(
    services: Services, mailbox: Mailbox, books: Books, drain: Drain
) -> None:
    await take(services, books, 6000, PaymentMethod.CHECK, reference="1041")
    await drain()
    (mail,) = mailbox.messages
    for words in ("$60.00", "check 1041", "$90.00", "Nov 30, 2026"):
        assert words in mail.html
        assert words in mail.text
    assert services.family_links.pay_url(books.tenant_id, books.order_id) in mail.html


async def test_a_second_payment_says_that_it_was_too_much(
    services: Services, mailbox: Mailbox, books: Books, drain: Drain
) -> None:
    await take(services, books)
    await drain()
    await take(services, books)
    await drain()
    assert "$150.00 more than was owed" in mailbox.messages[1].text


async def test_who_reads_along_gets_a_copy(
    services: Services, mailbox: Mailbox, books: Books, drain: Drain
) -> None:
    other = await second_guardian(services, books)
    await take(services, books)
    await drain()
    mails = {mail.envelope_to[0]: mail for mail in mailbox.messages}
    assert set(mails) == {"pat@example.com", "sam@example.com"}
    assert "received a payment from Pat Reed. This is your copy" in mails["sam@example.com"].text
    assert services.family_links.balance_url(books.tenant_id, other) in mails["sam@example.com"].text
    assert "Thank you! This is your receipt." in mails["pat@example.com"].text


async def test_a_guardian_with_a_share_sees_nothing_of_the_others(
    services: Services, mailbox: Mailbox, books: Books, drain: Drain
) -> None:
    await second_guardian(services, books, share=40)
    await take(services, books)
    await drain()
    assert [mail.envelope_to for mail in mailbox.messages] == [("pat@example.com",)]


async def turn_off(services: Services, _books: Books) -> None:
    async with services.database.transaction() as conn:
        await conn.execute(update(Tenant).values(sends_receipts=False))


async def forget_address(services: Services, _books: Books) -> None:
    async with services.database.transaction() as conn:
        await conn.execute(update(Parent).values(email=None))


@pytest.mark.parametrize("meanwhile", [turn_off, forget_address])
async def test_none_where_the_club_sends_none_or_there_is_no_address(
    meanwhile: Callable[..., object], services: Services, mailbox: Mailbox, books: Books, drain: Drain
) -> None:
    await meanwhile(services, books)  # type: ignore[misc] # both are coroutines
    await take(services, books)
    await drain()
    assert (mailbox.messages, await logged(services)) == ([], [])


async def test_a_waiver_and_a_refund_have_none(
    services: Services, mailbox: Mailbox, books: Books, drain: Drain
) -> None:
    await take(services, books, 5000, PaymentMethod.WAIVER, reference="hardship")
    async with services.database.transaction() as conn:
        refund = await conn.scalar(
            insert(Payment)
            .values(order_id=books.order_id, amount_cents=-5000, method="card", stripe_refund_id="re_test_1")
            .returning(Payment.id)
        )
        await services.jobs.send_receipts(conn, int(refund or 0))
    await drain()
    assert mailbox.messages == []


async def undo(services: Services, payment_id: int) -> None:
    async with services.database.transaction() as conn:
        paid = (await conn.execute(select(Payment.order_id, Payment.amount_cents, Payment.method))).first()
        assert paid is not None
        await add(
            conn,
            Payment,
            order_id=paid.order_id,
            amount_cents=-paid.amount_cents,
            method=paid.method,
            voids_payment_id=payment_id,
        )


async def test_what_was_undone_before_it_went_out_has_none(
    services: Services, mailbox: Mailbox, books: Books, drain: Drain
) -> None:
    await undo(services, await take(services, books))
    await drain()
    assert (mailbox.messages, await logged(services)) == ([], [])


async def test_what_was_undone_while_the_mail_waited_is_not_sent(
    services: Services, mailbox: Mailbox, books: Books
) -> None:
    payment_id = await take(services, books)
    await services.receipts.queue(payment_id)
    await undo(services, payment_id)
    async with services.database.transaction() as conn:
        log_id = await conn.scalar(select(EmailLog.id))
    await services.outbox.send(int(log_id or 0))
    assert mailbox.messages == []
    ((_, status, error),) = await logged(services)
    assert (status, "no receipt for it any more" in (error or "")) == ("failed", True)


async def test_jobs_that_run_twice_at_once_write_one_receipt(
    services: Services, mailbox: Mailbox, books: Books, drain: Drain
) -> None:
    await second_guardian(services, books)
    payment_id = await take(services, books)
    await asyncio.gather(*(services.receipts.queue(payment_id) for _ in range(5)))
    await drain()
    await services.receipts.queue(payment_id)
    await drain()
    assert len(mailbox.messages) == 2
    assert [status for _, status, _ in await logged(services)] == ["sent", "sent"]


async def test_a_refusal_for_now_is_tried_again_as_the_same_receipt(
    services: Services, mailbox: Mailbox, books: Books, drain: Drain
) -> None:
    mailbox.faults.append(MailFault("tempfail"))
    payment_id = await take(services, books)
    await drain()
    assert len(mailbox.messages) == 1
    async with services.database.transaction() as conn:
        rows = (await conn.execute(select(EmailLog.payment_id, EmailLog.attempt).order_by(EmailLog.id))).all()
    assert [tuple(row) for row in rows] == [(payment_id, 1), (payment_id, 2)]


def test_names_arrive_intact_and_harmless() -> None:
    odd = "O\N{RIGHT SINGLE QUOTATION MARK}Neill <b>&\"'\u00e9{{ 7 * 7 }}"
    mail = ReceiptMail(
        kind=EmailType.RECEIPT,
        brand=Brand(odd, "#0b6e4f", None),
        currency="usd",
        greeting_name=odd,
        items=(MailItem(odd, odd, 9000, None, "http://club.test/pay/a"),),
        total_cents=6000,
        balance_url="http://club.test/balance/b",
        today=PAID_AT.date(),
        paid_on=PAID_AT.date(),
        method=f"check {odd}",
        left_cents=9000,
        statement_url="http://club.test/statement/c",
        copy_of=odd,
    )
    rendered = MailRenderer(build_environment()).render(mail)
    page = BeautifulSoup(rendered.html, "html.parser")
    assert page.find("b") is None
    for words in (page.get_text(), rendered.text):
        assert words.count(odd) >= 6
    assert "\n" not in rendered.subject


async def problem_of(services: Services) -> tuple[str | None, datetime | None]:
    async with services.database.transaction() as conn:
        row = (await conn.execute(select(Parent.email_problem, Parent.email_problem_at))).one()
        return row.email_problem, row.email_problem_at


async def test_a_refused_address_is_marked_and_the_next_mail_clears_it(
    services: Services, mailbox: Mailbox, books: Books, drain: Drain
) -> None:
    mailbox.faults.append(MailFault("permfail", recipient="pat@example.com"))
    await take(services, books, 5000)
    await drain()
    problem, at = await problem_of(services)
    assert "550 5.1.1 no such mailbox here" in (problem or "")
    assert at is not None
    assert datetime.now(UTC) - at < timedelta(minutes=1)
    await take(services, books, 5000)
    await drain()
    assert await problem_of(services) == (None, None)


async def test_a_refusal_that_is_not_the_addresss_fault_leaves_no_mark(
    services: Services, mailbox: Mailbox, books: Books, drain: Drain
) -> None:
    mailbox.faults.append(MailFault("permfail", words="message looks like spam"))
    await take(services, books, 5000)
    await drain()
    assert [status for _, status, _ in await logged(services)] == ["failed"]
    assert await problem_of(services) == (None, None)


async def test_another_address_clears_the_mark_and_the_same_one_does_not(services: Services, books: Books) -> None:
    async with services.database.transaction() as conn:
        await conn.execute(update(Parent).values(email_problem="refused", email_problem_at=func.now()))
        await conn.execute(update(Parent).values(email="PAT@example.com", last_name="Reed-Lee"))
    assert (await problem_of(services))[0] == "refused"
    async with services.database.transaction() as conn:
        await conn.execute(text("update parents set email = 'pat.new@example.com'"))
    assert await problem_of(services) == (None, None)


async def test_a_late_refusal_says_nothing_of_the_new_address(
    services: Services, mailbox: Mailbox, books: Books, drain: Drain
) -> None:
    mailbox.faults.append(MailFault("permfail", recipient="pat@example.com"))
    payment_id = await take(services, books, 5000)
    await services.receipts.queue(payment_id)
    async with services.database.transaction() as conn:
        await conn.execute(update(Parent).values(email="pat.new@example.com"))
    await drain()
    assert await problem_of(services) == (None, None)
    assert [(to, status) for to, status, _ in await logged(services)] == [("pat@example.com", "failed")]


async def test_what_is_not_an_address_is_marked_too(
    services: Services, mailbox: Mailbox, books: Books, drain: Drain
) -> None:
    async with services.database.transaction() as conn:
        await conn.execute(update(Parent).values(email="pat at home"))
        await conn.execute(update(Order).values(description="Jersey"))
    await take(services, books, 5000)
    await drain()
    assert "not an e-mail address" in ((await problem_of(services))[0] or "")
