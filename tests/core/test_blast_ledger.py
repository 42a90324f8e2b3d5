"""A blast's mails, several families a job: claimed and ended together, each for itself in every other way."""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import timedelta

import pytest
from sqlalchemy import select, text, update

from core.blast_claims import BlastClaims, Claim
from core.blast_ledger import BlastLedger
from core.blast_sender import BlastSender
from core.errors import MailDeferredError
from core.mail import Mailer
from core.models import BlastRecipient, EmailLog
from core.models.statuses import RecipientStatus
from core.rendering import MailRenderer, build_environment
from core.services import Services
from tests.core.test_blast_claims import approved, statuses
from tests.statements import counted

FAMILIES = 6


class Post:
    """A transport that keeps who got a mail; `trouble` may have something to say first."""

    def __init__(self) -> None:
        self.sent: Counter[str] = Counter()
        self.trouble: Callable[[str], None] = lambda _: None

    def turn(self) -> AbstractAsyncContextManager[None]:
        return nullcontext()

    async def send(self, message: bytes, *, sender: str, recipient: str) -> str:  # noqa: ARG002 - the shape of a transport
        self.trouble(recipient)
        self.sent[recipient] += 1
        return "Taken"

    async def check(self) -> None:
        """Nothing to see."""

    async def close(self) -> None:
        """Nothing to close."""


@pytest.fixture
def post() -> Post:
    return Post()


def sender_of(services: Services, post: Post, stretch: timedelta = timedelta(minutes=1)) -> BlastSender:
    mailer = Mailer(post, MailRenderer(build_environment()), "billing@club.test")
    return BlastSender(services.database, services.jobs, mailer, services.mails, services.clock, stretch=stretch)


def ledger_of(services: Services) -> BlastLedger:
    claims = BlastClaims(services.jobs, services.mailer, services.mails, services.clock)
    return BlastLedger(services.database, services.jobs, claims)


async def jobs(services: Services) -> list[tuple[str, dict[str, object]]]:
    """Return the blast's jobs that wait, and forget them."""
    async with services.database.transaction() as conn:
        rows = await conn.execute(text("delete from procrastinate_jobs returning task_name, args, scheduled_at"))
        return [(row.task_name, dict(row.args)) for row in rows if row.task_name.startswith("send_blast")]


async def families_of(waiting: list[tuple[str, dict[str, object]]]) -> list[int]:
    named: list[int] = []
    for _, args in waiting:
        named += args.get("parent_ids") or [args["parent_id"]]  # type: ignore[arg-type]
    return named


async def test_one_job_mails_each_of_its_families_once(services: Services, post: Post) -> None:
    blast_id, families = await approved(services, families=FAMILIES)
    await asyncio.gather(*(sender_of(services, post).send_several(blast_id, families) for _ in range(3)))
    assert set(post.sent.values()) == {1}
    assert len(post.sent) == FAMILIES
    async with services.database.transaction() as conn:
        assert set(await conn.scalars(select(EmailLog.status))) <= {"sent", "uncertain"}


async def test_claims_that_come_together_cost_the_same_statements(services: Services) -> None:
    blast_id, families = await approved(services, families=FAMILIES)
    ledger = ledger_of(services)
    costs = []
    for some in (families[:1], families[1:]):
        with counted(services.database) as statements:
            claims = await asyncio.gather(*(ledger.claim(blast_id, parent_id) for parent_id in some))
        assert all(claims)
        costs.append(len(statements))
        with counted(services.database) as statements:
            await asyncio.gather(*(ledger.end(claim, RecipientStatus.SENT) for claim in claims if claim))
        costs.append(len(statements))
    assert costs[:2] == costs[2:]
    assert await statuses(services) == {"sent": FAMILIES}


async def test_each_claim_is_its_own_familys(services: Services) -> None:
    blast_id, families = await approved(services, families=FAMILIES)
    ledger = ledger_of(services)
    claims = await asyncio.gather(*(ledger.claim(blast_id, parent_id) for parent_id in families))
    found = [claim for claim in claims if claim is not None]
    assert [claim.parent_id for claim in found] == families
    async with services.database.transaction() as conn:
        for claim in found:
            log = (await conn.execute(select(EmailLog).where(EmailLog.id == claim.log_id))).one()
            assert (log.parent_id, log.to_address, log.message_id) == (
                claim.parent_id,
                claim.to_address,
                claim.message_id,
            )


async def test_a_family_that_somebody_holds_keeps_no_other_waiting(services: Services) -> None:
    blast_id, families = await approved(services, families=FAMILIES)
    ledger = ledger_of(services)
    held, others = families[2], [*families[:2], *families[3:]]
    async with services.database.transaction() as conn:
        touched = update(BlastRecipient).where(BlastRecipient.parent_id == held).values(total_cents=1)
        await conn.execute(touched)
        waiting = asyncio.create_task(ledger.claim(blast_id, held))
        claims = await asyncio.gather(*(ledger.claim(blast_id, parent_id) for parent_id in others))
        assert all(claims)
        assert not waiting.done()
    assert isinstance(await waiting, Claim)


async def test_a_refusal_for_now_is_one_familys_alone(services: Services, post: Post) -> None:
    blast_id, families = await approved(services, families=FAMILIES)
    await jobs(services)

    def busy_for_one(recipient: str) -> None:
        if recipient == "family1@example.com":
            raise MailDeferredError("The mail server said 451 later")

    post.trouble = busy_for_one
    await sender_of(services, post).send_several(blast_id, families)
    assert len(post.sent) == FAMILIES - 1
    assert await statuses(services) == {"sent": FAMILIES - 1, "pending": 1}
    ((task, args),) = await jobs(services)
    assert task == "send_blast_mail"
    async with services.database.transaction() as conn:
        row = (await conn.execute(select(BlastRecipient).where(BlastRecipient.status == "pending"))).one()
    assert args["parent_id"] == row.parent_id
    post.trouble = lambda _: None
    await sender_of(services, post).send(blast_id, row.parent_id)
    assert set(post.sent.values()) == {1}
    assert await statuses(services) == {"sent": FAMILIES}


async def test_what_nobody_foresaw_is_one_familys_alone(services: Services, post: Post) -> None:
    blast_id, families = await approved(services, families=FAMILIES)

    def broken_for_one(recipient: str) -> None:
        if recipient == "family1@example.com":
            raise ValueError("nobody foresaw this")

    post.trouble = broken_for_one
    await sender_of(services, post).send_several(blast_id, families)
    assert await statuses(services) == {"sent": FAMILIES - 1, "failed": 1}


async def test_a_job_that_takes_long_hands_the_rest_on(services: Services, post: Post) -> None:
    blast_id, families = await approved(services, families=FAMILIES)
    await jobs(services)
    await sender_of(services, post, stretch=timedelta(0)).send_several(blast_id, families)
    assert await statuses(services) == {"sent": 1, "pending": FAMILIES - 1}
    assert sorted(await families_of(await jobs(services))) == sorted(families[1:])


@pytest.mark.parametrize("number", [1, 7, 40, 1000])
async def test_every_family_is_in_one_job(services: Services, number: int) -> None:
    async with services.database.transaction() as conn:
        await services.jobs.send_blast_mails(conn, 1, range(number))
    waiting = await jobs(services)
    assert sorted(await families_of(waiting)) == list(range(number))
    assert len(waiting) >= min(number, 20)
    assert max(len(args.get("parent_ids", [1])) for _, args in waiting) <= 25  # type: ignore[arg-type]
