"""How reminders look in Slack: the lines in the home tab, the window that changes them, the preview. Pure."""

from collections.abc import Sequence
from datetime import date, time
from typing import Any

from slack_sdk.models.blocks import (
    Block,
    CheckboxesElement,
    InputBlock,
    InputInteractiveElement,
    Option,
    TimePickerElement,
)
from slack_sdk.models.views import View

from bot.blast_modal import audience_in_words
from bot.blocks import actions, button, context, divider, option, plain, section, select, window
from bot.form import HINT, LABEL, Json, chosen, form, text_input, typed
from bot.text import count_of, cut, escape
from bot.wording import day
from core.club import Club
from core.errors import InvalidInputError, WrongFieldError
from core.money import format_money
from core.reminder_rules import MOST_DAYS_BEFORE, MOST_GAP_DAYS, Rules, read_days, rules_in_words
from core.reminders import NextReminders, Reminded

CHANGE, PREVIEW = "reminders_change", "reminders_preview"
SWITCH, APPROVAL = "is_on", "needs_approval"
_ON, _OFF = "on", "off"
_FAMILIES_SHOWN = 20
_NAME = 60
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def reminder_blocks(upcoming: NextReminders, club: Club, today: date) -> list[Block]:
    """Return what the home tab shows admins: whether reminders are on, how, and what goes out next."""
    buttons = actions(
        button("Change reminders…", CHANGE, "rules"), button("Preview the next ones", PREVIEW, "next")
    )
    return [divider(), section(f"*Reminders*\n{status_in_words(upcoming, club, today)}"), buttons]


def status_in_words(upcoming: NextReminders, club: Club, today: date) -> str:
    """Return the rules and what goes out next, as mrkdwn."""
    rules, plan = upcoming.rules, upcoming.plan
    words = escape(rules_in_words(rules))
    if not rules.is_on:
        return f"Off. Switched on, families are mailed {words}."
    asked = " Somebody approves each day's first." if rules.needs_approval else ""
    if not plan.audience.recipients:
        return f"On: {words}.{asked} Next: {_when(plan.day, today)}, nobody as things are now."
    families = count_of(len(plan.audience.recipients), "family", "families")
    total = format_money(plan.audience.total_cents, club.currency)
    return f"On: {words}.{asked} Next: {_when(plan.day, today)}, {families}, {total}."


def preview_window(upcoming: NextReminders, reminded: Sequence[Reminded], club: Club, today: date) -> View:
    """Return the window that shows who would be mailed, and who would not and why."""
    plan = upcoming.plan
    heading = f"*{_when(plan.day, today).capitalize()}*, as things are now:"
    if not upcoming.rules.is_on:
        heading = f"Reminders are off. Switched on, *{_when(plan.day, today)}*:"
    blocks: list[Block] = [section(f"{heading}\n{audience_in_words(plan.audience, club.currency)}")]
    lines = [
        f"• {escape(cut(each.parent_name or each.email or 'no name', _NAME))}: {_asked(each, club)}"
        for each in reminded[:_FAMILIES_SHOWN]
    ]
    if more := len(reminded) - len(lines):
        lines.append(f"…and {more:,} more; `sideline reminders preview` lists all")
    if lines:
        blocks.append(section("\n".join(lines)))
    blocks.append(context("Nothing was sent. Each mail is checked again when it goes out."))
    return window("Next reminders", blocks)


def rules_modal(rules: Rules) -> View:
    """Return the window that changes the rules."""
    blocks: list[Block] = [
        _choice(SWITCH, "Reminders", [option("On", _ON), option("Off", _OFF)], _ON if rules.is_on else _OFF),
        _choice(
            APPROVAL,
            "Before they go out",
            [option("Somebody approves each day's", _ON), option("They go out by themselves", _OFF)],
            _ON if rules.needs_approval else _OFF,
        ),
        text_input(
            "days_before",
            "Days before the due date",
            initial=_days(rules.days_before),
            hint=f"Like 3 or 7, 1; at most {MOST_DAYS_BEFORE}. Empty: not before.",
            optional=True,
        ),
        text_input(
            "days_after",
            "Days after the due date",
            initial=_days(rules.days_after),
            hint="Like 1, 7, 14; 0 is the day itself. Empty: not after.",
            optional=True,
        ),
        _weekdays(rules.weekdays),
        _time("send_at", "At what time", rules.send_at, "The club's own time."),
        _time("quiet_from", "Quiet from", rules.quiet_from, "No reminder goes out in the quiet hours."),
        _time("quiet_until", "Quiet until", rules.quiet_until, ""),
        text_input(
            "min_gap_days",
            "Days between two mails to a family, at least",
            initial=str(rules.min_gap_days),
            hint=f"0 to {MOST_GAP_DAYS}. Blasts and re-sent links count too, receipts don't.",
        ),
    ]
    return form(CHANGE, "Reminders", blocks, submit="Save", metadata="")


def read_rules(view: Json) -> tuple[bool, dict[str, Any]]:
    """Return whether reminders are to be on, and the rules, as they were sent in.

    Raises:
        WrongFieldError
    """
    wanted: dict[str, Any] = {
        "needs_approval": chosen(view, APPROVAL) == _ON,
        "weekdays": tuple(int(each["value"]) for each in _state(view, "weekdays").get("selected_options") or []),
    }
    for name in ("days_before", "days_after"):
        try:
            wanted[name] = read_days(typed(view, name))
        except InvalidInputError as error:
            raise WrongFieldError(str(error), name) from None
    for name in ("send_at", "quiet_from", "quiet_until"):
        wanted[name] = time.fromisoformat(str(_state(view, name)["selected_time"]))
    gap = typed(view, "min_gap_days")
    if not (gap.isascii() and gap.isdigit() and len(gap) < 4):
        raise WrongFieldError(f"Write a whole number from 0 to {MOST_GAP_DAYS}.", "min_gap_days")
    return chosen(view, SWITCH) == _ON, wanted | {"min_gap_days": int(gap)}


def _asked(each: Reminded, club: Club) -> str:
    # Who only gets copies owes nothing of it.
    return format_money(each.total_cents, club.currency) if each.total_cents else "a copy"


def _when(on: date, today: date) -> str:
    days = (on - today).days
    return {0: "today", 1: "tomorrow"}.get(days, f"{on:%a}, {day(on, today)}")


def _days(days: Sequence[int]) -> str:
    return ", ".join(str(each) for each in days)


def _weekdays(chosen_days: Sequence[int]) -> InputBlock:
    options = [option(name, str(number)) for number, name in enumerate(_WEEKDAYS, 1)]
    initial = [each for number, each in enumerate(options, 1) if number in chosen_days]
    element = CheckboxesElement(action_id="weekdays", options=options, initial_options=initial or None)
    return _input("weekdays", "On which days", element)


def _time(name: str, label: str, initial: time, hint: str) -> InputBlock:
    return _input(name, label, TimePickerElement(action_id=name, initial_time=f"{initial:%H:%M}"), hint)


def _choice(name: str, label: str, options: list[Option], initial: str) -> InputBlock:
    element = select("Choose", name, options)
    element.initial_option = next(each for each in options if each.value == initial)
    return _input(name, label, element)


def _input(name: str, label: str, element: InputInteractiveElement, hint: str = "") -> InputBlock:
    hinted = plain(hint, HINT) if hint else None
    return InputBlock(block_id=name, label=plain(label, LABEL), element=element, hint=hinted)


def _state(view: Json, name: str) -> Json:
    state: Json = view["state"]["values"][name][name]
    return state
