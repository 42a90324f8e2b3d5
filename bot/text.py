"""Text that people typed, made harmless where it is put into Slack's messages.

Follows Slack's "Formatting text for app surfaces": `&`, `<` and `>` are control characters, and `*`, `_`, `~`
and backticks format what stands between them.
"""

import re
import unicodedata
from collections.abc import Iterable

# A zero-width joiner of words: with one on either side, a sign neither opens nor closes formatting.
_JOINER = "\u2060"
# Inside a word an underscore formats nothing, and addresses have to stay fit for copying.
_FORMATTING = re.compile(r"[*~`]|(?<!\w)_|_(?!\w)")
_SIGNS = frozenset("*~`_&<>")
_USER_ID = re.compile(r"[UW][A-Z0-9]{2,}")
_ACTORS = {"cli": "the terminal", "admin-api": "the admin endpoint", "reminders": "the reminders"}


def one_line(text: str) -> str:
    """Return text without line breaks and control characters: for names, subjects, errors of others."""
    if text.isprintable():
        return " ".join(text.split())
    return " ".join("".join(" " if unicodedata.category(c) in {"Cc", "Cs"} else c for c in text).split())


def escape(text: str) -> str:
    """Return text on one line that mrkdwn shows as it is and takes for nothing else."""
    text = one_line(text)
    if _SIGNS.isdisjoint(text):
        return text
    text = _FORMATTING.sub(lambda sign: f"{_JOINER}{sign[0]}{_JOINER}", text)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def cut(text: str, limit: int) -> str:
    """Return plain text of at most `limit` characters, with an ellipsis where something was cut off."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def cut_lines(lines: list[str], limit: int) -> str:
    """Return as many whole lines of mrkdwn as fit into `limit` characters, and say how many did not.

    Only whole lines are left out: a cut in the middle could fall into an escape or a mention.
    """
    kept: list[str] = []
    room = limit - len("…and 99,999 more")
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            return "\n".join([*kept, f"…and {len(lines) - len(kept):,} more"])
        kept.append(line)
    return "\n".join(kept)


def is_user_id(actor: str) -> bool:
    """Say whether an actor is a person in Slack."""
    return _USER_ID.fullmatch(actor) is not None


def mention(actor: str | None) -> str:
    """Return an actor as mrkdwn: people as mentions, others in words."""
    if actor is None:
        return "somebody"
    return f"<@{actor}>" if is_user_id(actor) else escape(_ACTORS.get(actor, actor))


def escape_sentence(sentence: str, people: Iterable[str] = ()) -> str:
    """Return a sentence of ours as mrkdwn, with these actors in it as mentions."""
    text = escape(sentence)
    for actor in filter(None, people):
        text = re.sub(rf"\b{re.escape(actor)}\b", lambda found: mention(found[0]), text)
    return text


def count_of(number: int, one: str, many: str | None = None) -> str:
    """Return a number with its noun: `1 family`, `1,200 families`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
