import random
import unicodedata
from collections.abc import Iterator

from core.database import Database
from core.player_search import PlayerSearch
from tests.core.made_up_names import made_up_players
from tests.core.people import add_club, add_players


# What people do to names. Each takes a word of at least four letters.
def dropped(rng: random.Random, word: str) -> str:
    place = rng.randrange(1, len(word))
    return word[:place] + word[place + 1 :]


def doubled(rng: random.Random, word: str) -> str:
    place = rng.randrange(len(word))
    return word[:place] + word[place] + word[place:]


def swapped(rng: random.Random, word: str) -> str:
    place = rng.randrange(1, len(word))
    return word[:place] + rng.choice("aeiourstln") + word[place + 1 :]


def transposed(rng: random.Random, word: str) -> str:
    place = rng.randrange(len(word) - 1)
    return word[:place] + word[place + 1] + word[place] + word[place + 2 :]


SLIPS = (dropped, doubled, swapped, transposed)
SOUND_ALIKES = {
    "Jaxon": "Jackson", "Katherine": "Cathrin", "Sean": "Shawn", "Stephen": "Steven", "Philip": "Filip",
    "Geoffrey": "Jeffrey", "Caitlin": "Katelin", "Zachary": "Zakary", "Rachael": "Raychel", "Anthony": "Antony",
    "Eric": "Erick", "Nicholas": "Nikolas", "Reilly": "Riley", "Michaela": "Makayla",
}  # fmt: skip
NICKNAMES = {
    "William": "Bill", "Robert": "Bob", "Elizabeth": "Liz", "Katherine": "Kate", "Michael": "Mike", "James": "Jim",
    "Benjamin": "Ben", "Samuel": "Sam", "Daniel": "Dan", "Matthew": "Matt", "Anthony": "Tony", "Joseph": "Joe",
    "Christopher": "Chris", "Alexander": "Alex", "Jonathan": "Jon", "Nathaniel": "Nate", "Abigail": "Abby",
    "Margaret": "Peggy", "Theodore": "Ted", "Rebecca": "Becky", "Thomas": "Tom", "Timothy": "Tim",
}  # fmt: skip


def plain(name: str) -> str:
    return "".join(char for char in unicodedata.normalize("NFD", name) if not unicodedata.combining(char))


def mistyped(rng: random.Random, first: str, last: str) -> Iterator[tuple[str, str]]:
    """Yield kinds of mistakes and what was typed, for one player."""
    slip = rng.choice(SLIPS)
    if len(first) > 3:
        yield f"{slip.__name__} in the first name", f"{slip(rng, first)} {last}"
    if len(last) > 3:
        yield f"{slip.__name__} in the last name", f"{first} {slip(rng, last)}"
        yield "reversed and misspelt", f"{slip(rng, last)} {first}"
    if len(first) > 3 and len(last) > 3:
        yield "misspelt in both", f"{slip(rng, first)} {rng.choice(SLIPS)(rng, last)}"
    if first in SOUND_ALIKES:
        yield "sound-alike", f"{SOUND_ALIKES[first]} {last}"
    if first in NICKNAMES:
        yield "nickname", f"{NICKNAMES[first]} {last}"
    if plain(first + last) != first + last:
        yield "no accents", plain(f"{first} {last}").lower()


async def test_misspelt_names_are_found_among_the_first_five(database: Database) -> None:
    rng = random.Random(20)
    search = PlayerSearch()
    tried: dict[str, int] = {}
    missed: dict[str, list[str]] = {}
    async with database.transaction() as conn:
        club = await add_club(conn)
        players = sorted(set(made_up_players(3_000, seed=11)))
        ids = await add_players(conn, club, *players)
        for player_id, (first, last) in rng.sample(list(zip(ids, players, strict=True)), 250):
            for kind, typed in mistyped(rng, first, last):
                tried[kind] = tried.get(kind, 0) + 1
                hits = (await search.find(conn, club, typed, limit=5)).hits
                if player_id not in {hit.player_id for hit in hits}:
                    missed.setdefault(kind, []).append(f"{first} {last} as {typed}")
    found = 1 - sum(map(len, missed.values())) / sum(tried.values())
    assert len(tried) == 2 * len(SLIPS) + 5
    assert found >= 0.95, (tried, missed)
