"""The nightly comparison with Stripe: its message, and the button that repairs one difference."""

from collections.abc import Mapping
from typing import Any

from slack_bolt.async_app import AsyncApp
from slack_bolt.response import BoltResponse
from slack_sdk.models.blocks import Block

from bot.blocks import button, confirmation, context, section
from bot.gate import Asker, Desk
from bot.reply import Reply
from bot.text import count_of, cut, escape, mention
from bot.values import read_id
from core.errors import AlreadyDoneError
from core.models.statuses import FindingStatus
from core.reconcile_findings import Finding, FindingKind, Run, in_words, looked_at_in_words

Json = dict[str, Any]
FINDINGS_SHOWN = 20
_WORDS, _ERROR = 240, 160
# Slack takes about 13,000 characters of text; names full of signs grow when they are escaped.
_ROOM = 11_000

# What pressing the button does, for the question before it.
_REPAIRS: Mapping[FindingKind, str] = {
    FindingKind.EVENT_MISSED: "The event is taken in as if it came now: order, notice and receipt follow.",
    FindingKind.PAYMENT_MISSING: "The payment is recorded as if Stripe told of it now: order, notice and receipt "
    "follow.",
    FindingKind.REFUND_MISSING: "The refund is recorded as if Stripe told of it now.",
    FindingKind.LINK_WITHOUT_DEBT: "The link is closed at Stripe, so that nobody pays for nothing.",
    FindingKind.DEBT_WITHOUT_LINK: "A payment link over what is owed is made.",
    FindingKind.LINK_AMOUNT_DIFFERS: "The link is closed at Stripe; another over what is owed takes its place.",
    FindingKind.LINK_STATE_DIFFERS: "Stripe and our books are brought in line: the link is closed and, where "
    "something is owed, another takes its place.",
}


def register(app: AsyncApp, desk: Desk) -> None:
    """Add the handler."""
    app.action("reconcile_repair")(Repairing(desk).repair)


class Repairing:
    """The handler of the button."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._services = desk.services

    async def repair(self, action: Json, asker: Asker, reply: Reply) -> BoltResponse:
        """An admin wants one difference repaired: queued before Slack is told so; one person wins."""
        self._desk.require_admin(asker, "repair differences")
        finding_id = read_id(str(action["value"]))
        try:
            await self._services.reconcile_desk.request_repair(asker.club, finding_id, asker.user_id)
        except AlreadyDoneError as error:
            # The message showed a button that was over.
            await self._services.reconcile_desk.refresh_messages(asker.club, finding_id)
            return await reply.error(error)
        return await reply.say("On it. The message shows when it is done.")


def reconciliation_text(run: Run) -> str:
    """Return the message in one line of mrkdwn, for notifications."""
    return escape(looked_at_in_words(run.looked_at, len(run.findings)))


def reconciliation_blocks(run: Run) -> list[Block]:
    """Return the message: one line where nothing differs, else each difference with its button."""
    blocks: list[Block] = [section(reconciliation_text(run))]
    room = _ROOM
    for finding in run.findings[:FINDINGS_SHOWN]:
        block = _finding(finding)
        room -= _size(block)
        if room < 0:
            break
        blocks.append(block)
    if rest := len(run.findings) - (len(blocks) - 1):
        more = count_of(rest, "more difference")
        blocks.append(context(f"…and {more}; `sideline reconcile` lists and, with `--commit`, repairs all."))
    return blocks


def _size(block: Block) -> int:
    """Return the characters of all texts in a block, its button's question included."""

    def size(part: object) -> int:
        if isinstance(part, dict):
            return sum(size(inner) for inner in part.values())
        return len(part) if isinstance(part, str) else 0

    return size(block.to_dict())


def _finding(finding: Finding) -> Block:
    words = f"• {escape(cut(in_words(finding.kind, finding.facts), _WORDS))}"
    match finding.status:
        case FindingStatus.REPAIRED:
            return section(f"{words}\n✅ Repaired by {mention(finding.resolved_by)}")
        case FindingStatus.GONE:
            return section(f"{words}\n✅ Gone by itself")
        case FindingStatus.OPEN | FindingStatus.FAILED:
            return _open_finding(finding, words)


def _open_finding(finding: Finding, words: str) -> Block:
    if finding.resolved_by is not None:
        return section(f"{words}\n⏳ {mention(finding.resolved_by)} is having it repaired")
    failed = finding.status is FindingStatus.FAILED
    if failed:
        words += f"\n❌ The repair failed: {escape(cut(finding.error or '', _ERROR))}"
    question = confirmation("Repair this?", _REPAIRS[finding.kind], yes="Repair it", no="Not now")
    label = "Try the repair again" if failed else "Repair this"
    return section(words, accessory=button(label, "reconcile_repair", str(finding.id), confirm=question))
