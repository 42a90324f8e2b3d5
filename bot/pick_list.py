"""Choosing a player: the list of those who fit, the type-ahead select, and how to search. Pure."""

from collections.abc import Sequence

from slack_sdk.models.blocks import Block, Option, StaticSelectElement

from bot.blocks import actions, context, option, search_select, section, select
from bot.text import cut, escape
from core.player_search import PlayerHit

SEARCH_FROM_LENGTH = 2
HOW_TO_SEARCH = (
    "Type any part of the first or last name, in any order: `/player jax reed`. "
    "Small slips and missing accents are fine."
)
HOW_TO_RESEND = (
    "`/resend jaxon reed` mails the family every open link of that player; `/resend jaxon reed dec` only those "
    "whose description has “dec” in it."
)
_NAME = 80


def full_name(hit: PlayerHit) -> str:
    """Return a player's name as typed on the roster."""
    return f"{hit.first_name} {hit.last_name}".strip()


def describe(hit: PlayerHit) -> str:
    """Return a player with what tells namesakes apart, as plain text."""
    return " · ".join(filter(None, [full_name(hit), hit.team_name or "no team", hit.parent_name]))


def player_options(hits: Sequence[PlayerHit]) -> list[Option]:
    """Return the players as choices; their values are players' ids."""
    return [
        option(full_name(hit), str(hit.player_id), " · ".join(filter(None, [hit.team_name, hit.parent_name])))
        for hit in hits
    ]


def pick_list(heading: str, hits: Sequence[PlayerHit]) -> list[Block]:
    """Return the players under a heading (mrkdwn), to choose one from."""
    lines = [f"• *{escape(cut(full_name(hit), _NAME))}*, {_team_and_parent(hit)}" for hit in hits]
    return [section("\n".join([heading, *lines])), actions(player_select("Choose a player", hits))]


def player_select(placeholder: str, hits: Sequence[PlayerHit]) -> StaticSelectElement:
    """Return the select that opens a player's card."""
    return select(placeholder, "player_select", player_options(hits))


def player_search() -> Block:
    """Return the select that searches while one types."""
    return actions(search_select("Search players", "player_search", from_length=SEARCH_FROM_LENGTH))


def somebody_else(hits: Sequence[PlayerHit]) -> list[Block]:
    """Return what is put under a card where others fit as well."""
    return [actions(player_select("Somebody else?", hits))] if hits else []


def how_to_search() -> list[Block]:
    """Return the answer to an empty command."""
    return [section(f"*Look a family up*\n{HOW_TO_SEARCH}"), player_search(), context(HOW_TO_RESEND)]


def nobody_found(query: str) -> list[Block]:
    """Return the answer where nobody fits, however loosely."""
    return [section(f"No player matches “{escape(query)}”.\n{HOW_TO_SEARCH}"), player_search()]


def _team_and_parent(hit: PlayerHit) -> str:
    team = escape(cut(hit.team_name or "no team", _NAME))
    return f"{team}, parent {escape(cut(hit.parent_name, _NAME))}" if hit.parent_name else team
