"""The family card: a player, all that the family owes, and the buttons to help. Pure: card in, blocks out."""

from collections.abc import Callable
from datetime import date

from slack_sdk.models.blocks import Block, ButtonElement, OverflowMenuElement

from bot.blocks import actions, button, confirmation, context, divider, fields, header, option, overflow, section
from bot.text import count_of, cut, escape
from bot.values import MenuValue, OrderChoice, OrderValue, PaymentValue
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
from core.instalments import one_line_a_plan
from core.money import format_money

# Two blocks an item; with the rest of the card they stay under Slack's fifty, and under its 13,000 characters.
# Admins have more buttons.
ITEMS_SHOWN, ITEMS_SHOWN_TO_ADMINS = 18, 15
_NAME, _DESCRIPTION, _ERROR = 80, 160, 300
_SIBLINGS_SHOWN = 8


def card_text(card: FamilyCard, club: Club) -> str:
    """Return the card in one line of mrkdwn, for notifications."""
    if not card.total_cents:
        return f"{escape(card.player_name)}: nothing is owed."
    return f"{escape(card.player_name)}: the family owes {format_money(card.total_cents, club.currency)}."


def card_blocks(
    card: FamilyCard, club: Club, today: date, balance_url: Callable[[], str], *, may_change: bool
) -> list[Block]:
    """Return the card; an admin's has what charges, changes and undoes.

    `balance_url` makes the address of the family's own page, which lists whatever does not fit here.
    """
    lines = one_line_a_plan(card.items, today)
    room = ITEMS_SHOWN_TO_ADMINS if may_change else ITEMS_SHOWN
    shown, rest = lines[:room], lines[room:]
    blocks: list[Block] = [header(card.player_name), _who(card, club, today), divider()]
    for item in shown:
        blocks += _item(item, card, today, may_change=may_change)
    if rest:
        blocks.append(section(f"…and {count_of(len(rest), 'more item')}; all are on {_link(balance_url())}."))
    blocks.append(section(_total(card, club)))
    undoable = [payment for payment in card.payments if may_change and payment.is_by_hand]
    others = tuple(payment for payment in card.payments if payment not in undoable)
    blocks += [_undoable(payment, card, club, today) for payment in undoable]
    texts = [] if undoable and not others else [_payments(others, club, today)]
    blocks.append(context(*texts, _last_mail(card.last_mail, club, today)))
    if may_change:
        player = str(card.player_id)
        blocks.append(
            actions(
                button("Charge…", "charge_player", player),
                button("Monthly fee…", "player_fee", player),
                _hold_button(card, today),
            )
        )
    return blocks


def _who(card: FamilyCard, club: Club, today: date) -> Block:
    siblings = [escape(cut(name, _NAME)) for name in card.siblings[:_SIBLINGS_SHOWN]]
    if more := len(card.siblings) - len(siblings):
        siblings.append(f"{more} more")
    known = {
        "Team": escape(cut(card.team_name or "no team", _NAME)),
        "Contract": CONTRACTS[card.contract_status],
        "Parent": escape(cut(card.parent_name, _NAME)) or "no name on the roster",
        "E-mail": _email(card, club, today),
        "Phone": escape(card.parent_phone or ""),
        "Siblings": ", ".join(siblings),
        "Second guardian": _second_guardian(card),
        "Monthly fee": ""
        if card.monthly_fee_cents is None
        else format_money(card.monthly_fee_cents, club.currency),
        "Fee note": escape(cut(card.fee_note, _DESCRIPTION)),
        "Reminders": _hold(card, today),
    }
    return fields({label: value for label, value in known.items() if value})


def _email(card: FamilyCard, club: Club, today: date) -> str:
    if not card.parent_email:
        return "❔ no address, so nothing can be mailed"
    address = escape(card.parent_email)
    if card.email_problem is None:
        return address
    when = f" on {day(local_date(card.email_problem_at, club.time_zone), today)}" if card.email_problem_at else ""
    return f"{address}\n⚠️ the mail server refused this address{when}: {escape(cut(card.email_problem, _ERROR))}"


def _second_guardian(card: FamilyCard) -> str:
    if card.second_parent_id is None:
        return ""
    share = card.second_share_percent
    part = "gets copies" if share is None else f"pays {share} %"
    name = escape(cut(card.second_parent_name, _NAME))
    return " · ".join(filter(None, [name, escape(card.second_parent_email or "❔ no address"), part]))


def _hold(card: FamilyCard, today: date) -> str:
    hold = card.hold
    if hold is None or not hold.covers(today):
        return ""
    until = f" until {day(hold.until, today)}" if hold.until else ""
    return f"🔕 No reminders{until}: {escape(cut(hold.reason, _DESCRIPTION))}"


def _hold_button(card: FamilyCard, today: date) -> ButtonElement:
    player = str(card.player_id)
    if card.hold is None or not card.hold.covers(today):
        return button("Hold reminders…", "hold_family", player)
    question = confirmation(
        "Send reminders again?",
        "The family gets reminders again, like everybody who owes something.",
        yes="Lift the hold",
        no="Keep it",
    )
    return button("Lift the hold", "hold_lift", player, confirm=question)


def _item(item: OwedItem, card: FamilyCard, today: date, *, may_change: bool) -> list[Block]:
    whose = "" if item.player_id == card.player_id else f" · {escape(cut(item.player_name, _NAME))}"
    if item.payer_id != card.parent_id:
        whose += f" · {escape(cut(item.parent_name, _NAME)) or 'the other guardian'} pays this"
    title = f"*{escape(cut(item.description, _DESCRIPTION))}*{whose}"
    if item.is_processing:
        return [section(f"{title}\n{amount_in_words(item)} · ⏳ bank payment on its way")]
    details = f"{amount_in_words(item)} · {due_in_words(item.due_date, today)}"
    menu = _menu(item, card) if may_change else None
    if not item.is_payable:
        return [section(f"{title}\n{details}\n✍️ contract not signed, can't be paid yet", accessory=menu)]
    value = OrderValue(item.order_id, item.player_id).encode()
    buttons = actions(
        button("Re-send link", "resend_link", value, style="primary"),
        button("Show link", "copy_link", value),
    )
    return [section(f"{title}\n{details}", accessory=menu), buttons]


def _menu(item: OwedItem, card: FamilyCard) -> OverflowMenuElement:
    # The card to come back to is this one, also where the item is a brother's or a sister's.
    order = OrderValue(item.order_id, card.player_id)
    words = {
        OrderChoice.PAY: "Record a payment…",
        OrderChoice.AMOUNT: "Change the amount…",
        OrderChoice.CANCEL: "Take off the list…",
    }
    return overflow("order_menu", [option(text, MenuValue(each, order).encode()) for each, text in words.items()])


def _total(card: FamilyCard, club: Club) -> str:
    if not card.total_cents:
        return "✅ *Nothing is owed.*"
    altogether = " altogether" if len(card.items) > 1 else ""
    return f"*The family owes {format_money(card.total_cents, club.currency)}{altogether}.*"


def _payments(payments: tuple[PaidItem, ...], club: Club, today: date) -> str:
    if not payments:
        return "*Last payments*\nNone yet."
    return "\n".join(["*Last payments*", *(_payment(payment, club, today) for payment in payments)])


def _undoable(payment: PaidItem, card: FamilyCard, club: Club, today: date) -> Block:
    amount = format_money(payment.amount_cents, payment.currency)
    what = f"{cut(payment.description, _NAME)} ({cut(payment.player_name, _NAME)})"
    question = confirmation(
        "Undo this payment?",
        f"{amount} {METHODS[payment.method]} for {what} counts no more, and is owed again.",
        yes="Undo the payment",
        no="Leave it",
    )
    value = PaymentValue(payment.payment_id, card.player_id).encode()
    return section(
        f"🖊️ {_payment(payment, club, today)}", accessory=button("Undo", "payment_undo", value, confirm=question)
    )


def _payment(payment: PaidItem, club: Club, today: date) -> str:
    paid_on = day(local_date(payment.created_at, club.time_zone), today)
    what = f"{escape(cut(payment.description, _DESCRIPTION))} ({escape(cut(payment.player_name, _NAME))})"
    if payment.amount_cents < 0:
        return f"{paid_on}: {format_money(-payment.amount_cents, payment.currency)} given back, {what}"
    method = METHODS[payment.method]
    if payment.reference:
        method += f" ({escape(cut(payment.reference, _DESCRIPTION))})"
    return f"{paid_on}: {format_money(payment.amount_cents, payment.currency)} {method}, {what}"


def _last_mail(mail: LastMail | None, club: Club, today: date) -> str:
    if mail is None:
        return "*Last mail*\nNone yet."
    sent = moment_in_words(mail.created_at, club.time_zone, today)
    words = f"{DELIVERIES[mail.status]}: {MAILS[mail.email_type]} to {escape(mail.to_address)}, {sent}"
    return f"*Last mail*\n{words}" + (f"\n{escape(cut(mail.error, _ERROR))}" if mail.error else "")


def _link(url: str) -> str:
    return f"<{url}|the family's page>"
