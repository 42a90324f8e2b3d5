"""What the payments channel is told, in words: a builder for each kind of notice. Pure: notice in, blocks out."""

from collections.abc import Callable, Mapping
from datetime import date, datetime

from slack_sdk.models.blocks import Block

from bot.blocks import actions, button, confirmation, context, search_select, section
from bot.refund_offer import refund_blocks
from bot.text import count_of, cut, escape, mention, one_line
from bot.values import OrderValue
from bot.wording import METHODS, due_in_words, item_in_words, moment_in_words, recorded_in_words
from core.club import Club
from core.models.statuses import OrderStatus
from core.money import format_money
from core.notice_facts import NoticeView, OrderFacts
from core.notices import NoticeKind
from core.refunds import RefundOffer
from core.unmatched import Unmatched

# Its number is the payment's id.
UNMATCHED_BLOCK = "unmatched:"
REPEATED = "Sent again: Slack's answer to the first try was lost."
_ITEMS_SHOWN = 5
_NAME, _TEXT = 80, 160
_DISPUTES_LOST = {"lost"}
_NOT_ASKED_AGAIN = {OrderStatus.REFUNDED, OrderStatus.PARTIALLY_REFUNDED}
_DISPUTES_WON = {"won", "warning_closed", "prevented"}


def notice_blocks(notice: NoticeView, today: date) -> list[Block]:
    """Return the message of a notice."""
    blocks = _BUILDERS[notice.kind](notice, today)
    if notice.is_repeat:
        blocks.append(context(REPEATED))
    return blocks


def notice_text(notice: NoticeView) -> str:
    """Return a notice in one line of mrkdwn, for notifications."""
    if notice.unmatched is not None:
        return f"A payment of {_paid(notice.unmatched)} fits no order."
    if notice.order is None:
        return _TITLES[notice.kind]
    order = notice.order
    return f"{_TITLES[notice.kind]}: {_amount(notice)}, {escape(cut(order.player_name, _NAME))}, {_item(order)}"


_TITLES: Mapping[NoticeKind, str] = {
    NoticeKind.PAYMENT: "Paid",
    NoticeKind.SECOND_PAYMENT: "Paid twice",
    NoticeKind.RECORDED: "Recorded",
    NoticeKind.UNDONE: "Undone",
    NoticeKind.PROCESSING: "Bank payment on its way",
    NoticeKind.PAYMENT_FAILED: "Bank payment failed",
    NoticeKind.REFUND: "Given back",
    NoticeKind.REFUND_FAILED: "Refund failed",
    NoticeKind.DISPUTE_OPENED: "Payment disputed",
    NoticeKind.DISPUTE_CLOSED: "Dispute closed",
    NoticeKind.UNKNOWN_DISPUTE: "A payment that is not in the books is disputed",
    NoticeKind.UNMATCHED: "Payment without an order",
    NoticeKind.UNREADABLE_EVENT: "Something that Stripe told could not be read",
}


def _order(notice: NoticeView) -> OrderFacts:
    if notice.order is None:
        raise LookupError(f"notice {notice.id} ({notice.kind}) names no order")
    return notice.order


def _amount(notice: NoticeView) -> str:
    return format_money(int(notice.facts["amount_cents"]), _order(notice).currency)


def _item(order: OrderFacts) -> str:
    return escape(cut(order.description, _TEXT))


def _who(order: OrderFacts) -> str:
    """Return the family and the child: `Pat Reed for Jaxon Reed (U12 Blue)`."""
    player = f"*{escape(cut(order.player_name, _NAME))}*"
    team = f" ({escape(cut(order.team_name, _NAME))})" if order.team_name else ""
    parent = escape(cut(order.parent_name, _NAME))
    return f"{parent} for {player}{team}" if parent else f"{player}{team}"


def _still_owed(order: OrderFacts, today: date) -> Block:
    items = [item for item in order.family_items if not item.is_processing]
    if not items:
        return context("Nothing else is owed.")
    lines = [f"The family still owes *{format_money(order.family_owes_cents, order.currency)}*:"]
    for item in items[:_ITEMS_SHOWN]:
        whose = f"{escape(cut(item.player_name, _NAME))} · "
        lines.append(f"• {whose}{item_in_words(item)} · {due_in_words(item.due_date, today)}")
    if rest := items[_ITEMS_SHOWN:]:
        lines.append(f"…and {count_of(len(rest), 'more item')}")
    return context("\n".join(lines))


def _payment(notice: NoticeView, today: date) -> list[Block]:
    order = _order(notice)
    method = METHODS[notice.facts["method"]]
    return [
        section(f"✅ *Paid*: {_amount(notice)} {method}\n{_who(order)}: {_item(order)}{_over(notice)}"),
        *refund_blocks(notice.refund),
        _still_owed(order, today),
    ]


def _over(notice: NoticeView) -> str:
    cents = notice.facts.get("over_cents")
    if not cents:
        return ""
    over = format_money(int(cents), _order(notice).currency)
    return f"\n⚠️ That is *{over} more* than was owed; the family probably gets that part back."


def _second_payment(notice: NoticeView, today: date) -> list[Block]:
    order = _order(notice)
    method = METHODS[notice.facts["method"]]
    return [
        section(
            f"⚠️ *Paid twice*: another {_amount(notice)} {method}\n{_who(order)}: {_item(order)}\n"
            "It was paid before, so the family probably gets this payment back."
        ),
        *refund_blocks(notice.refund),
        _still_owed(order, today),
    ]


def _recorded(notice: NoticeView, today: date) -> list[Block]:
    order = _order(notice)
    words = recorded_in_words(notice.facts["method"], _amount(notice), notice.facts.get("check_number"))
    return [
        section(
            f"🖊️ *Recorded by* {mention(notice.facts['actor'])}: {words}\n{_who(order)}: {_item(order)}\n"
            "Was it a mistake? It can be undone on the player's card."
        ),
        _still_owed(order, today),
    ]


def _undone(notice: NoticeView, today: date) -> list[Block]:
    order = _order(notice)
    words = recorded_in_words(notice.facts["method"], _amount(notice), None)
    return [
        section(f"↩️ *Undone by* {mention(notice.facts['actor'])}: {words}\n{_who(order)}: {_item(order)}"),
        _still_owed(order, today),
    ]


def _processing(notice: NoticeView, today: date) -> list[Block]:
    order = _order(notice)
    return [
        section(
            f"⏳ *Bank payment on its way*: {_amount(notice)}\n{_who(order)}: {_item(order)}\n"
            "Banks take a few days. Nobody is asked for it meanwhile."
        ),
        _still_owed(order, today),
    ]


def _payment_failed(notice: NoticeView, today: date) -> list[Block]:
    order = _order(notice)
    return [
        section(
            f"❌ *Bank payment failed*: {_amount(notice)}\n{_who(order)}: {_item(order)}\n"
            "It is owed again. The link in the family's mails works for another try; the bank tells the family, "
            "we don't, so a mail from you helps."
        ),
        *_resend_button(order),
        _still_owed(order, today),
    ]


def _resend_button(order: OrderFacts) -> list[Block]:
    if order.status != OrderStatus.PENDING:
        return []
    return [actions(button("Re-send link", "resend_link", OrderValue(order.order_id, order.player_id).encode()))]


def _refund(notice: NoticeView, today: date) -> list[Block]:
    order = _order(notice)
    words = f"↩️ *Given back*: {_amount(notice)}\n{_who(order)}: {_item(order)}"
    if order.status in _NOT_ASKED_AGAIN:
        words += "\nNobody is asked for it again; if it is to be paid after all, charge it anew."
    return [section(words), _still_owed(order, today)]


def _refund_failed(notice: NoticeView, _today: date) -> list[Block]:
    order = _order(notice)
    return [
        section(
            f"❌ *Refund failed*: {_amount(notice)}\n{_who(order)}: {_item(order)}\n"
            "The family's bank did not take the money, so the club has it again. Ask the family how else they can "
            "be paid back, then try again or send it another way."
        ),
        *refund_blocks(notice.refund),
    ]


def _dispute_opened(notice: NoticeView, today: date) -> list[Block]:
    order = _order(notice)
    return [
        section(
            f"⚠️ *Payment disputed*: {_amount(notice)}\n{_who(order)}: {_item(order)}\n"
            f"{_what_to_answer(notice, today)} Asking the family first often settles it."
        )
    ]


def _unknown_dispute(notice: NoticeView, today: date) -> list[Block]:
    amount = format_money(int(notice.facts["amount_cents"]), notice.club.currency)
    return [
        section(
            f"⚠️ *A payment is disputed that is not in the books*: {amount}\n{_what_to_answer(notice, today)} "
            "Stripe shows who paid; should the payment still come in, we say so here."
        )
    ]


def _what_to_answer(notice: NoticeView, today: date) -> str:
    reason = one_line(str(notice.facts.get("reason") or "")).replace("_", " ")
    because = f" The bank's reason: {escape(cut(reason, _TEXT))}." if reason else ""
    return (
        f"Somebody asked the bank for this money back.{because}\n"
        f"{_deadline(notice.facts.get('due_by'), notice.club, today)} In Stripe, open the payment and choose "
        "“Counter dispute” or “Accept dispute”."
    )


def _unreadable_event(notice: NoticeView, _today: date) -> list[Block]:
    event_id, kind = (escape(cut(str(notice.facts[name]), _TEXT)) for name in ("event_id", "event_type"))
    return [
        section(
            f"⚠️ *Something that Stripe told could not be read*: {kind}\nNothing was changed. Please look at "
            f"{event_id} in Stripe under Developers → Events, and tell whoever looks after Sideline."
        )
    ]


def _deadline(due_by: object, club: Club, today: date) -> str:
    if not isinstance(due_by, str):
        return "Stripe shows until when it takes an answer."
    return f"*Answer by {moment_in_words(datetime.fromisoformat(due_by), club.time_zone, today)}.*"


def _dispute_closed(notice: NoticeView, _today: date) -> list[Block]:
    order = _order(notice)
    status = str(notice.facts["status"])
    outcome = f"it ended as “{escape(status.replace('_', ' '))}”"
    if status in _DISPUTES_WON:
        outcome = "✅ the club keeps the money"
    elif status in _DISPUTES_LOST:
        outcome = "❌ the money went back to the family; if the fee is still owed, charge it anew"
    return [section(f"*Dispute closed*: {_amount(notice)}, {outcome}\n{_who(order)}: {_item(order)}")]


def _unmatched(notice: NoticeView, _today: date) -> list[Block]:
    if notice.unmatched is None:
        raise LookupError(f"notice {notice.id} names no unmatched payment")
    return unmatched_blocks(notice.unmatched, notice.order, notice.refund)


def unmatched_blocks(payment: Unmatched, matched_to: OrderFacts | None, refund: RefundOffer | None) -> list[Block]:
    """Return the question whose a payment is or, once somebody has said so, the answer."""
    lines = [f"❓ *A payment fits no order*: {_paid(payment)} {METHODS.get(payment.method, '')}".rstrip()]
    payer = " · ".join(escape(part) for part in (payment.payer_name, payment.payer_email) if part)
    lines.append(f"Paid by {payer}" if payer else "Stripe does not say who paid it.")
    if not payment.is_open:
        return [section("\n".join(lines)), section(_match(payment, matched_to)), *refund_blocks(refund)]
    lines.append("Whose is it? An admin can choose; typing a name looks further.")
    question = confirmation(
        "Match the payment?",
        f"{_paid(payment)} will count as paid on the item you chose.",
        yes="Match it",
        no="Not yet",
    )
    chooser = search_select("Choose what it paid for", "payment_match", from_length=0, confirm=question)
    return [section("\n".join(lines)), actions(chooser, block_id=f"{UNMATCHED_BLOCK}{payment.id}")]


def _match(payment: Unmatched, order: OrderFacts | None) -> str:
    to = f" to {_who(order)}: {_item(order)}" if order is not None else ""
    return f"✅ Matched by {mention(payment.matched_by)}{to}"


def _paid(payment: Unmatched) -> str:
    return format_money(payment.amount_cents, payment.currency)


_BUILDERS: Mapping[NoticeKind, Callable[[NoticeView, date], list[Block]]] = {
    NoticeKind.PAYMENT: _payment,
    NoticeKind.SECOND_PAYMENT: _second_payment,
    NoticeKind.RECORDED: _recorded,
    NoticeKind.UNDONE: _undone,
    NoticeKind.PROCESSING: _processing,
    NoticeKind.PAYMENT_FAILED: _payment_failed,
    NoticeKind.REFUND: _refund,
    NoticeKind.REFUND_FAILED: _refund_failed,
    NoticeKind.DISPUTE_OPENED: _dispute_opened,
    NoticeKind.DISPUTE_CLOSED: _dispute_closed,
    NoticeKind.UNKNOWN_DISPUTE: _unknown_dispute,
    NoticeKind.UNREADABLE_EVENT: _unreadable_event,
    NoticeKind.UNMATCHED: _unmatched,
}
