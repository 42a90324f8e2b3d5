import asyncio
import random

from alembic import command
from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL

from core.database import Database
from core.name_dictionary import NameDictionaries
from core.player_search import PlayerSearch, SearchResult
from core.schema_version import alembic_config, migrate
from tests.core.made_up_names import made_up_players
from tests.core.people import add_club, add_players, counted


def named(result: SearchResult) -> list[str]:
    return [f"{hit.first_name} {hit.last_name}" for hit in result.hits]


def exactly(result: SearchResult) -> list[str]:
    return [f"{hit.first_name} {hit.last_name}" for hit in result.hits if hit.exact]


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


PARTS_OF_NAMES = {
    "jaxon reed": "Jaxon Reed",
    "REED, Jaxon": "Jaxon Reed",
    "jax re": "Jaxon Reed",
    "j reed": "Jaxon Reed",
    "jones": "Emma Smith-Jones",
    "Smith-Jones": "Emma Smith-Jones",
    "smithjones": "Emma Smith-Jones",
    "zoe obrien": "Zoë O'Brien",
    "Zoë O’Brien": "Zoë O'Brien",
    "lukasz dordevic": "Łukasz Đorđević",
    "delacruz maryann": "Mary Ann De la Cruz",
    "cruz": "Mary Ann De la Cruz",
    "김": "민준 김",
    "ava": "Ava 🏀 <b>Stone</b> & Co",
    "🏀 stone": "Ava 🏀 <b>Stone</b> & Co",
}


async def test_any_part_of_a_name_in_any_order_finds_the_player(database: Database) -> None:
    search = PlayerSearch()
    async with database.transaction() as conn:
        club = await add_club(conn)
        await add_players(conn, club, *ROSTER)
        found = {typed: exactly(await search.find(conn, club, typed)) for typed in PARTS_OF_NAMES}
    assert found == {typed: [name] for typed, name in PARTS_OF_NAMES.items()}


MISSPELT = {
    "jackson": "Jaxon Reed",
    "jackson rede": "Jaxon Reed",
    "bill mcdonald": "William McDonald",
    "william mc donald": "William McDonald",
    "zoe o brien": "Zoë O'Brien",
    "zeo obrein": "Zoë O'Brien",
    "jaxonreed": "Jaxon Reed",
    "jreed": "Jaxon Reed",
    "jaxon xxqqzz": "Jaxon Reed",
    "jaxon reed junior": "Jaxon Reed",
}


async def test_what_is_misspelt_is_guessed_and_says_so(database: Database) -> None:
    search = PlayerSearch()
    async with database.transaction() as conn:
        club = await add_club(conn)
        await add_players(conn, club, *ROSTER)
        results = {typed: await search.find(conn, club, typed) for typed in MISSPELT}
    assert {typed: named(result)[0] for typed, result in results.items()} == MISSPELT
    assert not any(exactly(result) for result in results.values())


async def test_a_sound_alone_is_no_guess(database: Database) -> None:
    async with database.transaction() as conn:
        club = await add_club(conn)
        await add_players(conn, club, *ROSTER)
        assert named(await PlayerSearch().find(conn, club, "zzzz")) == []
        assert named(await PlayerSearch().find(conn, club, "zoey")) == ["Zoë O'Brien"]


PARKS = (("Joanna", "Parker"), ("Jo", "Parkinson"), ("Park", "Jo"), ("Jo", "Park"), ("Ana", "Jo Park"))


async def test_full_names_come_first_then_whole_words_then_beginnings(database: Database) -> None:
    async with database.transaction() as conn:
        club = await add_club(conn)
        await add_players(conn, club, *PARKS)
        result = await PlayerSearch().find(conn, club, "jo park")
    assert named(result) == ["Jo Park", "Park Jo", "Ana Jo Park", "Jo Parkinson", "Joanna Parker"]


AMONG_MANY = {
    "jo park": ["Jo Park", "Park Jo"],
    "PARK, Jo": ["Park Jo", "Jo Park"],
    "mary-kate smith jones": ["Mary Kate Smith-Jones"],
    "smith jones mary kate": ["Mary Kate Smith-Jones"],
    "jo jo": ["Jo Jo"],
    "cher sarkisian": ["Cher Sarkisian "],
    "ana park": ["Ana Jo Park"],
    # One word is nobody's full name.
    "park": ["Park Jo", "Ana Jo Park", "Jo Park", "Joanna Parker", "Jo Parkinson"],
}


async def test_among_many_players_a_full_name_is_taken_at_its_word(database: Database) -> None:
    search = PlayerSearch()
    async with database.transaction(keep=False) as conn:
        club = await add_club(conn)
        others = (
            ("Mary Kate", "Smith-Jones"),
            ("Mary", "Kate Smithson-Jones"),
            ("Jo", "Jo"),
            ("Cher Sarkisian", ""),
        )
        await add_players(conn, club, *PARKS, *others)
        # As PostgreSQL notes when it looks at a large table.
        await conn.execute(text("update pg_class set reltuples = 1000000 where relname = 'player_search'"))
        found = {typed: named(await search.find(conn, club, typed)) for typed in AMONG_MANY}
    assert found == AMONG_MANY


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


ANYTHING = (
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
)


async def test_anything_may_be_typed(database: Database) -> None:
    search = PlayerSearch()
    async with database.transaction() as conn:
        club = await add_club(conn)
        await add_players(conn, club, *ROSTER)
        for typed in ANYTHING:
            result = await search.find(conn, club, typed)
            assert len(result.query) <= 80
            assert len(result.hits) <= 10


async def test_any_name_can_be_stored_however_long(database: Database) -> None:
    search = PlayerSearch()
    async with database.transaction() as conn:
        club = await add_club(conn)
        await add_players(conn, club, ("ﷺ" * 5_000, "x" * 100_000), ("🏀", "&|!"))
        assert len((await search.find(conn, club, "x" * 70)).hits) == 1


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


async def test_a_search_is_at_most_three_statements_whatever_the_clubs_size(database: Database) -> None:
    numbers = []
    async with database.transaction() as conn:
        club = await add_club(conn)
        for players in (ROSTER, made_up_players(2_000, seed=3)):
            await add_players(conn, club, *dict.fromkeys(players))
            for typed in ("j", "jaxon reed", "jackson rede", "qqzzxx", "jaxn rede mc donald x yy"):
                with counted(conn) as statements:
                    await PlayerSearch().find(conn, club, typed)
                numbers.append(len(statements))
    assert max(numbers) == 3


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
