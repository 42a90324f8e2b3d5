"""The reference of a blast: builds and sends the same mails over pooled aiosmtplib, and does nothing else.

`python -m tests.bench.raw_smtp PORT WAY` with the database in `BENCH_DATABASE`; prints the seconds it took. What
the mails are about is read beforehand and not counted. `WAY` is how a message is put together: `stdlib` with
`EmailMessage` as it comes, or `ours`.
"""

import asyncio
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, formataddr

import aiosmtplib
import uvloop
from sqlalchemy.engine import make_url

from core.balances import OwedItem, stream_families
from core.clock import system_clock
from core.club import Club, club_by_id
from core.database import Database
from core.family_mail import FamilyMails
from core.mail_message import Mailbox, build_message
from core.models.statuses import EmailType
from core.rendering import MailRenderer, RenderedMail, build_environment
from core.tokens import FamilyLinks

CONNECTIONS = 4
SENDER = "billing@club.example"
Family = list[OwedItem]


def stdlib_message(rendered: RenderedMail, club: Club, family: Family) -> bytes:
    """Return a message as the standard library makes it by default."""
    message = EmailMessage()
    message["From"] = formataddr((club.name, SENDER))
    message["To"] = formataddr((family[0].parent_name, family[0].parent_email or ""))
    message["Subject"] = rendered.subject
    message["Date"] = format_datetime(datetime.now(UTC))
    message["Message-ID"] = f"<{family[0].order_id}@club.example>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(rendered.text)
    message.add_alternative(rendered.html, subtype="html")
    return message.as_bytes()


def our_message(rendered: RenderedMail, club: Club, family: Family) -> bytes:
    """Return the same message put together by the product."""
    return build_message(
        rendered,
        sender=Mailbox(club.name, SENDER),
        to=Mailbox(family[0].parent_name, family[0].parent_email or ""),
        reply_to=None,
        message_id=f"<{family[0].order_id}@club.example>",
        date=datetime.now(UTC),
    )


Builder = Callable[[RenderedMail, Club, Family], bytes]
WAYS: dict[str, Builder] = {"stdlib": stdlib_message, "ours": our_message}


async def read_families(url: str) -> tuple[Club, list[Family]]:
    """Return the club, and what each family owes."""
    database = Database(make_url(url).set(drivername="postgresql+psycopg"))
    async with database.transaction() as conn:
        club = await club_by_id(conn, 1)
        async with stream_families(conn, club.id) as streamed:
            families = [family async for family in streamed]
    await database.close()
    return club, families


def messages(club: Club, families: Iterable[Family], build: Builder) -> Iterator[tuple[str, bytes]]:
    """Compose, render and build one mail after the other."""
    mails = FamilyMails(FamilyLinks("http://127.0.0.1:8000", ("a made-up key",)), system_clock)
    renderer = MailRenderer(build_environment())
    for family in families:
        mail = mails.compose(club, EmailType.OUTSTANDING_BALANCE, family)
        yield family[0].parent_email or "", build(renderer.render(mail), club, family)


async def send_all(port: int, waiting: Iterator[tuple[str, bytes]]) -> None:
    """Send every message, over as many connections as the product has."""

    async def connection() -> None:
        async with aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False) as client:
            for recipient, message in waiting:
                await client.sendmail(SENDER, recipient, message)

    async with asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(connection())


async def main(port: int, way: str) -> None:
    """Send a mail to every family and print how long it took."""
    club, families = await read_families(os.environ["BENCH_DATABASE"])
    begun = time.perf_counter()
    await send_all(port, messages(club, families, WAYS[way]))
    print(time.perf_counter() - begun)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2]))
