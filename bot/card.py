"""The family card: a player, all that the family owes, and the buttons to help. Pure: card in, blocks out."""

from datetime import date

from slack_sdk.models.blocks import Block

from bot.blocks import actions, button, context, divider, fields, header, section
from bot.text import count_of, cut, escape
from bot.values import OrderValue
from bot.wording import (
    CONTRACTS,
    DELIVERIES,
    MAILS,
    METHODS,
    amount_in_words,
    day,
    due_in_words,
    moment_in_words,
)
from core.balances import OwedItem
from core.clock import local_date
from core.club import Club
from core.family_card import FamilyCard, LastMail, PaidItem
from core.money import format_money

# Two blocks an item; with the rest of the card they stay under Slack's fifty, and under its 13,000 characters.
ITEMS_SHOWN = 18
_NAME, _DESCRIPTION, _ERROR = 80, 160, 300
_SIBLINGS_SHOWN = 8


def card_text(card: FamilyCard, club: Club) -> str:
    """Return the card in one line of mrkdwn, for notifications."""
    if not card.total_cents:
        return f"{escape(card.player_name)}: nothing is owed."
    return f"{escape(card.player_name)}: the family owes {format_money(card.total_cents, club.currency)}."


def card_blocks(card: FamilyCard, club: Club, today: date, balance_url: str) -> list[Block]:
    """Return the card. `balance_url` is the family's own page, which lists whatever does not fit here."""
    shown, rest = card.items[:ITEMS_SHOWN], card.items[ITEMS_SHOWN:]
    blocks: list[Block] = [header(card.player_name), _who(card), divider()]
    for item in shown:
        blocks += _item(item, card, today)
    if rest:
        blocks.append(section(f"…and {count_of(len(rest), 'more item')}; all are on {_link(balance_url)}."))
    blocks.append(section(_total(card, club)))
    blocks.append(context(_payments(card.payments, club, today), _last_mail(card.last_mail, club, today)))
    return blocks


def _who(card: FamilyCard) -> Block:
    siblings = [escape(cut(name, _NAME)) for name in card.siblings[:_SIBLINGS_SHOWN]]
    if more := len(card.siblings) - len(siblings):
        siblings.append(f"{more} more")
    known = {
        "Team": escape(cut(card.team_name or "no team", _NAME)),
        "Contract": CONTRACTS[card.contract_status],
        "Parent": escape(cut(card.parent_name, _NAME)) or "no name on the roster",
        "E-mail": escape(card.parent_email or "") or "❔ no address, so nothing can be mailed",
        "Phone": escape(card.parent_phone or ""),
        "Siblings": ", ".join(siblings),
    }
    return fields({label: value for label, value in known.items() if value})


def _item(item: OwedItem, card: FamilyCard, today: date) -> list[Block]:
    whose = "" if item.player_id == card.player_id else f" · {escape(cut(item.player_name, _NAME))}"
    title = f"*{escape(cut(item.description, _DESCRIPTION))}*{whose}"
    if item.is_processing:
        return [section(f"{title}\n{amount_in_words(item)} · ⏳ bank payment on its way")]
    details = f"{amount_in_words(item)} · {due_in_words(item.due_date, today)}"
    if not item.is_payable:
        return [section(f"{title}\n{details}\n✍️ contract not signed, can't be paid yet")]
    value = OrderValue(item.order_id, item.player_id).encode()
    buttons = actions(
        button("Re-send link", "resend_link", value, style="primary"),
        button("Show link", "copy_link", value),
    )
    return [section(f"{title}\n{details}"), buttons]


def _total(card: FamilyCard, club: Club) -> str:
    if not card.total_cents:
        return "✅ *Nothing is owed.*"
    altogether = " altogether" if len(card.items) > 1 else ""
    return f"*The family owes {format_money(card.total_cents, club.currency)}{altogether}.*"


def _payments(payments: tuple[PaidItem, ...], club: Club, today: date) -> str:
    if not payments:
        return "*Last payments*\nNone yet."
    return "\n".join(["*Last payments*", *(_payment(payment, club, today) for payment in payments)])


def _payment(payment: PaidItem, club: Club, today: date) -> str:
    paid_on = day(local_date(payment.created_at, club.time_zone), today)
    what = f"{escape(cut(payment.description, _DESCRIPTION))} ({escape(cut(payment.player_name, _NAME))})"
    if payment.amount_cents < 0:
        return f"{paid_on}: {format_money(-payment.amount_cents, payment.currency)} given back, {what}"
    return f"{paid_on}: {format_money(payment.amount_cents, payment.currency)} {METHODS[payment.method]}, {what}"


def _last_mail(mail: LastMail | None, club: Club, today: date) -> str:
    if mail is None:
        return "*Last mail*\nNone yet."
    sent = moment_in_words(mail.created_at, club.time_zone, today)
    words = f"{DELIVERIES[mail.status]}: {MAILS[mail.email_type]} to {escape(mail.to_address)}, {sent}"
    return f"*Last mail*\n{words}" + (f"\n{escape(cut(mail.error, _ERROR))}" if mail.error else "")


def _link(url: str) -> str:
    return f"<{url}|the family's page>"
