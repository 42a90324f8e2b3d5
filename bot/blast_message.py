"""A blast's message in the approvals channel, from the question to the outcome. Pure: a blast in, blocks out."""

from slack_sdk.models.blocks import Block, InteractiveElement

from bot.blocks import actions, as_typed, button, confirmation, context, divider, fields, header, section
from bot.text import count_of, cut, escape, mention
from core.blasts import BlastView
from core.club import Club
from core.models.statuses import BlastStatus, EmailType, RecipientStatus
from core.money import format_money

_CELLS = 20
_NAME, _REASON = 60, 200
_KINDS = {
    EmailType.OUTSTANDING_BALANCE: "Balance blast",
    EmailType.FIRST_PAYMENT: "First payment blast",
    EmailType.TOURNAMENT_FEE: "Tournament fee blast",
}


def blast_text(blast: BlastView, club: Club) -> str:
    """Return the message in one line of mrkdwn, for notifications."""
    if blast.status is BlastStatus.CANCELED:
        return f"{_kind(blast)}, {_total(blast, club)}: {_state(blast)}"
    return f"{_kind(blast)}, {_families(blast.recipients)}, {_total(blast, club)}: {_state(blast)}"


def blast_blocks(blast: BlastView, club: Club, audience: str) -> list[Block]:
    """Return the message. `audience` is plain text."""
    blocks: list[Block] = [header(f"{_kind(blast)}: {_headline(blast)}"), _facts(blast, club, audience)]
    if blast.note:
        blocks += [section("*Note in the mail*"), as_typed(blast.note)]
    if blast.status is not BlastStatus.DRAFT:
        blocks += [divider(), section(_outcome(blast))]
    buttons = _buttons(blast, club)
    if buttons:
        blocks.append(actions(*buttons))
    blocks.append(context(_who(blast)))
    return blocks


def _kind(blast: BlastView) -> str:
    if blast.query.is_reminder:
        return "Reminders"
    return _KINDS.get(blast.kind, "Blast")


def _families(count: int) -> str:
    return count_of(count, "family", "families")


def _total(blast: BlastView, club: Club) -> str:
    return format_money(blast.total_cents, club.currency)


def _headline(blast: BlastView) -> str:
    return {
        BlastStatus.DRAFT: "waiting for approval",
        BlastStatus.APPROVED: "approved, starting",
        BlastStatus.SENDING: "going out",
        BlastStatus.DONE: "done",
        BlastStatus.CANCELED: "canceled",
    }[blast.status]


def _state(blast: BlastView) -> str:
    if blast.status is BlastStatus.DRAFT:
        return "please approve or cancel"
    if blast.status is BlastStatus.CANCELED:
        return f"canceled by {mention(blast.canceled_by)}"
    return f"{_headline(blast)}, {_counted(blast)}"


def _facts(blast: BlastView, club: Club, audience: str) -> Block:
    table = {"To": escape(audience), "Asks for": _total(blast, club)}
    if blast.status is BlastStatus.CANCELED:
        # Canceling takes everybody left off the list; the outcome says who had been mailed.
        return fields(table)
    table["Families"] = f"{blast.recipients:,}"
    if blast.skipped:
        reasons = sorted(blast.skipped.items(), key=lambda pair: -pair[1])
        table["Left out"] = "\n".join(f"{count:,}: {escape(cut(reason, _REASON))}" for reason, count in reasons)
    return fields(table)


def _counted(blast: BlastView) -> str:
    parts = [f"{blast.count(RecipientStatus.SENT):,} of {blast.recipients:,} sent"]
    if failed := blast.count(RecipientStatus.FAILED):
        parts.append(f"{failed:,} failed")
    if uncertain := blast.count(RecipientStatus.UNCERTAIN):
        parts.append(f"{uncertain:,} uncertain")
    return ", ".join(parts)


def _outcome(blast: BlastView) -> str:
    if blast.status is BlastStatus.CANCELED:
        sent = blast.count(RecipientStatus.SENT)
        return (
            f"🚫 Canceled. {_families(sent)} had been mailed already."
            if sent
            else "🚫 Canceled. Nobody was mailed."
        )
    lines = [f"✅ *Done*: {_counted(blast)}" if blast.status is BlastStatus.DONE else _progress(blast)]
    lines += [
        f"• {escape(cut(each.parent_name, _NAME))}: {escape(cut(each.reason, _REASON))}" for each in blast.failures
    ]
    shown = blast.count(RecipientStatus.FAILED) + blast.count(RecipientStatus.UNCERTAIN)
    if more := shown - len(blast.failures):
        lines.append(f"…and {more:,} more")
    if blast.count(RecipientStatus.UNCERTAIN):
        lines.append("Uncertain mails may have arrived, so they are never sent again by themselves.")
    return "\n".join(lines)


def _progress(blast: BlastView) -> str:
    left = blast.count(RecipientStatus.PENDING) + blast.count(RecipientStatus.SENDING)
    filled = _CELLS * (blast.recipients - left) // max(blast.recipients, 1)
    return f"{'▓' * filled}{'░' * (_CELLS - filled)} {_counted(blast)}"


def _buttons(blast: BlastView, club: Club) -> list[InteractiveElement]:
    value = str(blast.id)
    if blast.status is BlastStatus.DRAFT:
        return [
            _approve(blast, club),
            button("Send a test to me", "blast_send_test", value),
            _cancel(value, "Cancel the blast", "Nobody gets a mail."),
        ]
    if blast.status in {BlastStatus.APPROVED, BlastStatus.SENDING}:
        return [_cancel(value, "Stop the blast", "Families who have not been mailed yet get no mail.")]
    if blast.status is BlastStatus.DONE and (failed := blast.count(RecipientStatus.FAILED)):
        question = confirmation(
            "Send again?",
            f"{count_of(failed, 'mail')} that failed will be tried again. Nobody else is mailed.",
            yes="Send again",
            no="Not now",
        )
        return [button(f"Send the {failed:,} failed again", "blast_retry_failed", value, confirm=question)]
    return []


def _approve(blast: BlastView, club: Club) -> InteractiveElement:
    mails = count_of(blast.recipients, "mail")
    when = "at once, or when the quiet hours end" if blast.query.is_reminder else "at once"
    question = confirmation(
        "Approve the blast?",
        f"Send {mails} asking for {_total(blast, club)}? They go out {when}.",
        yes=f"Send {mails}",
        no="Not yet",
    )
    return button(f"Approve and send {mails}", "blast_approve", str(blast.id), style="primary", confirm=question)


def _cancel(value: str, words: str, meaning: str) -> InteractiveElement:
    question = confirmation(f"{words}?", meaning, yes=words, no="Keep it", style="danger")
    return button(words, "blast_cancel", value, style="danger", confirm=question)


def _who(blast: BlastView) -> str:
    words = [f"Asked for by {mention(blast.requested_by)}"]
    if blast.approved_by:
        words.append(f"approved by {mention(blast.approved_by)}")
    if blast.canceled_by:
        words.append(f"canceled by {mention(blast.canceled_by)}")
    return ", ".join(words) + "."
