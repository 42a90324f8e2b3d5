"""Finds players by what people type: any part of the name, any order, without accents, and misspelt.

A full name is looked up by one key, every typed word as the beginning of a name word in an index. Where that finds
too little, the words are compared with the club's dictionary of name words, and the likely ones are looked up
instead, so the cost hardly grows with the number of players. At most three statements a search.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rapidfuzz.distance import OSA
from sqlalchemy.ext.asyncio import AsyncConnection

from core.name_dictionary import NameDictionaries, NameDictionary
from core.names import name_words
from core.prepared import prepared

_LONGEST_QUERY = 80
_MOST_WORDS = 6
_ENOUGH_EXACT = 3
_SHORTEST_GUESS = 3
_SPLIT_SCORE = 0.9
_LIKELY = 0.8
# Control characters and halves of surrogate pairs: neither Slack nor PostgreSQL takes them.
_UNSHOWABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
# Beginnings are looked for by reading through all whose name begins so. Among more players than these (of all
# clubs together), whoever is called exactly what was typed is meant, and longer names are not looked for.
_MANY_PLAYERS = 50_000
# No folded word is a hyphen.
_NOBODY = "'-'"


@dataclass(frozen=True, slots=True)
class PlayerHit:
    """A player who was found.

    `exact`: every typed word begins one of the player's name words; otherwise it is a guess at what was
    meant. `parent_name` is empty where the roster had none.
    """

    player_id: int
    first_name: str
    last_name: str
    team_name: str | None
    parent_name: str
    exact: bool
    # How near the name is to what was typed, from 0 to 1.
    likeness: float = 1.0

    @property
    def is_likely(self) -> bool:
        """Whether this is near enough to be shown without asking: jackson for Jaxon, not bob for Bo."""
        return self.likeness >= _LIKELY


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What was searched for, on one line and at most 80 characters long, and who was found, best first."""

    query: str
    hits: tuple[PlayerHit, ...]


@dataclass(frozen=True, slots=True)
class _Meaning:
    """What one typed word may mean: the beginning of a word, another word, or two words written as one."""

    typed: str
    near: dict[str, float]
    splits: list[tuple[str, str]]

    def as_tsquery(self) -> str:
        choices = [_begins(self.typed), *map(_is, self.near)]
        choices += [f"({_is_initial_or_word(left)} & {_begins(right)})" for left, right in self.splits]
        return f"({' | '.join(choices)})"

    def score(self, words: Sequence[str]) -> float:
        """Say how well the best of a player's words fits, from 0 to 1."""
        if any(word.startswith(self.typed) for word in words):
            return 1.0
        best = max((self.near.get(word, 0.0) for word in words), default=0.0)
        for left, right in self.splits:
            if any(w.startswith(left) for w in words) and any(w.startswith(right) for w in words):
                best = max(best, _SPLIT_SCORE)
        # Among players who fit in the other words, those whose name is less far off come first.
        return best or 0.5 * max((OSA.normalized_similarity(self.typed, word) for word in words), default=0.0)


_FOUND = """
    select players.id, players.first_name, players.last_name, teams.name as team_name,
           btrim(parents.first_name || ' ' || parents.last_name) as parent_name
    from found
    join players on players.id = found.player_id
    join parents on parents.id = players.parent_id
    left join teams on teams.id = players.team_id
"""

# With the columns of `_FOUND`.
_Row = Any
_COLUMNS = ("id", "first_name", "last_name", "team_name", "parent_name")

# The arms are materialized so that the planner uses the index, and limited outside so that reading stops
# early: one typed letter may begin the names of ten thousand players.
_BY_NAME = prepared(
    f"""
    with called as materialized (
        select player_id from searchable_players
        where tenant_id = :tenant_id and hashtextextended(cast(document as text), 0) = any(array(
            select hashtextextended(cast(array_to_tsvector(string_to_array(words, ' ')) as text), 0)
            from unnest(cast(:documents as text[])) as words
        ))
    ), search as materialized (
        select not exists (select from called) or reltuples < {_MANY_PLAYERS} as goes_on
        from pg_class where oid = cast('player_search' as regclass)
    ), whole as materialized (
        select player_id from searchable_players
        where tenant_id = :tenant_id and document @@ cast(:whole as tsquery) and (select goes_on from search)
    ), begun as materialized (
        select player_id from searchable_players
        where tenant_id = :tenant_id and document @@ cast(:begun as tsquery) and (select goes_on from search)
    ), found as (
        (select player_id from called limit 100)
        union
        (select player_id from whole limit 60)
        union
        (select player_id from begun limit 100)
    )
    {_FOUND}
    """,
    *_COLUMNS,
)
_BY_MEANING = prepared(
    f"""
    with likely as materialized (
        select player_id from searchable_players
        where tenant_id = :tenant_id and document @@ cast(:likely as tsquery)
    ), partly as materialized (
        select player_id from searchable_players
        where tenant_id = :tenant_id and document @@ cast(:partly as tsquery)
    ), found as (
        (select player_id from likely limit 200)
        union
        (select player_id from partly where not exists (select from likely) limit 100)
    )
    {_FOUND}
    """,
    *_COLUMNS,
)


class PlayerSearch:
    """The search of one process; it holds the clubs' dictionaries of name words."""

    def __init__(self) -> None:
        self._dictionaries = NameDictionaries()

    async def find(self, conn: AsyncConnection, tenant_id: int, query: str, *, limit: int = 10) -> SearchResult:
        """Return the club's players whose name fits what was typed, best first, at most `limit`.

        Full names come first, then whole words, then beginnings; where these are few and none is the full
        name that was typed, guesses follow, marked as not exact. Anything may be typed: what is no letter
        or digit only separates words, and all after the sixth word or the 80th character is ignored.
        """
        understood = " ".join(_UNSHOWABLE.sub(" ", query[: 10 * _LONGEST_QUERY]).split())[:_LONGEST_QUERY]
        words = name_words(understood)[:_MOST_WORDS]
        if not words:
            return SearchResult(understood, ())
        hits = await self._exact(conn, tenant_id, words)
        if _want_guesses(words, hits):
            known = {hit.player_id for hit in hits}
            hits += [hit for hit in await self._guesses(conn, tenant_id, words) if hit.player_id not in known]
        return SearchResult(understood, tuple(hits[:limit]))

    async def _exact(self, conn: AsyncConnection, tenant_id: int, words: list[str]) -> list[PlayerHit]:
        queries = {"whole": " & ".join(map(_is, words)), "begun": " & ".join(map(_begins, words))}
        rows = await _BY_NAME.rows(conn, tenant_id=tenant_id, documents=_documents(words), **queries)
        rows.sort(key=lambda row: (*_rank(words, row), row.last_name, row.first_name, row.id))
        return [_hit(row, exact=True) for row in rows]

    async def _guesses(self, conn: AsyncConnection, tenant_id: int, words: list[str]) -> list[PlayerHit]:
        dictionary = await self._dictionaries.current(conn, tenant_id)
        readings = [[_meaning(dictionary, word) for word in words]]
        readings += [[_Meaning(word, {}, []) for word in joined] for joined in _joined(dictionary, words)]
        queries = {
            "likely": " | ".join(" & ".join(word.as_tsquery() for word in reading) for reading in readings),
            "partly": " | ".join(word.as_tsquery() for word in readings[0] if len(word.typed) > 1) or _NOBODY,
        }
        rows = await _BY_MEANING.rows(conn, tenant_id=tenant_id, **queries)
        scored = [(max(_score(reading, _words_of(row)) for reading in readings), row) for row in rows]
        scored.sort(key=lambda pair: (-pair[0], pair[1].last_name, pair[1].first_name, pair[1].id))
        return [_hit(row, exact=False, likeness=score) for score, row in scored]


def _documents(words: list[str]) -> list[str]:
    """Return the words that the index may have of somebody who is called so; one word is nobody's full name.

    The words of the first and of the last name are there as one word as well, and where in between the one ends
    nobody says.
    """
    places = range(1, len(words) + 1) if len(words) > 1 else ()
    parts = (("".join(words[:place]), "".join(words[place:])) for place in places)
    return [" ".join([*words, *filter(None, both)]) for both in parts]


# Folded words hold no quotes and no backslashes, so quoting them is all that a tsquery needs.
def _is(word: str) -> str:
    return f"'{word}'"


def _begins(word: str) -> str:
    return f"'{word}':*"


def _is_initial_or_word(word: str) -> str:
    return _begins(word) if len(word) == 1 else _is(word)


def _words_of(row: _Row) -> list[str]:
    """Return a player's name words, with names of several parts also as one, as the index has them."""
    first, last = name_words(row.first_name), name_words(row.last_name)
    return [*first, *last, "".join(first), "".join(last)]


def _rank(words: list[str], row: _Row) -> tuple[bool, bool, int]:
    """Return what orders exact hits: the full name as typed, the full name in another order, whole words."""
    name = name_words(row.first_name) + name_words(row.last_name)
    whole = sum(word in name for word in words)
    return words != name, sorted(words) != sorted(name), -whole


def _want_guesses(words: list[str], hits: list[PlayerHit]) -> bool:
    if len(hits) >= _ENOUGH_EXACT or sum(map(len, words)) < _SHORTEST_GUESS:
        return False
    full_names = (sorted(name_words(hit.first_name) + name_words(hit.last_name)) for hit in hits)
    return sorted(words) not in full_names


def _meaning(dictionary: NameDictionary, word: str) -> _Meaning:
    near = {found.word: found.score for found in dictionary.near(word)}
    return _Meaning(word, near, dictionary.splits(word))


def _joined(dictionary: NameDictionary, words: list[str]) -> list[list[str]]:
    """Return the words with two neighbours written as one, where such a name exists: `mc donald`, `o brien`."""
    return [
        [*words[:place], together, *words[place + 2 :]]
        for place in range(len(words) - 1)
        if dictionary.completes(together := words[place] + words[place + 1])
    ]


def _score(reading: list[_Meaning], words: list[str]) -> float:
    return sum(word.score(words) for word in reading) / len(reading)


def _hit(row: _Row, *, exact: bool, likeness: float = 1.0) -> PlayerHit:
    return PlayerHit(row.id, row.first_name, row.last_name, row.team_name, row.parent_name, exact, likeness)
