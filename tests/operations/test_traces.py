"""One id from the webhook or the press of a button to the mail: in every line of the log, and beside the rows."""

import asyncio
import json
from dataclasses import replace

from sqlalchemy import select, text

from core.models import EmailLog, Notice
from tests.bot.conftest import COACH, GENERAL, Club, add_family
from tests.core.test_logs import logged
from tests.web.conftest import web_client
from tests.web.kit import SECRET, session_event, tell


async def kept(club: Club) -> dict[str, list[str | None]]:
    async with club.services.database.transaction() as conn:
        mails = list(await conn.scalars(select(EmailLog.trace)))
        notices = list(await conn.scalars(select(Notice.trace)))
        jobs = list(await conn.scalars(text("select args ->> 'trace' from procrastinate_jobs")))
    return {"mails": mails, "notices": notices, "jobs": jobs}


async def test_from_a_webhook_to_the_receipt_and_the_notice(club: Club) -> None:
    settings = club.services.settings.model_copy(update={"stripe_webhook_secret": (SECRET,)})
    told = session_event(order_id=club.books.order_id, payment_link=None)
    with logged() as lines:
        async with web_client(replace(club.services, settings=settings)) as client:
            assert (await tell(client, told)).status_code == 200
        await club.drain()
    own = [json.loads(line) for line in lines if told["id"] in line]
    assert {"stripe_event", "notice_posted", "mail_ended"} <= {line["event"] for line in own}
    (mail,) = (line for line in own if line["event"] == "mail_ended")
    assert mail["trace"] == told["id"]
    assert (mail["status"], mail["task"]) == ("sent", "send_mail")
    assert ("Message-ID", mail["message_id"]) in club.mailbox.messages[0].headers
    assert await kept(club) == {"mails": [told["id"]], "notices": [told["id"]], "jobs": []}


async def test_events_that_are_applied_together_keep_their_own_ids(club: Club) -> None:
    settings = club.services.settings.model_copy(update={"stripe_webhook_secret": (SECRET,)})
    await add_family(club.services, club.books, "Kim Doe", *(f"Player{n} Doe" for n in range(4)))
    async with club.services.database.transaction() as conn:
        orders = list(await conn.scalars(text("select id from orders order by id desc limit 4")))
    events = [
        session_event(order_id=order, id=f"cs_test_{order}", payment_intent=f"pi_test_{order}", payment_link=None)
        for order in orders
    ]
    async with web_client(replace(club.services, settings=settings)) as client:
        await asyncio.gather(*(tell(client, each) for each in events))
    async with club.services.database.transaction() as conn:
        together = text("delete from procrastinate_jobs where task_name = 'follow_up_payments' returning args")
        arguments = await conn.scalar(together)
    await club.services.stripe_events.follow_up(arguments["tenant_id"], arguments["payments"])
    found = await kept(club)
    ids = sorted(str(each["id"]) for each in events)
    assert sorted(map(str, found["notices"])) == ids
    assert sorted(map(str, found["jobs"])) == sorted(ids * 2)


async def test_from_a_command_to_the_mail(club: Club) -> None:
    with logged() as lines:
        await club.slack.command(COACH, GENERAL, "/resend", "jaxon")
        await club.drain()
    (mail,) = (json.loads(line) for line in lines if "mail_ended" in line)
    assert (await kept(club))["mails"] == [mail["trace"]]
    assert len(mail["trace"]) == 32
