"""Failed background jobs on the home tab: seen by the club's admins, tried again once, in the audit log."""

import asyncio

import pytest
from sqlalchemy import insert, select, text, update

from bot.failed_jobs_view import WORK
from core.errors import AlreadyDoneError
from core.failed_jobs import FailedJobs, dismiss_job, failed_jobs, retry_all, retry_job
from core.jobs import PERIODIC, TASKS
from core.models import AuditLog, JobFailure, Order
from core.services import Services
from tests.books import Books, open_books
from tests.bot.conftest import ADMIN, COACH, TREASURER, Club
from tests.statements import counted

_FAIL = text("""
    insert into procrastinate_jobs (queue_name, task_name, args, status, attempts)
    values (:queue, :task, cast(:args as jsonb), 'failed', 12) returning id
""")


async def fail(services: Services, tenant_id: int | None, task: str = "close_link", **given: str | None) -> int:
    async with services.database.transaction() as conn:
        args = given.get("args") or '{"stripe_payment_link_id": "plink_test_1"}'
        job_id = await conn.scalar(_FAIL, {"queue": TASKS[task], "task": task, "args": args})
        failure = {"tenant_id": tenant_id, "job_id": job_id, "task": task, "attempt": 12, "reference": "R-7KQ2MX"}
        words = given.get("words", "Stripe knows no such link.")
        await conn.execute(insert(JobFailure).values(error="StripeRefusedError: …", words=words, **failure))
    return int(job_id or 0)


async def status(services: Services, job_id: int) -> tuple[str, int]:
    async with services.database.transaction() as conn:
        found = text("select status::text, attempts from procrastinate_jobs where id = :id")
        row = (await conn.execute(found, {"id": job_id})).one()
    return (row.status, row.attempts)


async def listed(services: Services, tenant_id: int, limit: int = 5) -> FailedJobs:
    async with services.database.transaction() as conn:
        return await failed_jobs(conn, tenant_id, limit=limit)


async def home(club: Club, user_id: str = ADMIN) -> str:
    await club.slack.open_home(user_id)
    return str(club.slack.homes[user_id].blocks)


async def test_an_admin_reads_what_failed_since_when_and_why(club: Club) -> None:
    await fail(club.services, club.books.tenant_id)
    shown = await home(club)
    for expected in ("Needs a look", "1 piece of work was given up", "Closing a link at Stripe", "R-7KQ2MX"):
        assert expected in shown
    assert "Stripe knows no such link." in shown
    assert "Needs a look" not in await home(club, COACH)


async def test_without_failures_nothing_is_said(club: Club) -> None:
    assert "Needs a look" not in await home(club)


async def test_whose_mail_it_is_is_told_and_text_of_others_means_nothing(club: Club) -> None:
    books = club.books
    args = f'{{"blast_id": 1, "parent_id": {books.parent_id}}}'
    await fail(club.services, books.tenant_id, "send_blast_mail", args=args, words="450 <b>*busy*</b> & so on")
    shown = await home(club)
    assert "A blast\\'s mail" in shown or "A blast's mail" in shown
    assert "to Pat Reed" in shown
    assert "&lt;b&gt;" in shown
    assert "*busy*" not in shown


async def test_what_nobody_foresaw_shows_a_reference_and_no_insides(club: Club) -> None:
    await fail(club.services, club.books.tenant_id, words=None)
    shown = await home(club)
    assert "Something went wrong on our side." in shown
    assert "StripeRefusedError" not in shown


async def test_a_press_has_it_tried_again(club: Club) -> None:
    job_id = await fail(club.services, club.books.tenant_id)
    await home(club)
    done = await club.slack.press(ADMIN, club.slack.homes[ADMIN], "job_retry")
    assert done.error is None
    assert (await status(club.services, job_id)) == ("todo", 0)
    assert await club.slack.workspace.wait_until(
        lambda: "Needs a look" not in str(club.slack.homes[ADMIN].blocks), 20
    )
    async with club.services.database.transaction() as conn:
        row = (await conn.execute(select(AuditLog.actor, AuditLog.action, AuditLog.subject))).one()
    assert tuple(row) == (ADMIN, "job.retry", f"job:{job_id}")


async def test_the_second_to_press_is_told_who_was_first(club: Club) -> None:
    job_id = await fail(club.services, club.books.tenant_id)
    await home(club, TREASURER)
    await home(club)
    await club.slack.press(ADMIN, club.slack.homes[ADMIN], "job_retry")
    late = await club.slack.press(TREASURER, club.slack.homes[TREASURER], "job_retry", stale=True)
    words = "<@U0ADMIN> already had this tried again"
    assert await club.slack.workspace.wait_until(lambda: any(words in str(view.blocks) for view in late.views), 20)
    assert (await status(club.services, job_id)) == ("todo", 0)


async def test_a_coach_may_not_even_with_an_old_button(club: Club) -> None:
    job_id = await fail(club.services, club.books.tenant_id)
    await home(club)
    done = await club.slack.press(COACH, club.slack.homes[ADMIN], "job_retry", stale=True)
    assert "Only admins can have failed work tried again" in str((await done.view()).blocks)
    assert (await status(club.services, job_id)) == ("failed", 12)


async def test_what_is_tried_again_is_done(club: Club) -> None:
    async with club.services.database.transaction() as conn:
        await conn.execute(update(Order).values(status="paid"))
    job_id = await fail(
        club.services, club.books.tenant_id, "tell_person",
        args=f'{{"tenant_id": {club.books.tenant_id}, "user_id": "{COACH}", "text": "It worked."}}',
    )  # fmt: skip
    async with club.services.database.transaction() as conn:
        await retry_job(conn, club.books.tenant_id, job_id, actor=ADMIN)
    await club.drain()
    await club.slack.wait_for_message(f"D{COACH[1:]}", "It worked.", within=20)


@pytest.fixture
async def books(services: Services) -> Books:
    async with services.database.transaction() as conn:
        return await open_books(conn)


async def test_two_at_the_same_time_have_it_tried_again_once(services: Services, books: Books) -> None:
    job_id = await fail(services, books.tenant_id)

    async def press(actor: str) -> str:
        async with services.database.transaction() as conn:
            return await retry_job(conn, books.tenant_id, job_id, actor=actor)

    results = await asyncio.gather(*(press(f"U{n}AA") for n in range(4)), return_exceptions=True)
    assert results.count("close_link") == 1
    assert sum(isinstance(result, AlreadyDoneError) for result in results) == 3


async def test_all_are_tried_again_at_once_and_only_the_clubs_own(services: Services, books: Books) -> None:
    async with services.database.transaction() as conn:
        others = await open_books(conn, "Other FC", "kim@example.org")
    own = [await fail(services, books.tenant_id) for _ in range(7)]
    foreign = await fail(services, others.tenant_id)
    nobodys = await fail(services, None)
    shown = await listed(services, books.tenant_id)
    assert ([job.id for job in shown.jobs], shown.total) == (own[:1:-1], 7)
    async with services.database.transaction() as conn:
        assert await retry_all(conn, books.tenant_id, actor=ADMIN) == 7
        with pytest.raises(AlreadyDoneError, match="Nothing is left"):
            await retry_all(conn, books.tenant_id, actor=TREASURER)
        with pytest.raises(AlreadyDoneError, match=f"{ADMIN} already had this tried again"):
            await retry_job(conn, books.tenant_id, own[3], actor=TREASURER)
        with pytest.raises(AlreadyDoneError):
            await retry_job(conn, books.tenant_id, foreign, actor=ADMIN)
    assert {(await status(services, job_id))[0] for job_id in own} == {"todo"}
    assert {(await status(services, job_id))[0] for job_id in (foreign, nobodys)} == {"failed"}


async def test_one_that_failed_again_can_be_tried_again(services: Services, books: Books) -> None:
    job_id = await fail(services, books.tenant_id)
    for _ in range(2):
        async with services.database.transaction() as conn:
            await retry_job(conn, books.tenant_id, job_id, actor=ADMIN)
            await conn.execute(text("update procrastinate_jobs set status = 'failed'"))


async def test_one_that_is_let_be_is_not_shown_again(services: Services, books: Books) -> None:
    job_id = await fail(services, books.tenant_id)
    async with services.database.transaction() as conn:
        await dismiss_job(conn, books.tenant_id, job_id, actor=ADMIN)
        with pytest.raises(AlreadyDoneError, match=f"{ADMIN} already let this be"):
            await retry_job(conn, books.tenant_id, job_id, actor=ADMIN)
    assert (await listed(services, books.tenant_id)).total == 0


async def test_a_long_list_costs_one_statement(services: Services, books: Books) -> None:
    for _ in range(12):
        await fail(services, books.tenant_id)
    with counted(services.database) as statements:
        assert (await listed(services, books.tenant_id)).total == 12
    assert len([each for each in statements if "procrastinate_jobs" in each]) == 1


def test_all_work_has_words() -> None:
    assert set(WORK) == set(TASKS) - set(PERIODIC)
