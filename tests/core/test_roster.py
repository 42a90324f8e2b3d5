import asyncio
from datetime import date
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from core.database import Database
from core.errors import InvalidInputError
from core.roster import ParsedRoster, RosterReport, import_roster, read_roster
from tests.core.people import add_club, counted

HEADINGS = (
    "First Name,Last Name,Team,Parent 1 Email,Parent 1 First Name,Parent 1 Last Name,Monthly Fee,Contract Status"
)
JAXON = "Jaxon,Reed,U12 Blue,dana@example.com,Dana,Reed,$150,signed"
EMMA = "Emma,Reed,U10 Red,Dana@Example.com,,,120.50,sent"
ZOE = "Zoë,O'Brien,u12 blue,sean@example.org,Seán,O'Brien,,"


def roster(*lines: str, headings: str = HEADINGS) -> ParsedRoster:
    return read_roster("\n".join((headings, *lines)).encode())


async def bring_in(conn: AsyncConnection, club: int, *lines: str, headings: str = HEADINGS) -> RosterReport:
    return await import_roster(conn, club, roster(*lines, headings=headings))


async def players(conn: AsyncConnection) -> list[tuple[Any, ...]]:
    found = await conn.execute(
        text(
            "select p.first_name, p.last_name, t.name, a.email, p.monthly_fee_cents, p.contract_status "
            "from players p join parents a on a.id = p.parent_id left join teams t on t.id = p.team_id "
            "order by p.id"
        )
    )
    return [tuple(row) for row in found]


async def test_a_fee_set_by_hand_is_kept(database: Database) -> None:
    async with database.transaction() as conn:
        club = await add_club(conn)
        await bring_in(conn, club, JAXON, EMMA)
        scholarship = (
            "update players set monthly_fee_cents = 5000, fee_note = 'scholarship' where first_name = 'Jaxon'"
        )
        await conn.execute(text(scholarship))
        report = await bring_in(conn, club, JAXON, EMMA)
        assert report.players_updated == 0
        assert await conn.scalar(text("select monthly_fee_cents from players where first_name = 'Jaxon'")) == 5000


async def test_a_roster_becomes_players_families_and_teams(database: Database) -> None:
    async with database.transaction() as conn:
        club = await add_club(conn)
        report = await bring_in(conn, club, JAXON, EMMA, ZOE)
        assert await players(conn) == [
            ("Jaxon", "Reed", "U12 Blue", "dana@example.com", 15000, "signed"),
            ("Emma", "Reed", "U10 Red", "dana@example.com", 12050, "sent"),
            ("Zoë", "O'Brien", "U12 Blue", "sean@example.org", None, "none"),
        ]
        parents = (await conn.execute(text("select first_name, last_name from parents order by id"))).all()
    assert report == RosterReport(3, 0, 0, 2, 0, 2, 0, (), ())
    assert [tuple(parent) for parent in parents] == [("Dana", "Reed"), ("Seán", "O'Brien")]


async def test_twice_is_the_same_as_once(database: Database) -> None:
    async with database.transaction() as conn:
        club = await add_club(conn)
        await bring_in(conn, club, JAXON, EMMA, ZOE)
        before = await players(conn)
        assert await bring_in(conn, club, JAXON, EMMA, ZOE) == RosterReport(0, 0, 3, 0, 0, 0, 0, (), ())
        assert await players(conn) == before


async def test_what_changed_is_updated_and_blanks_erase_nothing(database: Database) -> None:
    async with database.transaction() as conn:
        club = await add_club(conn)
        await bring_in(conn, club, JAXON, EMMA)
        report = await bring_in(
            conn, club, "JAXON,Reed,U14 Blue,DANA@example.com,,,160,", "Emma,Reed,,dana@example.com,Danielle,,,"
        )
        assert await players(conn) == [
            ("JAXON", "Reed", "U14 Blue", "dana@example.com", 16000, "signed"),
            ("Emma", "Reed", "U10 Red", "dana@example.com", 12050, "sent"),
        ]
        parent = (await conn.execute(text("select first_name, last_name from parents"))).one()
    assert report == RosterReport(0, 1, 1, 0, 1, 1, 0, (), ())
    assert tuple(parent) == ("Danielle", "Reed")


async def test_bad_rows_are_listed_with_line_and_reason_and_the_rest_come_in(database: Database) -> None:
    async with database.transaction() as conn:
        club = await add_club(conn)
        report = await bring_in(
            conn,
            club,
            JAXON,
            ",Reed,U12,dana@example.com,,,,",
            "Ava,,U12,dana@example.com,,,,",
            "Ava,Stone,U12,,,,,",
            "Ava,Stone,U12,not an address,,,,",
            "Ava,Stone,U12,ava@example.com,,,about 50,",
            "",
            "Ava,Stone,U12,ava@example.com,,,,maybe",
            "Ava,Stone,U12,ava@example.com,,,1,250,signed",
            f"{'A' * 101},Stone,U12,ava@example.com,,,,",
            "Av\x00a,Stone,U12,ava@example.com,,,,",
            "Av\u202ea,Stone,U12,ava@example.com,,,,",
            "Jaxon,REED,U14,dana@example.com,,,,",
            ZOE,
        )
        assert [name for name, *_ in await players(conn)] == ["Jaxon", "Zoë"]
    assert [problem.line for problem in report.problems] == [3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14]
    reasons = " ".join(problem.reason for problem in report.problems)
    for hint in ("first name is missing", "last name is missing", "address is missing", "“not an address”",
                 "“about 50”", "signed, sent or none", "more cells", "longer than 100", "line 2"):  # fmt: skip
        assert hint in reasons
    assert report.players_created == 2


@pytest.mark.parametrize(
    ("headings", "line"),
    [
        # LeagueApps: the player export
        ("Team,Role,First Name,Last Name,Parent 1 Email,Birthdate,Gender,Parent 1 Mobile Number",
         "U12,Player,Jaxon,Reed,dana@example.com,2014-01-01,M,212-555-0123"),
        ("First Name,Last Name,Parent 1 First Name,Parent 1 Last Name,Parent 1 Mobile Phone,Parent 1 Email,Team",
         "Jaxon,Reed,Dana,Reed,(212) 555-0123,dana@example.com,U12"),
        # SportsEngine: the team template, with its asterisks, and a member export
        ("*Team Name,*Team Role,*First Name,Middle Name,*Last Name,*Email,Phone",
         "U12,Player,Jaxon,,Reed,dana@example.com,+1 212 555 0123"),
        ("Member First Name,Member Last Name,Parent/Guardian 1 Email,Guardian 1 Phone,Team",
         "Jaxon,Reed,dana@example.com,2125550123,U12"),
        # TeamSnap: the organization roster
        ("First,Last,Non-Player,Email,P1 First,P1 Last,P1 Email,P1 Phone,Team,Division",
         "Jaxon,Reed,N,jaxon@example.com,Dana,Reed,dana@example.com,212.555.0123,U12,Boys"),
        ("first_name,LAST-NAME,division,P1 E-mail,p1_phone", "Jaxon,Reed,U12,dana@example.com,2125550123"),
        ("Player Name,Team,Guardian Name,Guardian Email,Phone",
         '"Reed, Jaxon",U12,Dana Reed,dana@example.com,2125550123'),
    ],
)  # fmt: skip
def test_exports_are_understood_as_they_come(headings: str, line: str) -> None:
    parsed = roster(line, headings=headings)
    assert parsed.problems == ()
    [row] = parsed.rows
    assert (row.first_name, row.last_name, row.team) == ("Jaxon", "Reed", "U12")
    assert (row.email, row.phone) == ("dana@example.com", "+12125550123")


def test_the_players_own_address_counts_where_the_parents_is_blank() -> None:
    [row] = roster("Jaxon,Reed,own@example.com,", headings="First,Last,Email,Parent 1 Email").rows
    assert row.email == "own@example.com"


@pytest.mark.parametrize(
    ("heading", "value", "staff"),
    [
        ("Non-Player", "Y", True), ("Non-Player", "yes", True), ("Non-Player", "N", False),
        ("Non-Player", "", False),
        ("Role", "Head Coach", True), ("Team Role", "Staff", True), ("Role", "Team Manager", True),
        ("Role", "Non-Player", True), ("Team Role", "Player", False), ("Role", "", False),
        ("Role", "Captain", False),
    ],
)  # fmt: skip
def test_staff_is_left_out_and_counted(heading: str, value: str, staff: bool) -> None:
    parsed = roster(f"Jaxon,Reed,dana@example.com,{value}", headings=f"First,Last,Email,{heading}")
    assert (len(parsed.rows), parsed.staff_left_out, parsed.problems) == (not staff, staff, ())


@pytest.mark.parametrize("role", ["Wizard", "Player/Coach"])
def test_a_role_that_does_not_tell_is_asked_about(role: str) -> None:
    [problem] = roster(f"Jaxon,Reed,d@example.com,{role}", headings="First,Last,Email,Role").problems
    assert (problem.line, role in problem.reason) == (2, True)


TABLE = "First Name,Last Name,Email,Team\nZoë,Núñez,dana@example.com,U12\n"


@pytest.mark.parametrize(
    "data",
    [
        TABLE.encode(),
        TABLE.encode("utf-8-sig"),
        TABLE.encode("cp1252"),
        TABLE.replace(",", "\t").encode("utf-16"),
        TABLE.replace(",", "\t").encode(),
        TABLE.replace(",", ";").encode(),
        TABLE.replace("\n", "\r\n").encode(),
        TABLE.replace("\n", "\r").encode(),
        TABLE.replace("Zoë", "Zoe\u0308").encode(),
        b"Riverside FC roster\n\n" + TABLE.encode(),
        TABLE.replace("Zoë", '" Zoë\u00a0"').encode(),
    ],
)
def test_files_are_read_however_they_were_saved(data: bytes) -> None:
    [row] = read_roster(data).rows
    assert (row.first_name, row.last_name, row.team) == ("Zoë", "Núñez", "U12")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b" \n\n", "empty"),
        (b"PK\x03\x04...", "Excel workbook"),
        (b"\x81\x8d\x00\xff", "not a text file"),
        (b"hello\nworld\n", "No heading row"),
        (b"First Name,Last Name\nJaxon,Reed\n", "e-mail"),
        (b'First,Last,Email\nA,B,"a@example.com\nC,D,c@example.com\n', "Line 2 has a quotation mark"),
        (b"First,Last,Email\nA,B," + b"x" * 200_000, "Line 2"),
    ],
)
def test_a_file_that_is_no_roster_says_why_in_one_line(data: bytes, reason: str) -> None:
    with pytest.raises(InvalidInputError, match=reason) as caught:
        read_roster(data)
    assert "\n" not in str(caught.value)


def test_lines_are_counted_as_an_editor_does() -> None:
    data = 'First,Last,Email,Notes\n\nA,B,a@example.com,"two\nlines"\nC,D,nonsense,\n'
    parsed = read_roster(data.encode())
    assert [row.line for row in parsed.rows] == [3]
    assert [problem.line for problem in parsed.problems] == [5]


def test_names_are_kept_as_typed() -> None:
    headings = "First Name,Last Name,Email,Team"
    [row] = roster('Ava 🏀,"<b>O\'Neil</b> & Co",a@club.test,"Boys\' ""A"""', headings=headings).rows
    assert (row.first_name, row.last_name, row.team) == ("Ava 🏀", "<b>O'Neil</b> & Co", 'Boys\' "A"')


@pytest.mark.parametrize(
    ("typed", "names"),
    [
        ("Jaxon Reed", ("Jaxon", "Reed")),
        ("Reed Jaxon", ("Reed", "Jaxon")),
        ("Mary Ann Smith", ("Mary Ann", "Smith")),
        ("Maria del Carmen Lopez", ("Maria", "del Carmen Lopez")),
        ("Jaxon Reed Jr.", ("Jaxon", "Reed Jr.")),
        ("Prince Reed", ("Prince", "Reed")),
        ("Judge Young", ("Judge", "Young")),
        ("Ava 🏀 Stone", ("Ava 🏀", "Stone")),
        ('"Reed, Jaxon (Jax)"', ("Jaxon (Jax)", "Reed")),
    ],
)
def test_a_name_in_one_column_is_taken_apart(typed: str, names: tuple[str, str]) -> None:
    [row] = roster(f"{typed},a@example.com", headings="Player Name,Email").rows
    assert (row.first_name, row.last_name) == names


async def test_a_phone_number_that_cannot_be_read_keeps_nobody_out(database: Database) -> None:
    async with database.transaction() as conn:
        club = await add_club(conn)
        report = await bring_in(conn, club, "Jaxon,Reed,d@example.com,ask mum", headings="First,Last,Email,Phone")
        assert await conn.scalar(text("select phone from parents")) is None
    assert report.players_created == 1
    assert [notice.line for notice in report.notices] == [2]


def test_a_row_that_is_there_twice_counts_once() -> None:
    parsed = roster(JAXON, JAXON)
    assert (len(parsed.rows), parsed.problems) == (1, ())


async def test_a_child_who_seems_to_be_there_already_is_not_charged_twice(database: Database) -> None:
    async with database.transaction() as conn:
        club = await add_club(conn)
        await bring_in(conn, club, JAXON, EMMA)
        moved = JAXON.replace("dana@example.com", "new@example.com")
        report = await bring_in(conn, club, moved)
        assert len(await players(conn)) == 2
        [problem] = report.problems
        assert (problem.line, "d***@example.com" in problem.reason) == (2, True)
        assert (report.players_created, report.parents_created) == (0, 0)

        report = await bring_in(conn, club, f"{moved},dana@example.com", headings=f"{HEADINGS},Previous Email")
        assert [row[3] for row in await players(conn)] == ["new@example.com", "new@example.com"]
        assert (report.parents_updated, report.unchanged, report.problems) == (1, 1, ())
        again = await bring_in(conn, club, f"{moved},dana@example.com", headings=f"{HEADINGS},Previous Email")
        assert again == RosterReport(0, 0, 1, 0, 0, 0, 0, (), ())


async def test_two_children_of_one_name_are_two_children(database: Database) -> None:
    other = JAXON.replace("dana@example.com", "other@example.com")
    namesake = JAXON.replace("dana@example.com", "third@example.com").replace("U12 Blue", "U16")
    async with database.transaction() as conn:
        club = await add_club(conn)
        assert (await bring_in(conn, club, JAXON, other)).players_created == 2
        assert (await bring_in(conn, club, other)).unchanged == 1
        report = await bring_in(conn, club, namesake)
    assert (report.players_created, report.problems, len(report.notices)) == (1, (), 1)


async def test_clubs_are_kept_apart(database: Database) -> None:
    async with database.transaction() as conn:
        mine, other = await add_club(conn), await add_club(conn, "Lakeside")
        await bring_in(conn, other, JAXON)
        assert await bring_in(conn, mine, JAXON) == RosterReport(1, 0, 0, 1, 0, 1, 0, (), ())


def large(number: int) -> ParsedRoster:
    return roster(
        *(f"P{n},Reed{n % 7},Team {n % 40},family{n // 2}@example.com,Dana,Reed,150,signed" for n in range(number))
    )


async def test_an_import_costs_a_fixed_number_of_statements(database: Database) -> None:
    numbers = []
    async with database.transaction() as conn:
        club = await add_club(conn)
        for size in (10, 2_000):
            with counted(conn) as statements:
                report = await import_roster(conn, club, large(size))
            numbers.append(len(statements))
        assert (report.players_created, report.unchanged) == (1_990, 10)
    assert numbers[0] == numbers[1] <= 10


async def test_imports_at_the_same_time_do_not_disturb_one_another(database: Database) -> None:
    async with database.transaction() as conn:
        club = await add_club(conn)

    async def load(parsed: ParsedRoster) -> RosterReport:
        async with database.transaction() as conn:
            return await import_roster(conn, club, parsed)

    forwards = large(200)
    backwards = ParsedRoster(forwards.rows[::-1], 0, (), ())
    reports = await asyncio.gather(*(load(parsed) for parsed in (forwards, backwards, forwards, backwards)))
    assert sorted(report.players_created for report in reports) == [0, 0, 0, 200]
    assert sorted(report.parents_created for report in reports) == [0, 0, 0, 100]


async def test_an_empty_roster_changes_nothing(database: Database) -> None:
    async with database.transaction() as conn:
        club = await add_club(conn)
        assert await bring_in(conn, club) == RosterReport(0, 0, 0, 0, 0, 0, 0, (), ())


@pytest.mark.parametrize(
    ("heading", "typed", "day"),
    [
        ("Contract Date", "2026-12-16", date(2026, 12, 16)),
        ("contract_signed", "12/16/2026", date(2026, 12, 16)),
        ("Date Signed", "12/6/26", date(2026, 12, 6)),
        ("Signed On", "Dec 16, 2026", date(2026, 12, 16)),
        ("Signed On", "2026-12-16T09:30:00Z", date(2026, 12, 16)),
        ("Contract Signed", "12/16/2026 9:30 PM", date(2026, 12, 16)),
        ("Contract Signed", "Yes", None),
        ("Contract Signed", "", None),
    ],
)
async def test_when_a_contract_was_signed(database: Database, heading: str, typed: str, day: date | None) -> None:
    headings = f"First,Last,Parent 1 Email,{heading}"
    line = f'Jaxon,Reed,dana@example.com,"{typed}"'
    async with database.transaction() as conn:
        club = await add_club(conn)
        assert (await bring_in(conn, club, line, headings=headings)).players_created == 1
        assert await conn.scalar(text("select contract_date from players")) == day
        assert (await bring_in(conn, club, line, headings=headings)).unchanged == 1


async def test_another_contract_date_is_an_update_and_a_blank_one_is_not(database: Database) -> None:
    headings = "First,Last,Parent 1 Email,Contract Date"
    async with database.transaction() as conn:
        club = await add_club(conn)
        await bring_in(conn, club, "Jaxon,Reed,dana@example.com,2026-12-16", headings=headings)
        moved = await bring_in(conn, club, "Jaxon,Reed,dana@example.com,2026-12-20", headings=headings)
        blank = await bring_in(conn, club, "Jaxon,Reed,dana@example.com,", headings=headings)
        assert (moved.players_updated, blank.unchanged) == (1, 1)
        assert await conn.scalar(text("select contract_date from players")) == date(2026, 12, 20)


@pytest.mark.parametrize("typed", ["31/12/2026", "next week", "0026-12-16", "2026-02-30", "46372"])
def test_a_contract_date_that_cannot_be_read_is_listed(typed: str) -> None:
    read = roster(f"Jaxon,Reed,dana@example.com,{typed}", headings="First,Last,Parent 1 Email,Contract Date")
    assert read.rows == ()
    assert "write it like 2026-12-16" in read.problems[0].reason
