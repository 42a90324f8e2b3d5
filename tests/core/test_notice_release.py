"""A notice that two processes hold at once, because one of them was frozen and thought dead."""

from sqlalchemy import insert, select

from core.database import Database
from core.models import Notice
from core.models.statuses import NoticeStatus
from core.notice_facts import NoticeView, claim_notice, finish_notice, release_notice
from core.notices import NoticeKind
from tests.books import open_books


async def _notice(database: Database) -> int:
    async with database.transaction() as conn:
        books = await open_books(conn)
        facts = {"order_id": books.order_id, "amount_cents": 15000}
        new = {"tenant_id": books.tenant_id, "kind": NoticeKind.PROCESSING, "key": "processing:1", "facts": facts}
        return int(await conn.scalar(insert(Notice).values(new).returning(Notice.id)) or 0)


async def _status(database: Database, notice_id: int) -> str | None:
    async with database.transaction() as conn:
        status: str | None = await conn.scalar(select(Notice.status).where(Notice.id == notice_id))
        return status


async def _claim(database: Database, notice_id: int) -> NoticeView:
    async with database.transaction() as conn:
        notice = await claim_notice(conn, notice_id)
    assert notice is not None
    return notice


async def _release(database: Database, notice: NoticeView) -> None:
    async with database.transaction() as conn:
        await release_notice(conn, notice, "Slack is busy", for_good=False)


async def test_a_late_refusal_does_not_have_a_posted_notice_posted_again(database: Database) -> None:
    notice_id = await _notice(database)
    frozen, rescued = await _claim(database, notice_id), await _claim(database, notice_id)
    async with database.transaction() as conn:
        await finish_notice(conn, notice_id, channel="C0PAYMENTS", ts="1.1")
    await _release(database, frozen)
    assert not frozen.is_repeat
    assert rescued.is_repeat
    assert await _status(database, notice_id) == NoticeStatus.SENT


async def test_a_late_refusal_does_not_hide_that_another_process_may_have_posted(database: Database) -> None:
    notice_id = await _notice(database)
    frozen = await _claim(database, notice_id)
    await _claim(database, notice_id)
    await _release(database, frozen)
    assert (await _claim(database, notice_id)).is_repeat


async def test_a_refused_repeat_is_still_one(database: Database) -> None:
    notice_id = await _notice(database)
    await _claim(database, notice_id)
    await _release(database, await _claim(database, notice_id))
    assert (await _claim(database, notice_id)).is_repeat


async def test_a_refused_notice_goes_back_to_the_queue(database: Database) -> None:
    notice_id = await _notice(database)
    await _release(database, await _claim(database, notice_id))
    assert await _status(database, notice_id) == NoticeStatus.QUEUED
    assert not (await _claim(database, notice_id)).is_repeat
