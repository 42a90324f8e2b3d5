"""What `club set` is given for a club's side of Slack and Stripe, checked."""

import re
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from core.errors import InvalidInputError
from core.models import PaymentLink
from core.models.statuses import LinkStatus

_CHANNEL = (re.compile(r"[CGD][A-Z0-9]+"), "a channel's id, like C0123ABCD")
_PERSON = (re.compile(r"[UWS][A-Z0-9]+"), "members' or user groups' ids, like U0123ABCD")
_TEAM = (re.compile(r"[TE][A-Z0-9]{2,}"), "a workspace's id, like T0123ABCD")
_ACCOUNT = (re.compile(r"acct_[A-Za-z0-9_]+"), "a connected account's id, like acct_…")
_LOOKS = {
    "slack_team_id": ("--slack-team", _TEAM),
    "slack_payments_channel": ("--payments-channel", _CHANNEL),
    "slack_approvals_channel": ("--approvals-channel", _CHANNEL),
    "slack_admins": ("--admins", _PERSON),
    "slack_coaches": ("--coaches", _PERSON),
    "stripe_account_id": ("--stripe-account", _ACCOUNT),
}
_LISTS = {"slack_admins", "slack_coaches"}


def club_columns(**typed: str | None) -> dict[str, Any]:
    """Return the columns' new values; what was not typed is left out, and nothing typed empties it.

    Raises:
        InvalidInputError: naming the option and what it should look like.
    """
    return {column: _value(column, text) for column, text in typed.items() if text is not None}


def _value(column: str, text: str) -> list[str] | str | None:
    option, (pattern, looks) = _LOOKS[column]
    parts = [part.strip() for part in text.split(",") if part.strip()]
    for part in parts:
        if not pattern.fullmatch(part):
            raise InvalidInputError(f"{option} should be {looks}")
    if column in _LISTS:
        return parts
    if len(parts) > 1:
        raise InvalidInputError(f"{option} takes one")
    return parts[0] if parts else None


async def check_no_open_links(conn: AsyncConnection, tenant_id: int) -> None:
    """See that no link is open that would stay behind on the account that was the club's so far.

    Raises:
        InvalidInputError: where there are any.
    """
    is_open = (PaymentLink.tenant_id == tenant_id) & (PaymentLink.status == LinkStatus.ACTIVE)
    count = await conn.scalar(select(func.count()).select_from(PaymentLink).where(is_open))
    if count:
        raise InvalidInputError(
            f"--stripe-account: {count} payment link(s) are open on the account used so far; "
            "change it before the first links are made, or for a club of its own"
        )
