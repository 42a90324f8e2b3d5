"""A day's reminders: who gets them, when, and what happens when days are missed, doubled or left undecided."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.engine import URL

from core.audiences import AudienceQuery
from core.clock import Clock
from core.club import Club, club_by_id
from core.errors import AlreadyDoneError, InvalidInputError
from core.holds import lift_hold, set_hold
from core.models import Blast, BlastRecipient, EmailLog, Order, Parent, Player, ReminderRule, ReminderRun
from core.models.statuses import EmailType
from core.reminder_rules import change_rules, load_rules, switch
from core.reminders import NextReminders
from core.services import Services, build_services
from sandbox.mailbox import Mailbox
from tests.books import Books, add, open_books
from tests.core.conftest import Drain
from tests.statements import counted

HERE = ZoneInfo("America/New_York")
# A Monday.
MONDAY = date(2026, 11, 30)
ACTOR = "U0ADMIN"


class HandClock:
    """Shows what it is set to; the club's own time."""

    def __init__(self) -> None:
        self.now = at(MONDAY)

    def __call__(self) -> datetime:
        return self.now


def at(day: date, clock_time: time = time(9)) -> datetime:
    return datetime.combine(day, clock_time, HERE).astimezone(UTC)


def days(number: int) -> date:
    return MONDAY + timedelta(days=number)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def services(services: Services, database_url: URL, clock: Clock) -> AsyncIterator[Services]:
    """The same services, with a clock that the test sets."""
    timed = build_services(services.settings, database_url, clock=clock)
    yield timed
    await timed.close()


@pytest.fixture
async def books(services: Services) -> Books:
    async with services.database.transaction() as conn:
        return await open_books(conn)


@pytest.fixture
async def club(services: Services, books: Books, clock: HandClock) -> Club:
    """Reminders are on since Sunday, without approval; the one family's fee is due on Tuesday, December 1."""
    async with services.database.transaction() as conn:
        club = await club_by_id(conn, books.tenant_id)
        await change_rules(conn, club, {"needs_approval": False}, actor=ACTOR)
        await switch(conn, club, on=True, actor=ACTOR, now=at(MONDAY, time(8)))
    return club


async def run_on(services: Services, clock: HandClock, club: Club, day: date, clock_time: time = time(9)) -> None:
    clock.now = at(day, clock_time)
    await services.reminders.run_due(club.id)


async def send(services: Services, clock: HandClock) -> None:
    """Send what may be sent now, as the background does, and date the mails by the test's clock."""
    async with services.database.transaction() as conn:
        waiting = await conn.execute(
            select(BlastRecipient.blast_id, BlastRecipient.parent_id)
            .join(Blast, Blast.id == BlastRecipient.blast_id)
            .where(BlastRecipient.status == "pending", Blast.status.in_(["approved", "sending"]))
        )
        rows = waiting.all()
        last = await conn.scalar(select(EmailLog.id).order_by(EmailLog.id.desc()).limit(1)) or 0
    for blast_id, parent_id in rows:
        await services.blast_sender.send(blast_id, parent_id)
    async with services.database.transaction() as conn:
        await conn.execute(update(EmailLog).where(EmailLog.id > last).values(created_at=clock.now))


async def mailed(services: Services) -> list[tuple[date, str]]:
    async with services.database.transaction() as conn:
        rows = await conn.execute(select(EmailLog.created_at, EmailLog.to_address).order_by(EmailLog.id))
        return [(row.created_at.astimezone(HERE).date(), row.to_address) for row in rows]


async def skipped(services: Services) -> dict[int, str]:
    async with services.database.transaction() as conn:
        rows = await conn.execute(
            select(BlastRecipient.parent_id, BlastRecipient.error).where(BlastRecipient.status == "skipped")
        )
        return {row.parent_id: row.error for row in rows}


async def add_family(
    services: Services, books: Books, email: str | None, due: date | None, **player: object
) -> int:
    async with services.database.transaction() as conn:
        parent_id = await add(
            conn, Parent, tenant_id=books.tenant_id, first_name="Sam", last_name="Lee", email=email
        )
        player_id = await add(
            conn,
            Player,
            tenant_id=books.tenant_id,
            parent_id=parent_id,
            first_name="Ana",
            last_name="Lee",
            **{"contract_status": "signed"} | player,
        )
        await add_order(conn, books, player_id, parent_id, due)
    return parent_id


async def add_order(conn, books: Books, player_id: int, parent_id: int, due: date | None) -> int:  # type: ignore[no-untyped-def]  # noqa: ANN001
    return await add(
        conn,
        Order,
        tenant_id=books.tenant_id,
        player_id=player_id,
        parent_id=parent_id,
        description=f"Fee of {due}",
        amount_cents=5000,
        due_date=due,
    )


async def upcoming(services: Services, club: Club, on: date | None = None) -> NextReminders:
    async with services.database.transaction(keep=False) as conn:
        return await services.reminders.next(conn, club, on)


async def test_a_family_is_reminded_the_day_after_and_not_in_between(
    services: Services, clock: HandClock, club: Club
) -> None:
    for number in range(10):
        await run_on(services, clock, club, days(number))
        await send(services, clock)
    # Due on Tuesday: the day after is Wednesday, seven days after the next Tuesday.
    assert await mailed(services) == [(days(2), "pat@example.com"), (days(8), "pat@example.com")]


async def test_what_several_processes_try_is_made_once(services: Services, clock: HandClock, club: Club) -> None:
    clock.now = at(days(2))
    await asyncio.gather(*(services.reminders.run_due(club.id) for _ in range(6)))
    clock.now = at(days(2), time(15))
    await services.reminders.run_due(club.id)
    async with services.database.transaction() as conn:
        assert len(list(await conn.scalars(select(Blast.id)))) == 1
        assert list(await conn.scalars(select(ReminderRun.run_on))) == [days(2)]


async def test_siblings_share_a_mail_and_only_what_is_near_is_listed(
    services: Services, clock: HandClock, club: Club, books: Books, mailbox: Mailbox
) -> None:
    async with services.database.transaction() as conn:
        sibling = await add(
            conn,
            Player,
            tenant_id=books.tenant_id,
            parent_id=books.parent_id,
            first_name="Ida",
            last_name="Reed",
            contract_status="signed",
        )
        for due in (days(5), days(30), days(-60), None):
            await add_order(conn, books, sibling, books.parent_id, due)
    await run_on(services, clock, club, days(2))
    await send(services, clock)
    (mail,) = mailbox.messages
    assert "$300.00 due for Ida and Jaxon" in mail.subject
    for near in (days(5), days(-60), None):
        assert f"Fee of {near}" in mail.text
    assert f"Fee of {days(30)}" not in mail.text


async def test_missed_days_are_made_up_for_once(services: Services, clock: HandClock, club: Club) -> None:
    await run_on(services, clock, club, days(9))
    await send(services, clock)
    await run_on(services, clock, club, days(10))
    await send(services, clock)
    assert await mailed(services) == [(days(9), "pat@example.com")]


async def test_a_weekends_reminders_come_on_monday(
    services: Services, clock: HandClock, club: Club, books: Books
) -> None:
    async with services.database.transaction() as conn:
        await conn.execute(update(Order).values(due_date=days(4)))
    for number in range(8):
        await run_on(services, clock, club, days(number))
        await send(services, clock)
    # Three days before Friday is Tuesday; the day after is Saturday.
    assert await mailed(services) == [(days(1), "pat@example.com"), (days(7), "pat@example.com")]


@pytest.mark.parametrize("clock_time", [time(8, 59), time(20), time(23, 30), time(0, 30)])
async def test_before_the_time_and_in_quiet_hours_nothing_is_made(
    services: Services, clock: HandClock, club: Club, clock_time: time
) -> None:
    await run_on(services, clock, club, days(2), clock_time)
    assert await mailed(services) == []
    async with services.database.transaction() as conn:
        assert await conn.scalar(select(ReminderRun.run_on)) is None


async def test_a_clock_set_back_or_forward_doubles_nothing(
    services: Services, clock: HandClock, club: Club
) -> None:
    for number in (2, 8, 2, 3, 7, 8, 9):
        await run_on(services, clock, club, days(number))
        await send(services, clock)
    assert [day for day, _ in await mailed(services)] == [days(2), days(8)]


async def test_a_mail_just_before_makes_the_reminder_wait(
    services: Services, clock: HandClock, club: Club, books: Books
) -> None:
    clock.now = at(days(1), time(15))
    await services.outbox.resend(club, (books.order_id,), ACTOR)
    async with services.database.transaction() as conn:
        await conn.execute(update(EmailLog).values(created_at=clock.now, status="sent"))
    for number in (2, 3, 4):
        await run_on(services, clock, club, days(number))
        await send(services, clock)
    assert [day for day, _ in await mailed(services)] == [days(1), days(3)]


@pytest.mark.parametrize(
    ("status", "email_type", "expected"),
    [
        ("sent", "receipt", 2),
        ("failed", "payment_link", 2),
        ("uncertain", "payment_link", 3),
        ("queued", "first_payment", 3),
    ],
)
async def test_only_mails_about_money_that_went_out_count(
    services: Services, clock: HandClock, club: Club, books: Books, status: str, email_type: str, expected: int
) -> None:
    async with services.database.transaction() as conn:
        await conn.execute(
            insert(EmailLog).values(
                tenant_id=books.tenant_id,
                parent_id=books.parent_id,
                email_type=email_type,
                status=status,
                to_address="pat@example.com",
                subject="…",
                created_at=at(days(1), time(23, 59)),
            )
        )
    for number in (2, 3):
        await run_on(services, clock, club, days(number))
        await send(services, clock)
    assert (await mailed(services))[-1][0] == days(expected)


async def test_who_pays_while_waiting_is_not_reminded(
    services: Services, clock: HandClock, club: Club, books: Books
) -> None:
    clock.now = at(days(1), time(15))
    await services.outbox.resend(club, (books.order_id,), ACTOR)
    async with services.database.transaction() as conn:
        await conn.execute(update(EmailLog).values(created_at=clock.now, status="sent"))
    await run_on(services, clock, club, days(2))
    assert (await upcoming(services, club)).rules.waiting == {books.parent_id: days(-1)}
    async with services.database.transaction() as conn:
        await conn.execute(update(Order).values(status="paid"))
    await run_on(services, clock, club, days(3))
    assert len(await mailed(services)) == 1
    assert (await upcoming(services, club)).rules.waiting == {}


async def test_who_is_left_out_is_named_with_the_reason(
    services: Services, clock: HandClock, club: Club, books: Books
) -> None:
    due = days(1)
    no_address = await add_family(services, books, None, due)
    unsigned = await add_family(services, books, "later@example.com", due, contract_status="sent")
    held = await add_family(services, books, "held@example.com", due)
    paying = await add_family(services, books, "bank@example.com", due)
    async with services.database.transaction() as conn:
        await conn.execute(update(Order).where(Order.parent_id == paying).values(status="processing"))
        monthly = {"product_id": books.product_id}
        await conn.execute(update(Order).where(Order.parent_id == unsigned).values(monthly))
        await set_hold(conn, club, held, None, "Talking with them", actor=ACTOR, now=clock())
    await run_on(services, clock, club, days(2))
    assert await skipped(services) == {
        no_address: "no e-mail address",
        unsigned: "contract not signed",
        held: "reminders are on hold",
        paying: "a bank payment is on its way",
    }


async def test_a_hold_keeps_copies_from_the_second_guardian_too_and_ends_by_itself(
    services: Services, clock: HandClock, club: Club, books: Books
) -> None:
    async with services.database.transaction() as conn:
        second = await add(conn, Parent, tenant_id=books.tenant_id, first_name="Sam", email="sam@example.com")
        await conn.execute(update(Player).values(second_parent_id=second))
        await set_hold(conn, club, books.parent_id, days(7), "Talking", actor=ACTOR, now=clock())
    await run_on(services, clock, club, days(2))
    await send(services, clock)
    assert await mailed(services) == []
    await run_on(services, clock, club, days(8))
    await send(services, clock)
    assert sorted(await mailed(services)) == [(days(8), "pat@example.com"), (days(8), "sam@example.com")]


async def test_a_hold_set_before_the_sending_stops_the_mail(
    services: Services, clock: HandClock, club: Club, books: Books
) -> None:
    await run_on(services, clock, club, days(2))
    async with services.database.transaction() as conn:
        await set_hold(conn, club, books.parent_id, None, "Talking", actor=ACTOR, now=clock())
    await send(services, clock)
    assert await mailed(services) == []
    assert await skipped(services) == {books.parent_id: "reminders are on hold"}
    async with services.database.transaction() as conn:
        await lift_hold(conn, club, books.parent_id, actor=ACTOR, now=clock())
    await run_on(services, clock, club, days(8))
    await send(services, clock)
    assert [day for day, _ in await mailed(services)] == [days(8)]


async def test_another_mail_before_the_sending_postpones_the_reminder(
    services: Services, clock: HandClock, club: Club, books: Books
) -> None:
    await run_on(services, clock, club, days(2))
    await services.outbox.resend(club, (books.order_id,), ACTOR)
    async with services.database.transaction() as conn:
        await conn.execute(update(EmailLog).values(created_at=clock.now, status="sent"))
    await send(services, clock)
    assert await skipped(services) == {books.parent_id: "mailed a short while ago"}
    for number in (3, 4):
        await run_on(services, clock, club, days(number))
        await send(services, clock)
    assert [day for day, _ in await mailed(services)] == [days(2), days(4)]


async def test_mails_wait_for_the_end_of_quiet_hours_and_for_a_day_that_is_allowed(
    services: Services, clock: HandClock, club: Club, mailbox: Mailbox
) -> None:
    async with services.database.transaction() as conn:
        await conn.execute(update(Order).values(due_date=days(3)))
    await run_on(services, clock, club, days(4), time(19, 59))
    clock.now = at(days(4), time(20))
    await send(services, clock)
    async with services.database.transaction() as conn:
        recipient = (await conn.execute(select(BlastRecipient.status, BlastRecipient.attempts))).one()
        assert tuple(recipient) == ("pending", 0)
    # Saturday noon is no quiet hour, but no day for reminders either.
    clock.now = at(days(5), time(12))
    await send(services, clock)
    assert mailbox.messages == []
    clock.now = at(days(7), time(8))
    await send(services, clock)
    assert await mailed(services) == [(days(7), "pat@example.com")]


async def test_with_approval_nothing_goes_out_before_somebody_says_so(
    services: Services, clock: HandClock, club: Club
) -> None:
    await needs_approval(services, club)
    await run_on(services, clock, club, days(2))
    await send(services, clock)
    assert await mailed(services) == []
    async with services.database.transaction() as conn:
        blast = (await conn.execute(select(Blast.id, Blast.status, Blast.requested_by, Blast.audience))).one()
        assert await conn.scalar(select(ReminderRun.status)) == "waiting"
    assert (blast.status, blast.requested_by) == ("draft", "reminders")
    assert blast.audience["triggers"] == {"1": 1}
    await services.blasts.approve(club, blast.id, ACTOR)
    await send(services, clock)
    await run_on(services, clock, club, days(3))
    await send(services, clock)
    assert await mailed(services) == [(days(2), "pat@example.com")]
    async with services.database.transaction() as conn:
        runs = await conn.scalars(select(ReminderRun.status).order_by(ReminderRun.run_on))
        assert list(runs) == ["sent", "nobody"]


async def needs_approval(services: Services, club: Club) -> None:
    async with services.database.transaction() as conn:
        await change_rules(conn, club, {"needs_approval": True}, actor=ACTOR)


async def test_the_next_days_draft_takes_the_place_of_one_that_nobody_decided_about(
    services: Services, clock: HandClock, club: Club, books: Books
) -> None:
    await needs_approval(services, club)
    await add_family(services, books, "lee@example.com", days(2))
    for number in (2, 3):
        await run_on(services, clock, club, days(number))
    async with services.database.transaction() as conn:
        old, new = (await conn.execute(select(Blast.id, Blast.status, Blast.canceled_by).order_by(Blast.id))).all()
    assert (old.status, old.canceled_by, new.status) == ("canceled", "reminders", "draft")
    with pytest.raises(AlreadyDoneError, match="took the place"):
        await services.blasts.approve(club, old.id, ACTOR)
    await services.blasts.approve(club, new.id, ACTOR)
    await send(services, clock)
    assert sorted(address for _, address in await mailed(services)) == ["lee@example.com", "pat@example.com"]


async def test_a_draft_that_somebody_canceled_does_not_come_back(
    services: Services, clock: HandClock, club: Club
) -> None:
    await needs_approval(services, club)
    await run_on(services, clock, club, days(2))
    async with services.database.transaction() as conn:
        blast_id = await conn.scalar(select(Blast.id))
    await services.blasts.cancel(club, int(blast_id or 0), ACTOR)
    await run_on(services, clock, club, days(3))
    async with services.database.transaction() as conn:
        assert list(await conn.scalars(select(Blast.id))) == [blast_id]


async def test_a_blast_to_one_family_does_not_hold_up_the_others_reminders(
    services: Services, clock: HandClock, club: Club, books: Books
) -> None:
    await needs_approval(services, club)
    await add_family(services, books, "lee@example.com", days(1))
    await run_on(services, clock, club, days(2))
    async with services.database.transaction() as conn:
        reminders = int(await conn.scalar(select(Blast.id)) or 0)
    query = AudienceQuery(EmailType.OUTSTANDING_BALANCE, email="pat@example.com")
    await services.blasts.start(club, query, note="", requested_by=ACTOR)
    await send(services, clock)
    await services.blasts.approve(club, reminders, ACTOR)
    await send(services, clock)
    assert [address for _, address in await mailed(services)] == ["pat@example.com", "lee@example.com"]


async def test_a_blast_that_was_drafted_before_the_days_reminders_is_drafted_again(
    services: Services, clock: HandClock, club: Club
) -> None:
    query = AudienceQuery(EmailType.OUTSTANDING_BALANCE)
    blast_id, _ = await services.blasts.draft(club, query, note="", requested_by=ACTOR)
    await run_on(services, clock, club, days(2))
    with pytest.raises(AlreadyDoneError, match="reminders approved another mail to 1 of these families"):
        await services.blasts.approve(club, blast_id, ACTOR)


async def test_of_approval_and_replacement_one_wins(services: Services, clock: HandClock, club: Club) -> None:
    await needs_approval(services, club)
    await run_on(services, clock, club, days(2))
    async with services.database.transaction() as conn:
        blast_id = int(await conn.scalar(select(Blast.id)) or 0)
    clock.now = at(days(3))
    await asyncio.gather(
        services.reminders.run_due(club.id), services.blasts.approve(club, blast_id, ACTOR), return_exceptions=True
    )
    async with services.database.transaction() as conn:
        statuses = list(await conn.scalars(select(Blast.status).order_by(Blast.id)))
    assert statuses in (["approved"], ["canceled", "draft"])


async def test_off_means_off_and_on_again_begins_anew(services: Services, clock: HandClock, club: Club) -> None:
    async with services.database.transaction() as conn:
        assert await switch(conn, club, on=False, actor=ACTOR, now=clock())
        assert not await switch(conn, club, on=False, actor=ACTOR, now=clock())
    await run_on(services, clock, club, days(2))
    async with services.database.transaction() as conn:
        await switch(conn, club, on=True, actor=ACTOR, now=at(days(3)))
        assert (await load_rules(conn, club.id)).done_through == days(3)
    await run_on(services, clock, club, days(3), time(10))
    await send(services, clock)
    assert await mailed(services) == []


async def test_the_preview_is_what_is_sent_and_keeps_nothing(
    services: Services, clock: HandClock, club: Club, books: Books
) -> None:
    await run_on(services, clock, club, days(1))
    shown = await upcoming(services, club)
    assert shown.plan is not None
    assert shown.plan.day == days(2)
    assert [recipient.parent_id for recipient in shown.plan.audience.recipients] == [books.parent_id]
    later = await upcoming(services, club, days(8))
    assert later.plan is not None
    assert later.plan.audience.total_cents == 15000
    with pytest.raises(InvalidInputError, match="2026-12-05"):
        await upcoming(services, club, days(5))
    async with services.database.transaction() as conn:
        assert list(await conn.scalars(select(ReminderRun.run_on))) == [days(1)]
    await run_on(services, clock, club, days(2))
    async with services.database.transaction() as conn:
        assert await conn.scalar(select(Blast.total_cents)) == shown.plan.audience.total_cents


async def test_a_run_by_hand_comes_before_its_time_and_only_once(
    services: Services, clock: HandClock, club: Club
) -> None:
    clock.now = at(days(2), time(8, 30))
    assert (await services.reminders.run_now(club, actor="cli", keep=False)).blast_id is not None
    assert (await services.reminders.run_now(club, actor="cli", keep=True)).blast_id is not None
    with pytest.raises(AlreadyDoneError):
        await services.reminders.run_now(club, actor="cli", keep=True)
    clock.now = at(days(5), time(12))
    with pytest.raises(InvalidInputError, match="day of the week"):
        await services.reminders.run_now(club, actor="cli", keep=True)


async def test_the_clock_starts_each_club_by_its_own_time(
    services: Services, clock: HandClock, club: Club, drain: Drain, mailbox: Mailbox
) -> None:
    clock.now = at(days(2), time(8, 59))
    await services.reminders.start_due(0)
    await drain()
    assert mailbox.messages == []
    clock.now = at(days(2))
    await services.reminders.start_due(0)
    await services.reminders.start_due(0)
    await drain()
    assert len(mailbox.messages) == 1
    await services.reminders.start_due(0)
    await drain()
    assert len(mailbox.messages) == 1


async def test_without_mail_days_wait(services: Services, clock: HandClock, club: Club, database_url: URL) -> None:
    without = build_services(services.settings.model_copy(update={"smtp_url": None}), database_url, clock=clock)
    clock.now = at(days(2))
    await without.reminders.start_due(0)
    with pytest.raises(InvalidInputError, match="SMTP_URL"):
        await without.reminders.run_now(club, actor="cli", keep=True)
    await without.close()


async def test_a_part_of_a_plan_that_is_far_away_is_not_listed(
    services: Services, clock: HandClock, club: Club, books: Books, mailbox: Mailbox
) -> None:
    async with services.database.transaction() as conn:
        for due in (days(2), days(20)):
            await add_order(conn, books, books.player_id, books.parent_id, due)
    await run_on(services, clock, club, days(2))
    await send(services, clock)
    assert "$200.00 due" in mailbox.messages[0].subject


async def test_ten_times_the_families_cost_the_same_statements(
    services: Services, clock: HandClock, club: Club, books: Books
) -> None:
    costs = []
    for day, families in ((days(1), 1), (days(2), 5), (days(3), 50)):
        async with services.database.transaction() as conn:
            for number in range(families):
                email = f"family{families}.{number}@example.com"
                parent_id = await add(conn, Parent, tenant_id=books.tenant_id, first_name="Sam", email=email)
                await add_order(conn, books, books.player_id, parent_id, day - timedelta(days=1))
        with counted(services.database) as statements:
            await run_on(services, clock, club, day)
        costs.append(len(statements))
        async with services.database.transaction() as conn:
            await conn.execute(update(Blast).values(status="done"))
            await conn.execute(update(BlastRecipient).values(status="sent"))
    # The first has no other to settle.
    assert costs[1] == costs[2]
    assert costs[2] < 24


async def test_rules_without_a_row_are_the_tables_own_defaults(services: Services, club: Club) -> None:
    async with services.database.transaction(keep=False) as conn:
        other = await add_other_club(conn)
        without = await load_rules(conn, other)
        await conn.execute(insert(ReminderRule).values(tenant_id=other))
        assert await load_rules(conn, other) == replace(without)


async def add_other_club(conn) -> int:  # type: ignore[no-untyped-def]  # noqa: ANN001
    return (await open_books(conn, club="Hill Town SC", email="kim@example.com")).tenant_id
