"""When a family's mail is claimed, and what comes of a claim that others had given up on."""

import asyncio
from collections import Counter
from contextlib import AbstractAsyncContextManager

import pytest
from sqlalchemy import insert, select, text

from core.audiences import AudienceQuery
from core.blast_sender import BlastSender
from core.club import club_by_id
from core.errors import MailDeferredError
from core.mail import Mailer
from core.models import Blast, BlastRecipient, Order, Parent, Player
from core.models.statuses import EmailType
from core.rendering import MailRenderer, build_environment
from core.services import Services
from tests.books import add, open_books

EVERYONE = AudienceQuery(EmailType.OUTSTANDING_BALANCE)


class Gate:
    """A transport with one connection, that answers when it is let."""

    def __init__(self) -> None:
        self.turns = asyncio.Semaphore(1)
        self.is_open, self.is_handed_over = asyncio.Event(), asyncio.Event()
        self.refusal: MailDeferredError | None = None

    def turn(self) -> AbstractAsyncContextManager[None]:
        return self.turns

    async def send(self, message: bytes, *, sender: str, recipient: str) -> str:  # noqa: ARG002 - the shape of a transport
        self.is_handed_over.set()
        await self.is_open.wait()
        if self.refusal is not None:
            raise self.refusal
        return "Taken"

    async def check(self) -> None:
        """Nothing to see."""

    async def close(self) -> None:
        """Nothing to close."""


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def sender(services: Services, gate: Gate) -> BlastSender:
    mailer = Mailer(gate, MailRenderer(build_environment()), "billing@club.test")
    return BlastSender(services.database, services.jobs, mailer, services.mails, services.clock)


async def approved(services: Services, *, families: int) -> tuple[int, list[int]]:
    """Return a blast that was approved, and its families."""
    async with services.database.transaction() as conn:
        books = await open_books(conn)
        for number in range(families - 1):
            about = {"tenant_id": books.tenant_id, "first_name": "Sam", "last_name": f"Lee {number}"}
            parent_id = await add(conn, Parent, email=f"family{number}@example.com", **about)
            player_id = await add(conn, Player, parent_id=parent_id, contract_status="signed", **about)
            order = {"player_id": player_id, "parent_id": parent_id, "product_id": books.product_id}
            await conn.execute(insert(Order).values(tenant_id=books.tenant_id, amount_cents=10000, **order))
        club = await club_by_id(conn, books.tenant_id)
    blast_id, _ = await services.blasts.draft(club, EVERYONE, note="", requested_by="U1")
    await services.blasts.approve(club, blast_id, "U2")
    async with services.database.transaction() as conn:
        parents = select(BlastRecipient.parent_id).where(BlastRecipient.blast_id == blast_id)
        return blast_id, list(await conn.scalars(parents))


async def statuses(services: Services) -> Counter[str]:
    async with services.database.transaction() as conn:
        return Counter(await conn.scalars(select(BlastRecipient.status)))


async def given_up_on(services: Services, sender: BlastSender, gate: Gate) -> asyncio.Task[None]:
    """Return a send that hangs with its mail handed over, while others think it dead and the blast is over."""
    blast_id, (parent_id,) = await approved(services, families=1)
    hanging = asyncio.create_task(sender.send(blast_id, parent_id))
    await gate.is_handed_over.wait()
    await services.blast_sender.send(blast_id, parent_id)
    assert await statuses(services) == {"uncertain": 1}
    async with services.database.transaction() as conn:
        assert await conn.scalar(select(Blast.status)) == "done"
        await conn.execute(text("delete from procrastinate_jobs"))
    return hanging


async def refreshes(services: Services) -> int:
    async with services.database.transaction() as conn:
        jobs = "select count(*) from procrastinate_jobs where task_name = 'refresh_blast_message'"
        return int(await conn.scalar(text(jobs)) or 0)


async def test_a_mail_is_claimed_only_when_it_can_be_handed_over(
    services: Services, sender: BlastSender, gate: Gate
) -> None:
    blast_id, families = await approved(services, families=3)
    sending = [asyncio.create_task(sender.send(blast_id, parent_id)) for parent_id in families]
    await gate.is_handed_over.wait()
    assert await statuses(services) == {"sending": 1, "pending": 2}
    gate.is_open.set()
    await asyncio.gather(*sending)
    assert await statuses(services) == {"sent": 3}


async def test_the_message_hears_of_a_mail_that_went_out_after_all(
    services: Services, sender: BlastSender, gate: Gate
) -> None:
    hanging = await given_up_on(services, sender, gate)
    gate.is_open.set()
    await hanging
    assert await statuses(services) == {"sent": 1}
    assert await refreshes(services) == 1


async def test_a_mail_that_did_not_go_out_after_all_is_for_people_to_send_again(
    services: Services, sender: BlastSender, gate: Gate
) -> None:
    hanging = await given_up_on(services, sender, gate)
    gate.refusal = MailDeferredError("The mail server said 451 later")
    gate.is_open.set()
    with pytest.raises(MailDeferredError):
        await hanging
    assert await statuses(services) == {"failed": 1}
    assert await refreshes(services) == 1
