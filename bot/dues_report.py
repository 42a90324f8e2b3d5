"""The treasurer's overview as blocks. Pure: a report in, blocks out."""

from datetime import date

from slack_sdk.models.blocks import Block

from bot.blocks import context, divider, header, section
from bot.text import count_of, cut, escape
from bot.wording import amount_in_words, day, due_in_words
from core.club import Club
from core.dues import DuesReport, TeamDues
from core.money import format_money

TEAMS_SHOWN = 15
_NAME, _TEXT = 80, 160
HOW_TO = (
    "`/dues` shows what is owed by team, what came in this month and the oldest debts; "
    "`/dues U12 Blue` the same for one team. Only you see the answer."
)


def dues_text(report: DuesReport, club: Club) -> str:
    """Return the report in one line of mrkdwn."""
    whose = f"{escape(report.team_name)}: " if report.team_name else ""
    return f"{whose}{format_money(report.owed_cents, club.currency)} owed."


def dues_blocks(report: DuesReport, club: Club, today: date) -> list[Block]:
    """Return the report."""
    blocks: list[Block] = [
        header(f"Dues: {report.team_name or club.name}"),
        section(dues_summary(report, club, today)),
    ]
    if report.teams and report.team_name is None:
        blocks.append(section("\n".join(["*By team*", *_teams(report, club)])))
    if report.oldest:
        blocks += [divider(), section("\n".join(["*Oldest debts*", *_oldest(report, today)]))]
    blocks.append(context(HOW_TO))
    return blocks


def dues_summary(report: DuesReport, club: Club, today: date) -> str:
    """Return the two figures that matter most, as mrkdwn."""
    collected = format_money(report.collected_cents, club.currency)
    since = f"Collected since {day(report.collected_since, today)}: *{collected}*"
    if not report.teams:
        return f"✅ Nothing is owed.\n{since}"
    players = count_of(sum(team.players for team in report.teams), "player")
    return f"Owed: *{format_money(report.owed_cents, club.currency)}* by {players}\n{since}"


def _teams(report: DuesReport, club: Club) -> list[str]:
    lines = [_team(team, club) for team in report.teams[:TEAMS_SHOWN]]
    if rest := report.teams[TEAMS_SHOWN:]:
        owed = format_money(sum(team.owed_cents for team in rest), club.currency)
        lines.append(f"…and {count_of(len(rest), 'more team')}, {owed}")
    return lines


def _team(team: TeamDues, club: Club) -> str:
    name = escape(cut(team.team_name or "No team", _NAME))
    owed = format_money(team.owed_cents, club.currency)
    return f"• {name}: *{owed}*, {count_of(team.players, 'player')}, {count_of(team.items, 'item')}"


def _oldest(report: DuesReport, today: date) -> list[str]:
    return [
        f"• {escape(cut(item.player_name, _NAME))} · {escape(cut(item.description, _TEXT))} · "
        f"{amount_in_words(item)} · {due_in_words(item.due_date, today)}"
        for item in report.oldest
    ]
