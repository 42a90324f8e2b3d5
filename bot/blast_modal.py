"""The window in which a blast is put together. Pure: who it reaches in, a view out."""

from collections import defaultdict
from collections.abc import Sequence

from slack_sdk.models.blocks import InputBlock, Option, PlainTextInputElement, SectionBlock
from slack_sdk.models.views import View

from bot.blocks import OPTIONS, TITLE_TEXT, context, option, plain, section, select
from bot.text import count_of, cut, escape
from bot.values import read_id
from core.audiences import Audience, AudienceQuery, Skipped
from core.models.statuses import EmailType
from core.money import format_money
from core.teams import TeamName
from core.tournaments import TournamentSummary

CALLBACK_ID = "blast"
AUDIENCE, NOTE = "blast_audience", "blast_note"
LONGEST_NOTE = 1000
EVERYONE, _FIRST_PAYMENT, _TOURNAMENT = "everyone", "first_payment", "tournament."
TOURNAMENTS_SHOWN = 20
_WHAT_FOLLOWS = "Your request goes to the approvals channel. Nothing is mailed before somebody approves it there."
_NAMES_SHOWN = 8
_NAME = 60


def blast_modal(teams: Sequence[TeamName], tournaments: Sequence[TournamentSummary], numbers: str) -> View:
    """Return the window; `numbers` is mrkdwn, `tournaments` come latest first."""
    audiences = [option("Everyone who owes something", EVERYONE), option("First payment", _FIRST_PAYMENT)]
    audiences += [
        option(f"Tournament: {tournament.name}", f"{_TOURNAMENT}{tournament.id}", f"{tournament.starts_on}")
        for tournament in tournaments[:TOURNAMENTS_SHOWN]
    ]
    room = OPTIONS - len(audiences)
    audiences += [option(team.name, str(team.id)) for team in teams[:room]]
    blocks = [_audience_input(audiences), _numbers(numbers), _note_input(), context(_WHAT_FOLLOWS)]
    if rest := teams[room:]:
        blocks.append(context(f"{count_of(len(rest), 'team')} did not fit into the list."))
    return View(
        type="modal",
        callback_id=CALLBACK_ID,
        title=plain("Mail families", TITLE_TEXT),
        submit=plain("Ask for approval", TITLE_TEXT),
        close=plain("Not now", TITLE_TEXT),
        blocks=blocks,
    )


def _audience_input(audiences: list[Option]) -> InputBlock:
    element = select("Choose who", AUDIENCE, audiences)
    element.initial_option = audiences[0]
    return InputBlock(block_id=AUDIENCE, label=plain("Who", 2000), element=element, dispatch_action=True)


def _numbers(numbers: str) -> SectionBlock:
    return section(numbers, block_id="blast_numbers")


def _note_input() -> InputBlock:
    return InputBlock(
        block_id=NOTE,
        label=plain("A note to add to the mail", 2000),
        element=PlainTextInputElement(action_id=NOTE, multiline=True, max_length=LONGEST_NOTE),
        hint=plain("It stands above the list of what the family owes. Families see it word for word.", 2000),
        optional=True,
    )


def read_audience(value: str) -> AudienceQuery:
    """Return the audience that was chosen.

    Raises:
        InvalidInputError: where it is no choice of ours.
    """
    if value == _FIRST_PAYMENT:
        return AudienceQuery(EmailType.FIRST_PAYMENT)
    if value.startswith(_TOURNAMENT):
        tournament_id = read_id(value.removeprefix(_TOURNAMENT))
        return AudienceQuery(EmailType.TOURNAMENT_FEE, tournament_id=tournament_id)
    team_id = None if value == EVERYONE else read_id(value)
    return AudienceQuery(EmailType.OUTSTANDING_BALANCE, team_id=team_id)


def audience_in_words(audience: Audience, currency: str) -> str:
    """Return whom a blast would reach, and who is left out and why, as mrkdwn."""
    if audience.recipients:
        families = count_of(len(audience.recipients), "family", "families")
        total = format_money(audience.total_cents, currency)
        lines = [f"*{families}* would get a mail, asking for *{total}* altogether."]
    else:
        lines = ["Nobody would get a mail."]
    by_reason: dict[str, list[Skipped]] = defaultdict(list)
    for skipped in audience.skipped:
        by_reason[skipped.reason].append(skipped)
    return "\n".join([*lines, *(_left_out(reason, skipped) for reason, skipped in by_reason.items())])


def _left_out(reason: str, skipped: Sequence[Skipped]) -> str:
    names = [each.player_name or each.parent_name or "no name" for each in skipped]
    by_player = any(each.player_name for each in skipped)
    count = count_of(len(names), "player") if by_player else count_of(len(names), "family", "families")
    shown = [escape(cut(name, _NAME)) for name in names[:_NAMES_SHOWN]]
    if more := len(names) - len(shown):
        shown.append(f"{more:,} more")
    return f"• Left out, {escape(reason)}: {count} ({', '.join(shown)})"
