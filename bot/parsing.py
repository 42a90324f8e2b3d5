"""What people type after a command, or write in a message, taken apart. No database, no Slack."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from core.names import name_words

_QUOTED = re.compile(r"""\s*["“”„«»](?P<name>[^"“”„«»]+)["“”„«»]\s*(?P<item>.*)""", re.DOTALL)
_MOST_NAME_WORDS = 6
_SHORTEST_STEM = 3
# Links, mentions and channels as Slack writes them into a message's text.
_CONTROL = re.compile(r"<[^<>]*>")
_WORD = re.compile(r"[^\W\d_][\w'\u2019.-]*")
_MOST_NAMES = 8


def name_and_item(text: str) -> Iterator[tuple[str, str]]:
    """Yield the ways to read `NAME [ITEM]`, the longest name first; quotation marks leave one way only."""
    if quoted := _QUOTED.fullmatch(text):
        yield quoted["name"].strip(), quoted["item"].strip()
        return
    words = text.split()
    for length in range(min(len(words), _MOST_NAME_WORDS), 0, -1):
        yield " ".join(words[:length]), " ".join(words[length:])


def describes(typed: str, description: str) -> bool:
    """Say whether each typed word fits a description's: `dec` and `december` fit `Fee, Dec 2026`."""
    known = name_words(description)
    return all(any(_fits(word, other) for other in known) for word in name_words(typed))


def _fits(typed: str, word: str) -> bool:
    return word.startswith(typed) or (len(word) >= _SHORTEST_STEM and typed.startswith(word))


def is_full_name(typed: str, first_name: str, last_name: str) -> bool:
    """Say whether a whole name was typed, in any order, however written."""
    return sorted(name_words(typed)) == sorted(name_words(first_name) + name_words(last_name))


def likely_names(text: str) -> list[str]:
    """Return what in a message may be names, the likelier first: capitalized neighbours, then any neighbours."""
    words = [word.strip("'\u2019.-") for word in _WORD.findall(_CONTROL.sub(" ", text))]
    words = [word.removesuffix("'s").removesuffix("\u2019s") for word in words if word]
    found = [*_pairs(words, only_capitalized=True), *_pairs(words, only_capitalized=False)]
    found += [word for word in words if word[0].isupper()]
    return list(dict.fromkeys(found))[:_MOST_NAMES]


def _pairs(words: Sequence[str], *, only_capitalized: bool) -> list[str]:
    return [
        f"{left} {right}"
        for left, right in pairwise(words)
        if not only_capitalized or (left[0].isupper() and right[0].isupper())
    ]
