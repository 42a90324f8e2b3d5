"""Giving money back: the part of a notice that offers it or says who did, and the button's handler."""

from typing import Any

from slack_bolt.async_app import AsyncApp
from slack_bolt.response import BoltResponse
from slack_sdk.models.blocks import Block, ButtonElement

from bot.blocks import button, confirmation, section
from bot.gate import Asker, Desk
from bot.reply import Reply
from bot.text import cut, escape, mention
from bot.values import read_id
from core.errors import AlreadyDoneError
from core.models.statuses import RefundStatus
from core.money import format_money
from core.refunds import RefundOffer

Json = dict[str, Any]
_ERROR = 300


def refund_blocks(offer: RefundOffer | None) -> list[Block]:
    """Return what a notice says of giving a payment back; nothing where nobody asked and nothing is too much."""
    if offer is None:
        return []
    if offer.status is None:
        return [_too_much(offer)] if offer.amount_cents > 0 else []
    who, asked = mention(offer.asked_by), format_money(offer.asked_cents or 0, offer.currency)
    error = escape(cut(offer.error or "", _ERROR))
    match offer.status:
        case RefundStatus.DONE:
            return [section(f"✅ {who} had {asked} given back.")]
        case RefundStatus.REQUESTED if offer.error is None:
            return [section(f"⏳ {who} is having {asked} given back.")]
        case RefundStatus.REQUESTED:
            words = f"⏳ {who} is having {asked} given back. {error} We keep trying."
            return [section(words, accessory=_button(offer, "Try again now", asked))]
        case RefundStatus.FAILED:
            words = f"❌ {who} asked for {asked} to be given back, but it was not: {error}"
            return [_failed(offer, words)]


def _too_much(offer: RefundOffer) -> Block:
    amount = format_money(offer.amount_cents, offer.currency)
    words = f"⚠️ *{amount} more came in than this costs.* An admin can have it given back."
    return section(words, accessory=_button(offer, f"Give {amount} back", amount))


def _failed(offer: RefundOffer, words: str) -> Block:
    if not offer.is_offered:
        return section(words)
    amount = format_money(offer.amount_cents, offer.currency)
    return section(words, accessory=_button(offer, "Try the refund again", amount))


def _button(offer: RefundOffer, label: str, amount: str) -> ButtonElement:
    question = confirmation(
        f"Give {amount} back?",
        f"Stripe sends {amount} back the way it was paid; that takes 5 to 10 days. The item stays paid.",
        yes="Give it back",
        no="Not now",
    )
    return button(label, "payment_refund", str(offer.payment_id), confirm=question)


def register(app: AsyncApp, desk: Desk) -> None:
    """Add the handler."""
    app.action("payment_refund")(Refunding(desk).refund)


class Refunding:
    """The handler of the button."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._services = desk.services

    async def refund(self, action: Json, asker: Asker, reply: Reply) -> BoltResponse:
        """An admin wants a payment given back: queued before Slack is told so; one person wins."""
        self._desk.require_admin(asker, "refund payments")
        payment_id = read_id(str(action["value"]))
        try:
            offer = await self._services.refunds.request(asker.club, payment_id, asker.user_id)
        except AlreadyDoneError as error:
            # The message showed a button that was over.
            await self._services.refunds.refresh_notices(asker.club, payment_id)
            return await reply.error(error)
        amount = format_money(offer.asked_cents or 0, offer.currency)
        return await reply.say(f"On it: {amount} goes back. The message shows when Stripe has taken it.")
