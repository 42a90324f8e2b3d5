"""How failed background jobs look on the admins' home tab. Pure."""

from collections.abc import Mapping
from datetime import date

from slack_sdk.models.blocks import Block

from bot.blocks import actions, button, confirmation, divider, section
from bot.text import count_of, cut, escape
from bot.wording import moment_in_words
from core.club import Club
from core.failed_jobs import FailedJob, FailedJobs

RETRY, RETRY_ALL, DISMISS = "job_retry", "job_retry_all", "job_dismiss"
_SUBJECT, _REASON = 80, 200
# What each task was to do; those that the clock starts come again by themselves.
WORK: Mapping[str, str] = {
    "send_mail": "A mail",
    "send_blast_mail": "A blast's mail",
    "send_blast_mails": "Some of a blast's mails",
    "send_receipts": "A payment's receipt",
    "post_notice": "A notice in the payments channel",
    "refresh_notice": "Bringing a notice up to date",
    "refresh_blast_message": "Bringing a blast's message up to date",
    "refresh_reconciliation": "Bringing the message about the comparison with Stripe up to date",
    "tell_person": "A private message to somebody who asked",
    "close_link": "Closing a link at Stripe",
    "refund_payment": "A refund at Stripe",
    "follow_up_payments": "What comes after several payments",
    "remind_club": "The day's reminders",
    "reconcile_club": "The comparison with Stripe",
    "repair_finding": "Repairing a difference with Stripe",
}


def failed_job_blocks(failed: FailedJobs, club: Club, today: date) -> list[Block]:
    """Return what the home tab shows admins; nothing where nothing failed."""
    if not failed.jobs:
        return []
    left = count_of(failed.total, "piece of work was", "pieces of work were")
    blocks: list[Block] = [divider(), section(f"*Needs a look*\n⚠️ {left} given up after several tries.")]
    for job in failed.jobs:
        blocks += [section(_in_words(job, club, today)), _buttons(job)]
    if more := failed.total - len(failed.jobs):
        blocks.append(section(f"…and {more:,} more, older ones."))
    if failed.total > 1:
        ask = confirmation(
            "Try everything again?",
            f"All {failed.total:,} are tried again. What was done already is not done twice.",
            yes="Try all again",
            no="Not now",
        )
        blocks.append(actions(button(f"Try all {failed.total:,} again", RETRY_ALL, "all", confirm=ask)))
    return blocks


def work_in_words(task: str) -> str:
    """Return what a task was to do."""
    return WORK.get(task, "Something in the background")


def _in_words(job: FailedJob, club: Club, today: date) -> str:
    what = work_in_words(job.task)
    subject = f" to {escape(cut(job.subject, _SUBJECT))}" if job.subject else ""
    since = moment_in_words(job.since, club.time_zone, today)
    return (
        f"*{what}*{subject}\nGiven up {since}: {escape(cut(job.reason, _REASON))}\n"
        f"Reference {job.reference}, which the log has too."
    )


def _buttons(job: FailedJob) -> Block:
    ask = confirmation(
        "Let it be?",
        "It is not tried again, and this list forgets it. The log and the audit log keep it.",
        yes="Let it be",
        no="Keep it here",
    )
    again = button("Try again", RETRY, str(job.id), style="primary")
    return actions(again, button("Let it be…", DISMISS, str(job.id), confirm=ask))
