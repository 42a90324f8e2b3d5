"""Payment links in words: where they went, how to copy them, why there is none."""

from collections.abc import Mapping

from bot.text import escape
from bot.wording import item_in_words
from core.club import Club
from core.errors import NotPayableError
from core.outbox import QueuedMail, ResendReceipt
from core.payment_links import Obstacle
from core.services import Services

_OBSTACLES: Mapping[str, str] = {
    Obstacle.PAID: "Already paid, so there is nothing to send or copy.",
    Obstacle.PROCESSING: "A bank payment for this is on its way; there is nothing to do.",
    Obstacle.CANCELED: "This was taken off the family's list; please look the player up again.",
    Obstacle.REFUNDED: "This was paid and given back, so its link is closed.",
    Obstacle.DISPUTED: "This was paid, and the payment is disputed at the bank, so its link is closed.",
    Obstacle.CONTRACT: "The contract isn't signed, so this can't be paid yet.",
}
_ITEMS_SHOWN = 15


async def check_open(services: Services, club: Club, order_id: int) -> None:
    """Make sure that an item can still be paid; the button may be days old.

    Raises:
        NotFoundError: no such item in this club.
        NotPayableError: with a sentence for the coach.
    """
    try:
        await services.payment_links.check_payable(club.id, order_id)
    except NotPayableError as error:
        raise NotPayableError(_OBSTACLES[error.reason], error.reason) from None


def receipt_text(receipt: ResendReceipt) -> str:
    """Say what is being mailed, and to whom; of a copy only where it goes."""
    lines = [
        _copied(mail) if mail.is_copy and place else _mailed(mail) for place, mail in enumerate(receipt.mails)
    ]
    return "\n".join([*lines, *(escape(words) for words in receipt.not_sent)])


def _mailed(mail: QueuedMail) -> str:
    if len(mail.items) == 1:
        item = mail.items[0]
        return f"📨 On its way to {_reader(mail)}: {escape(item.player_name)} · {item_in_words(item)}."
    lines = [f"• {item_in_words(item)}" for item in mail.items[:_ITEMS_SHOWN]]
    if more := len(mail.items) - len(lines):
        lines.append(f"…and {more} more")
    return "\n".join([f"📨 On its way to {_reader(mail)}, in one mail:", *lines])


def _copied(mail: QueuedMail) -> str:
    return f"A copy goes to {_reader(mail)}."


def _reader(mail: QueuedMail) -> str:
    name = f" ({escape(mail.parent_name)})" if mail.parent_name else ""
    return f"{escape(mail.to_address)}{name}"


def link_text(url: str) -> str:
    """Return a link ready to be copied."""
    return f"Copy this link and send it to the family. It never expires:\n```{url}```"
