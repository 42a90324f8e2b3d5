"""Mails that go out by themselves around due dates: `reminders show|set|on|off|preview|run`."""

from dataclasses import dataclass
from datetime import datetime, time
from typing import Annotated, Any

import typer

from cli.output import AsJson, ClubName, Commit, finish, print_json, say, say_list
from cli.runtime import run_for_club
from core.club import Club
from core.errors import InvalidInputError
from core.money import format_money
from core.reminder_audience import DayPlan
from core.reminder_rules import (
    CHANGEABLE,
    WEEKDAY_NAMES,
    Rules,
    change_rules,
    load_rules,
    read_days,
    rules_in_words,
    switch,
    time_in_words,
)
from core.reminders import NextReminders, Reminded
from core.services import Services

ACTOR = "cli"


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    group = typer.Typer(no_args_is_help=True, help="Mails that go out by themselves around due dates.")
    group.command("show")(show)
    group.command("set")(set_rules)
    group.command("on")(switch_on)
    group.command("off")(switch_off)
    group.command("preview")(preview)
    group.command("run")(run)
    app.add_typer(group, name="reminders")


def show(club: ClubName = None, as_json: AsJson = False) -> None:
    """Show the rules, and what goes out next."""

    async def work(services: Services, chosen: Club) -> tuple[Club, NextReminders]:
        async with services.database.transaction() as conn:
            return chosen, await services.reminders.next(conn, chosen)

    chosen, upcoming = run_for_club(club, work)
    rules = upcoming.rules
    say(f"Reminders are {'on' if rules.is_on else 'off'}: {rules_in_words(rules)}.")
    say("Somebody approves each day's first." if rules.needs_approval else "They go out without approval.")
    say(f"Quiet from {time_in_words(rules.quiet_from)} to {time_in_words(rules.quiet_until)}.")
    say(f"At least {rules.min_gap_days} day(s) between two mails to a family.")
    if rules.is_on:
        say(f"Next: {_in_words(upcoming.plan, chosen)}.")
    if as_json:
        print_json({"is_on": rules.is_on, "rules": _rules_as_json(rules), "next": _plan_as_json(upcoming.plan)})


def set_rules(  # noqa: PLR0917 - Typer's options are function arguments
    before: Annotated[
        str | None, typer.Option(help='Days before the due date, like 3 or 7,1; "" for none.')
    ] = None,
    after: Annotated[str | None, typer.Option(help='Days after it, like 1,7,14; "" for none.')] = None,
    weekdays: Annotated[str | None, typer.Option(help="Like mon-fri or tue,thu.")] = None,
    at: Annotated[str | None, typer.Option(help="When, in the club's own time, like 09:00.")] = None,
    quiet: Annotated[str | None, typer.Option(help="When nothing goes out, like 20:00-08:00.")] = None,
    gap: Annotated[int | None, typer.Option(help="Days between two mails to a family, at least.")] = None,
    approval: Annotated[
        bool | None, typer.Option("--approval/--no-approval", help="Whether somebody approves each day's first.")
    ] = None,
    club: ClubName = None,
    commit: Commit = False,
    as_json: AsJson = False,
) -> None:
    """Change the rules; those not named stay as they are."""
    wanted: dict[str, Any] = {
        "days_before": None if before is None else read_days(before),
        "days_after": None if after is None else read_days(after),
        "weekdays": None if weekdays is None else _weekdays(weekdays),
        "send_at": None if at is None else _time(at),
        "min_gap_days": gap,
        "needs_approval": approval,
    }
    if quiet is not None:
        wanted["quiet_from"], wanted["quiet_until"] = _hours(quiet)
    wanted = {name: value for name, value in wanted.items() if value is not None}
    if not wanted:
        raise InvalidInputError(
            "Say what to change, like --after 1,7,14; `sideline reminders set --help` lists all."
        )

    async def work(services: Services, chosen: Club) -> tuple[dict[str, Any], dict[str, Any], Rules]:
        async with services.database.transaction(keep=commit) as conn:
            before, after = await change_rules(conn, chosen, wanted, actor=ACTOR)
            return before, after, await load_rules(conn, chosen.id)

    was, now, rules = run_for_club(club, work)
    say(f"{'Changed' if commit else 'Would change'} {len(now)} rule(s); {len(wanted) - len(now)} as before.")
    say_list(f"{name}: {_word(was[name])} becomes {_word(now[name])}" for name in now)
    if not rules.is_on:
        say("Reminders are off; `sideline reminders on` switches them on.")
    result = {"created": len(now), "skipped": len(wanted) - len(now), "failed": 0, "rules": _rules_as_json(rules)}
    finish(result, commit=commit, as_json=as_json)


def switch_on(club: ClubName = None, commit: Commit = False, as_json: AsJson = False) -> None:
    """Switch reminders on, from the next time on; what would have gone out before is not made up for."""
    _switch(club, on=True, commit=commit, as_json=as_json)


def switch_off(club: ClubName = None, commit: Commit = False, as_json: AsJson = False) -> None:
    """Switch reminders off. What was approved already still goes out; stop that in Slack."""
    _switch(club, on=False, commit=commit, as_json=as_json)


def _switch(club: str | None, *, on: bool, commit: bool, as_json: bool) -> None:
    async def work(services: Services, chosen: Club) -> tuple[bool, Club, NextReminders]:
        async with services.database.transaction(keep=commit) as conn:
            if on:
                await _check_that_they_work(services, chosen, await load_rules(conn, chosen.id))
            is_changed = await switch(conn, chosen, on=on, actor=ACTOR, now=services.clock())
            return is_changed, chosen, await services.reminders.next(conn, chosen)

    is_changed, chosen, upcoming = run_for_club(club, work)
    word = "on" if on else "off"
    say(f"Reminders {'are' if commit or not is_changed else 'would be'} {word}{'' if is_changed else ' already'}.")
    if on:
        say(f"{rules_in_words(upcoming.rules)}. Next: {_in_words(upcoming.plan, chosen)}.")
    result = {"created": int(is_changed), "skipped": int(not is_changed), "failed": 0, "is_on": on}
    finish(result, commit=commit, as_json=as_json)


async def _check_that_they_work(services: Services, club: Club, rules: Rules) -> None:
    if not services.mailer.is_on:
        raise InvalidInputError("Mail is off: set SMTP_URL and MAIL_FROM first.")
    channel = club.slack_approvals_channel or club.slack_payments_channel or services.settings.approvals_channel
    if rules.needs_approval and channel is None:
        raise InvalidInputError(
            "SLACK_APPROVALS_CHANNEL is not set, so nobody could approve them: set it, or write "
            "`sideline reminders set --no-approval`."
        )


def preview(
    on: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="A day to come; else the next one.")
    ] = None,
    club: ClubName = None,
    as_json: AsJson = False,
) -> None:
    """List whom the next reminders would reach, as things are now, and who is left out. Sends nothing."""

    async def work(services: Services, chosen: Club) -> tuple[Club, NextReminders, list[Reminded]]:
        async with services.database.transaction(keep=False) as conn:
            upcoming = await services.reminders.next(conn, chosen, on.date() if on else None)
            return chosen, upcoming, await services.reminders.named(conn, upcoming.plan)

    chosen, upcoming, reminded = run_for_club(club, work)
    if not upcoming.rules.is_on:
        say("Reminders are off; this is what they would be.")
    say(f"{_in_words(upcoming.plan, chosen)}.")
    say_list((_reminded(each, chosen) for each in reminded), all_of_them=True)
    _say_left_out(upcoming.plan)
    if as_json:
        print_json(_plan_as_json(upcoming.plan))


def run(club: ClubName = None, commit: Commit = False, as_json: AsJson = False) -> None:
    """Make today's reminders now, before their time; once a day, on the days and hours that the rules allow."""

    async def work(services: Services, chosen: Club) -> _Ran:
        done = await services.reminders.run_now(chosen, actor=ACTOR, keep=commit)
        async with services.database.transaction(keep=False) as conn:
            reminded = await services.reminders.named(conn, done.plan)
        return _Ran(chosen, done.plan, done.blast_id, done.needs_approval, reminded)

    ran = run_for_club(club, work)
    say(f"{_in_words(ran.plan, ran.club)}.")
    say_list(_reminded(each, ran.club) for each in ran.reminded)
    _say_left_out(ran.plan)
    if ran.blast_id is not None and commit:
        waits = "Waiting for approval in Slack." if ran.needs_approval else "A running `sideline run` sends them."
        say(waits)
    result = {
        **_plan_as_json(ran.plan),
        "blast_id": ran.blast_id if commit else None,
        "created": len(ran.plan.audience.recipients),
        "skipped": len(ran.plan.audience.skipped),
        "failed": 0,
    }
    finish(result, commit=commit, as_json=as_json)


@dataclass(frozen=True, slots=True)
class _Ran:
    club: Club
    plan: DayPlan
    blast_id: int | None
    needs_approval: bool
    reminded: list[Reminded]


def _in_words(plan: DayPlan, club: Club) -> str:
    total = format_money(plan.audience.total_cents, club.currency)
    return f"{plan.day:%a} {plan.day}: {len(plan.audience.recipients)} mail(s) over {total}"


def _reminded(each: Reminded, club: Club) -> str:
    amount = format_money(each.total_cents, club.currency) if each.total_cents else "a copy"
    return f"{each.parent_name or 'no name'} <{each.email}>: {amount}"


def _say_left_out(plan: DayPlan) -> None:
    if plan.audience.skipped:
        say(f"Left out: {len(plan.audience.skipped)}")
        say_list((f"{each.parent_name}: {each.words}" for each in plan.audience.skipped), all_of_them=True)


def _plan_as_json(plan: DayPlan) -> dict[str, Any]:
    return {
        "day": plan.day.isoformat(),
        "recipients": len(plan.audience.recipients),
        "total_cents": plan.audience.total_cents,
        "left_out": [{"parent_id": each.parent_id, "reason": each.words} for each in plan.audience.skipped],
    }


def _rules_as_json(rules: Rules) -> dict[str, Any]:
    values = {name: getattr(rules, name) for name in sorted(CHANGEABLE)}
    return {name: time_in_words(value) if isinstance(value, time) else value for name, value in values.items()}


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(str(each) for each in value) or "none"
    return time_in_words(value) if isinstance(value, time) else str(value)


def _time(typed: str) -> time:
    try:
        return datetime.strptime(typed.strip(), "%H:%M").time()  # noqa: DTZ007 - a time of the day has no zone
    except ValueError:
        raise InvalidInputError(f"“{typed}” is no time of the day; write it like 09:00") from None


def _hours(typed: str) -> tuple[time, time]:
    begin, dash, end = typed.partition("-")
    if not dash:
        raise InvalidInputError(f"“{typed}” are no hours; write them like 20:00-08:00")
    return _time(begin), _time(end)


def _weekdays(typed: str) -> tuple[int, ...]:
    """Read `mon-fri` or `tue,thu` as ISO weekdays."""
    numbers = {name.casefold(): number for number, name in enumerate(WEEKDAY_NAMES, 1)}
    days: set[int] = set()
    for part in typed.replace(" ", "").casefold().split(","):
        first, _, last = part.partition("-")
        if first not in numbers or (last or first) not in numbers:
            raise InvalidInputError(f"“{typed}” are no days of the week; write them like mon-fri or tue,thu")
        begin, end = numbers[first], numbers[last or first]
        days |= set(range(begin, end + 1)) if begin <= end else {*range(begin, 8), *range(1, end + 1)}
    return tuple(sorted(days))
