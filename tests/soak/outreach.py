"""The account of the mails and blasts: what we say of each, beside what the mailbox has."""

from collections import Counter

from bot.blast_message import blast_text
from core.blasts import load_blast
from core.club import choose_club
from core.database import Database
from sandbox.world import World
from tests.soak.faults import WORDS
from tests.soak.postgres import Row, Store
from tests.soak.tally import Tally

# How many mails each state of an attempt allows.
MAILS = {"sent": (1, 1), "failed": (0, 0), "uncertain": (0, 1)}
RECIPIENT_MAILS = MAILS | {"skipped": (0, 0)}


class MailAccount:
    """Checks mails and blasts."""

    def __init__(self, world: World, store: Store, database: Database, tally: Tally) -> None:
        self._world, self._store, self._database, self._tally = world, store, database, tally
        self._counted = 0

    async def check(self) -> list[str]:
        """Return everything that is not as it has to be."""
        self._tally.found["mails accepted"] += len(self._world.mailbox.messages) - self._counted
        self._counted = len(self._world.mailbox.messages)
        came = Counter(mail.header("Message-ID") for mail in self._world.mailbox.messages)
        logs = await self._store.rows(
            "select id, email_type, to_address, status, message_id, error, blast_id, "
            "parent_id, payment_id from email_logs order by id"
        )
        problems = [p for log in logs if (p := _judge_log(log, came[log["message_id"] or ""]))]
        known = {log["message_id"] for log in logs}
        problems += [
            f"a mail came that nobody knows of: {message_id}" for message_id in came if message_id not in known
        ]
        problems += [
            f"the mail server had to refuse a mail: {no}" for no in self._world.mailbox.refused if WORDS not in no
        ]
        problems += self._check_receipts(logs, came)
        return problems + await self._check_blasts(logs, came) + await self._check_messages()

    def _check_receipts(self, logs: list[Row], came: Counter[str]) -> list[str]:
        receipts = Counter[tuple[int, int]]()
        for log in logs:
            if log["payment_id"] is not None:
                receipts[log["payment_id"], log["parent_id"]] += came[log["message_id"] or ""]
        return [f"payment and parent {key} got {n} receipts" for key, n in receipts.items() if n > 1]

    async def _check_blasts(self, logs: list[Row], came: Counter[str]) -> list[str]:
        mails = Counter[tuple[int, int]]()
        for log in logs:
            if log["blast_id"] is not None:
                mails[log["blast_id"], log["parent_id"]] += came[log["message_id"] or ""]
        recipients = await self._store.rows(
            "select r.*, b.status as blast_status from blast_recipients r join blasts b on b.id = r.blast_id"
        )
        problems = []
        for row in recipients:
            least, most = RECIPIENT_MAILS.get(row["status"], (0, -1))
            if row["status"] == "pending" and row["blast_status"] == "draft":
                most = 0
            if not least <= mails[row["blast_id"], row["parent_id"]] <= most:
                problems.append(f"{mails[row['blast_id'], row['parent_id']]} mail(s) came to this family: {row}")
        approvals = await self._store.rows("""
            select subject, count(*) from audit_log where action = 'blast.approve' group by 1 having count(*) > 1
        """)
        return problems + [f"approved more than once: {row}" for row in approvals]

    async def _check_messages(self) -> list[str]:
        """Each blast is over or waits for people, and its message in Slack says what is true."""
        problems = []
        posted = {(m.channel, m.ts): m for m in self._world.slack.messages}
        for row in await self._store.rows("select id, status, slack_channel, slack_ts from blasts"):
            if row["status"] in {"approved", "sending"}:
                problems.append(f"blast {row['id']} is still {row['status']}")
            async with self._database.transaction() as conn:
                club = await choose_club(conn)
                wanted = blast_text(await load_blast(conn, club.id, row["id"]), club)
            message = posted.get((row["slack_channel"], row["slack_ts"]))
            if message is None or message.text != wanted:
                shown = None if message is None else message.text
                problems.append(f"blast {row['id']}'s message says “{shown}”, but true is “{wanted}”")
        return problems

    async def count(self) -> None:
        """Add what there is now to the numbers; once, when a season ends."""
        for table in ("blasts", "orders", "payment_links", "stripe_events"):
            self._tally.found[table.replace("_", " ")] += int(
                await self._store.value(f"select count(*) from {table}")
            )
        for row in await self._store.rows("select status, count(*) as n from blast_recipients group by 1"):
            self._tally.found[f"families of blasts: {row['status']}"] += row["n"]


def _judge_log(log: Row, mails: int) -> str | None:
    least, most = MAILS.get(log["status"], (0, -1))
    return None if least <= mails <= most else f"{mails} mail(s) came of this attempt: {log}"
