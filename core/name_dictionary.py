"""The words that occur in a club's players' names, and which of them a misspelt word may have meant."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from jellyfish import metaphone
from nicknames import NickNamer
from rapidfuzz import process
from rapidfuzz.distance import OSA, JaroWinkler
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_MOST_NEAR_WORDS = 15
_MOST_SPLITS = 3
_NICKNAME_SCORE = 0.88
_ALIKE_ENOUGH = 0.7
# Sounds that people write either way: Sean and Shawn, Anthony and Antony.
_ALIKE = str.maketrans("X0EIOU", "STAAAA")


@dataclass(frozen=True, slots=True)
class NearWord:
    """A word of the dictionary that may have been meant, from 0 (not alike) to 1 (the same)."""

    word: str
    score: float


class NameDictionary:
    """The distinct folded name words of one club, held in memory: some ten thousand for 100,000 players."""

    def __init__(self, nicknames: NickNamer) -> None:
        self._nicknames = nicknames
        self._words: set[str] = set()
        self._sorted: list[str] | None = None
        self._by_length: defaultdict[int, list[str]] = defaultdict(list)
        self._by_sound: defaultdict[str, list[str]] = defaultdict(list)

    def __contains__(self, word: str) -> bool:
        return word in self._words

    def __len__(self) -> int:
        return len(self._words)

    def add(self, words: Iterable[str]) -> None:
        """Take words in; those already known change nothing."""
        for word in set(words) - self._words:
            self._words.add(word)
            self._by_length[len(word)].append(word)
            if sound := _sound(word):
                self._by_sound[sound].append(word)
            self._sorted = None

    def completes(self, beginning: str) -> bool:
        """Say whether any word begins so."""
        if self._sorted is None:
            self._sorted = sorted(self._words)
        place = bisect_left(self._sorted, beginning)
        return place < len(self._sorted) and self._sorted[place].startswith(beginning)

    def near(self, word: str) -> list[NearWord]:
        """Return the words that may have been meant instead of `word`, best first, at most 15.

        A few letters off, sounding alike, or a nickname of one another.
        """
        scores: defaultdict[str, float] = defaultdict(float)
        for other, score in (*self._misspelt(word), *self._sounding_alike(word), *self._nicknamed(word)):
            scores[other] = max(scores[other], score)
        scores.pop(word, None)
        best = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
        return [NearWord(other, score) for other, score in best[:_MOST_NEAR_WORDS]]

    def splits(self, word: str) -> list[tuple[str, str]]:
        """Return how two names written as one may come apart: `jaxonreed`, or `jreed` with an initial."""
        found = [
            (word[:place], word[place:])
            for place in range(1, len(word) - 1)
            if (place == 1 or word[:place] in self._words) and self.completes(word[place:])
        ]
        found.sort(key=lambda pair: (pair[1] not in self._words, len(pair[0]) == 1))
        return found[:_MOST_SPLITS]

    def _misspelt(self, word: str) -> list[tuple[str, float]]:
        if len(word) < 2:
            return []
        slips = 1 if len(word) < 5 else 2
        found: list[tuple[str, float]] = []
        for length in range(len(word) - slips, len(word) + slips + 1):
            choices = self._by_length.get(length, ())
            near = process.extract(word, choices, scorer=OSA.distance, score_cutoff=slips, limit=None)
            found += [(other, 1 - distance / max(length, len(word))) for other, distance, _ in near]
        # Two slips apart there may be hundreds; how they begin tells the likely ones.
        return [(other, 0.7 * score + 0.3 * JaroWinkler.similarity(word, other)) for other, score in found]

    def _sounding_alike(self, word: str) -> list[tuple[str, float]]:
        sound = _sound(word)
        alike = self._by_sound.get(sound, ()) if len(word) > 1 else ()
        found = [(other, JaroWinkler.similarity(word, other)) for other in alike]
        # A single sound says little: `zzzz` is not Zoe, but `zoey` is.
        return [(other, 0.7 + 0.25 * score) for other, score in found if len(sound) > 1 or score >= _ALIKE_ENOUGH]

    def _nicknamed(self, word: str) -> list[tuple[str, float]]:
        full_names = self._nicknames.canonicals_of(word)
        related = full_names | self._nicknames.nicknames_of(word)
        return [(other, _NICKNAME_SCORE) for other in related if other in self._words]


def _sound(word: str) -> str:
    """Return how a word sounds in English, vowels alike and no sound doubled; empty where that says nothing."""
    sounds = metaphone(word).translate(_ALIKE)
    return "".join(sound for place, sound in enumerate(sounds) if sound != sounds[place - 1 : place])


@dataclass(slots=True)
class _Reading:
    """How far a club's words have been read.

    Rows are read above `horizon`, an id below which nothing can appear any more. Identity values are
    given out before the commit, so a row may appear below the highest one seen: `highest` only becomes
    the horizon when every transaction that was under way then (`in_flight_below`) has ended.
    """

    words: NameDictionary
    horizon: int = 0
    highest: int = 0
    in_flight_below: int | None = None

    def take(self, ids: list[int], words: list[str], *, oldest_running: int, next_transaction: int) -> None:
        self.words.add(words)
        if self.in_flight_below is not None and oldest_running >= self.in_flight_below:
            self.horizon, self.in_flight_below = max(self.horizon, self.highest), None
        top = max(ids, default=0)
        if self.in_flight_below is not None or top <= self.horizon:
            return
        if oldest_running == next_transaction:
            self.horizon = top
        else:
            self.highest, self.in_flight_below = top, next_transaction


_NEW_WORDS = text(
    """
    select pg_snapshot_xmin(pg_current_snapshot())::text as oldest_running,
           pg_snapshot_xmax(pg_current_snapshot())::text as next_transaction,
           coalesce(array_agg(id), '{}') as ids,
           coalesce(array_agg(word), '{}') as words
    from name_words
    where tenant_id = :tenant_id and id > :horizon
    """
)


@dataclass(slots=True)
class NameDictionaries:
    """Every club's dictionary, each read when it is first needed and kept up with by one small statement."""

    _nicknames: NickNamer = field(default_factory=NickNamer)
    _readings: dict[int, _Reading] = field(default_factory=dict)

    async def current(self, conn: AsyncConnection, tenant_id: int) -> NameDictionary:
        """Return a club's dictionary with every word that is committed by now. One statement."""
        reading = self._readings.setdefault(tenant_id, _Reading(NameDictionary(self._nicknames)))
        found = (await conn.execute(_NEW_WORDS, {"tenant_id": tenant_id, "horizon": reading.horizon})).one()
        reading.take(
            found.ids,
            found.words,
            oldest_running=int(found.oldest_running),
            next_transaction=int(found.next_transaction),
        )
        return reading.words
