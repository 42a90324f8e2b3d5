# ruff: noqa: S311, RUF001 - seeded randomness for test data; apostrophes of every kind
import asyncio
import random
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from alembic import command
from sqlalchemy import Connection, create_engine, event, text
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection

from core.database import Database
from core.name_dictionary import NameDictionaries
from core.player_search import PlayerSearch, SearchResult
from core.schema_version import alembic_config, migrate
from tests.core.made_up_names import made_up_players

ADD_PLAYERS = text(
    """
    insert into players (tenant_id, parent_id, first_name, last_name)
    select :tenant_id, :parent_id, first_name, last_name
    from unnest(cast(:first_names as text[]), cast(:last_names as text[])) as names (first_name, last_name)
    returning id
    """
)


async def add_club(conn: AsyncConnection, name: str = "Riverside") -> int:
    added = await conn.scalar(text("insert into tenants (name) values (:name) returning id"), {"name": name})
    return int(added)


async def add_players(conn: AsyncConnection, tenant_id: int, *names: tuple[str, str]) -> list[int]:
    """Add players, each batch under a family of its own, in one statement as an import does."""
    parent_id = await conn.scalar(
        text("insert into parents (tenant_id, first_name, last_name) values (:id, 'Dana', 'Reed') returning id"),
        {"id": tenant_id},
    )
    values = {
        "tenant_id": tenant_id,
        "parent_id": parent_id,
        "first_names": [first for first, _ in names],
        "last_names": [last for _, last in names],
    }
    return list((await conn.execute(ADD_PLAYERS, values)).scalars())


def named(result: SearchResult) -> list[str]:
    return [f"{hit.first_name} {hit.last_name}" for hit in result.hits]


def exactly(result: SearchResult) -> list[str]:
    return [f"{hit.first_name} {hit.last_name}" for hit in result.hits if hit.exact]


@contextmanager
def counted(conn: AsyncConnection) -> Iterator[list[str]]:
    statements: list[str] = []

    def note(_conn: Connection, _cursor: object, statement: str, *_rest: object) -> None:
        statements.append(statement)

    event.listen(conn.sync_connection, "before_cursor_execute", note)
    yield statements
    event.remove(conn.sync_connection, "before_cursor_execute", note)


ROSTER = (
    ("Jaxon", "Reed"),
    ("Jaxon", "Rivera"),
    ("Emma", "Smith-Jones"),
    ("Zoë", "O'Brien"),
    ("Łukasz", "Đorđević"),
    ("Mary Ann", "De la Cruz"),
    ("William", "McDonald"),
    ("Jo", "Park"),
    ("Joanna", "Parker"),
    ("민준", "김"),
    ("Ava 🏀", "<b>Stone</b> & Co"),
)


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("jaxon reed", "Jaxon Reed"),
        ("REED, Jaxon", "Jaxon Reed"),
        ("jax re", "Jaxon Reed"),
        ("j reed", "Jaxon Reed"),
        ("jones", "Emma Smith-Jones"),
        ("Smith-Jones", "Emma Smith-Jones"),
        ("smithjones", "Emma Smith-Jones"),
        ("zoe obrien", "Zoë O'Brien"),
        ("Zoë O’Brien", "Zoë O'Brien"),
        ("lukasz dordevic", "Łukasz Đorđević"),
        ("delacruz maryann", "Mary Ann De la Cruz"),
        ("cruz", "Mary Ann De la Cruz"),
        ("김", "민준 김"),
        ("ava", "Ava 🏀 <b>Stone</b> & Co"),
        ("🏀 stone", "Ava 🏀 <b>Stone</b> & Co"),
    ],
)
async def test_any_part_of_a_name_in_any_order_finds_the_player(
    database: Database, typed: str, found: str
) -> None:
    async with database.transaction() as conn:
        club = await add_club(conn)
        await add_players(conn, club, *ROSTER)
        assert exactly(await PlayerSearch().find(conn, club, typed)) == [found]


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("jackson", "Jaxon Reed"),
        ("jackson rede", "Jaxon Reed"),
        ("bill mcdonald", "William McDonald"),
        ("william mc donald", "William McDonald"),
        ("zoe o brien", "Zoë O'Brien"),
        ("zeo obrein", "Zoë O'Brien"),
        ("jaxonreed", "Jaxon Reed"),
        ("jreed", "Jaxon Reed"),
        ("jaxon xxqqzz", "Jaxon Reed"),
        ("jaxon reed junior", "Jaxon Reed"),
    ],
)
async def test_what_is_misspelt_is_guessed_and_says_so(database: Database, typed: str, first: str) -> None:
    async with database.transaction() as conn:
        club = await add_club(conn)
        await add_players(conn, club, *ROSTER)
        result = await PlayerSearch().find(conn, club, typed)
    assert named(result)[0] == first
    assert exactly(result) == []


async def test_full_names_come_first_then_whole_words_then_beginnings(database: Database) -> None:
    async with database.transaction() as conn:
        club = await add_club(conn)
        await add_players(
            conn,
            club,
            ("Joanna", "Parker"),
            ("Jo", "Parkinson"),
            ("Park", "Jo"),
            ("Jo", "Park"),
            ("Ana", "Jo Park"),
        )
        result = await PlayerSearch().find(conn, club, "jo park")
    assert named(result) == ["Jo Park", "Park Jo", "Ana Jo Park", "Jo Parkinson", "Joanna Parker"]


async def test_a_hit_says_who_it_is(database: Database) -> None:
    async with database.transaction() as conn:
        club = await add_club(conn)
        [player] = await add_players(conn, club, ("Jaxon", "Reed"))
        team = await conn.scalar(
            text("insert into teams (tenant_id, name) values (:id, 'U12 Blue') returning id"), {"id": club}
        )
        await conn.execute(text("update players set team_id = :team"), {"team": team})
        [hit] = (await PlayerSearch().find(conn, club, "jaxon")).hits
    assert (hit.player_id, hit.team_name, hit.parent_name) == (player, "U12 Blue", "Dana Reed")


async def test_another_clubs_players_are_never_found(database: Database) -> None:
    search = PlayerSearch()
    async with database.transaction() as conn:
        mine, other = await add_club(conn), await add_club(conn, "Lakeside")
        await add_players(conn, other, ("Jaxon", "Reed"))
        for typed in ("jaxon", "jackson reed", "j"):
            assert (await search.find(conn, mine, typed)).hits == ()


async def test_nonsense_finds_nobody_and_is_repeated_to_the_asker(database: Database) -> None:
    async with database.transaction() as conn:
        club = await add_club(conn)
        await add_players(conn, club, *ROSTER)
        result = await PlayerSearch().find(conn, club, "  qqzzxx\n vvww ")
    assert result == SearchResult("qqzzxx vvww", ())


@pytest.mark.parametrize(
    "typed",
    [
        "",
        " ",
        "&|!:*'\\()<->",
        "'; drop table players; --",
        "reed:* & !jaxon | 'x",
        "\\'",
        "\x00",
        "jax\x00on",
        "\ud83c",
        "🏀🏀🏀",
        "%_%",
        "x" * 10_000,
        "jaxon " * 2_000,
        "ﷺ" * 5_000,
        "e\u0301" * 5_000,
        "\u0301" * 500,
        "a b c d e f g h i j",
    ],
)
async def test_anything_may_be_typed(database: Database, typed: str) -> None:
    async with database.transaction() as conn:
        club = await add_club(conn)
        await add_players(conn, club, *ROSTER)
        result = await PlayerSearch().find(conn, club, typed)
    assert len(result.query) <= 80
    assert len(result.hits) <= 10


async def test_renaming_and_deleting_are_noticed(database: Database) -> None:
    search = PlayerSearch()
    async with database.transaction() as conn:
        club = await add_club(conn)
        await add_players(conn, club, ("Jaxon", "Reed"))
        await conn.execute(text("update players set first_name = 'Theodore'"))
        assert exactly(await search.find(conn, club, "jaxon")) == []
        assert named(await search.find(conn, club, "teodore")) == ["Theodore Reed"]
        await conn.execute(text("delete from players"))
        assert (await search.find(conn, club, "theodore")).hits == ()


async def test_the_dictionary_learns_words_that_are_committed_out_of_order(database: Database) -> None:
    dictionaries = NameDictionaries()
    async with database.transaction() as conn:
        club, other = await add_club(conn), await add_club(conn, "Lakeside")

    async def words_now() -> int:
        async with database.transaction() as conn:
            return len(await dictionaries.current(conn, club))

    # The two clubs keep these imports from waiting for each other; the first has the lower ids.
    async with database.transaction() as slow:
        await add_players(slow, club, ("Jaxon", "Reed"))
        async with database.transaction() as quick:
            await add_players(quick, other, ("Emma", "Stone"))
        assert await words_now() == 0
        assert await words_now() == 0
    assert await words_now() == 2

    # The same within one club, where only writing by hand gets round the lock.
    add_word = text("insert into name_words (tenant_id, word) values (:club, :word)")
    async with database.transaction() as slow:
        await slow.execute(text("select pg_current_xact_id()"))
        await slow.execute(add_word, {"club": club, "word": "lower"})
        async with database.transaction() as quick:
            await quick.execute(add_word, {"club": club, "word": "higher"})
        assert await words_now() == 3
        assert await words_now() == 3
    assert await words_now() == 4
    async with database.transaction() as conn:
        await add_players(conn, club, ("Zoë", "Reed"))
    assert await words_now() == 5
    assert await words_now() == 5


@pytest.mark.parametrize("typed", ["j", "jaxon reed", "jackson rede", "qqzzxx", "jaxn rede mc donald x yy"])
async def test_a_search_is_at_most_three_statements_whatever_the_clubs_size(
    database: Database, typed: str
) -> None:
    search = PlayerSearch()
    async with database.transaction() as conn:
        club = await add_club(conn)
        numbers = []
        for players in (ROSTER, made_up_players(500, seed=3)):
            for player in players:
                await add_players(conn, club, player)
            with counted(conn) as statements:
                await search.find(conn, club, typed)
            numbers.append(len(statements))
    assert max(numbers) <= 3


async def test_imports_with_the_same_new_words_do_not_lock_each_other_out(database: Database) -> None:
    names = made_up_players(30, seed=5)
    async with database.transaction() as conn:
        club = await add_club(conn)

    async def load(seed: int) -> None:
        mixed = random.Random(seed).sample(names, len(names))
        async with database.transaction() as conn:
            for name in mixed:
                await add_players(conn, club, name)

    await asyncio.gather(*(load(seed) for seed in range(4)))
    async with database.transaction() as conn:
        assert await conn.scalar(text("select count(*) = count(distinct word) from name_words"))


def test_the_search_tables_are_filled_for_players_who_were_there_before(database_url: URL) -> None:
    command.downgrade(alembic_config(database_url), "0002")
    engine = create_engine(database_url)
    with engine.begin() as conn:
        conn.execute(text("insert into tenants (name) values ('Riverside')"))
        conn.execute(text("insert into parents (tenant_id) select id from tenants"))
        conn.execute(
            text(
                "insert into players (tenant_id, parent_id, first_name, last_name) "
                "select tenant_id, id, 'Zoë', 'O''Brien' from parents"
            )
        )
    migrate(database_url)
    with engine.connect() as conn:
        document = conn.scalar(text("select document::text from player_search"))
        words = conn.scalars(text("select word from name_words order by word")).all()
    engine.dispose()
    assert document == "'obrien' 'zoe'"
    assert words == ["obrien", "zoe"]


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
