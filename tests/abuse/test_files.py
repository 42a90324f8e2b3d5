"""Roster and order files of every shape: each row comes in or is named with its reason, and in time."""

import csv
import io
from datetime import UTC, datetime
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.club import club_by_id
from core.database import Database
from core.errors import InvalidInputError
from core.order_import import import_orders
from core.order_rows import read_orders
from core.roster import import_roster, read_roster
from core.table_file import LARGEST_FILE
from tests.abuse.kit import CLEAN_TEXTS, FUZZ, SECONDS
from tests.books import Books, open_books

NOW = datetime(2026, 12, 20, tzinfo=UTC)
ROSTER = (
    "First Name", "Last Name", "Team", "Parent 1 Email", "Parent 1 First Name", "Parent 1 Last Name", "Phone",
    "Monthly Fee", "Contract Status", "Role", "Parent 2 Email", "Parent 2 First Name", "Parent 2 Last Name",
)  # fmt: skip
ORDERS = (
    "Player", "Parent Email", "Item", "Category", "Period", "Amount", "Status", "Due Date", "Paid At", "Method",
    "Stripe Payment Link Id", "Stripe Payment Link URL", "Stripe Checkout Session Id", "Stripe Payment Intent Id",
    "Currency",
)  # fmt: skip
# Cells that get far, so that what is odd in the others gets far too.
LIKELY = st.sampled_from(
    (
        "Jaxon", "Reed", "Jaxon Reed", "U12 Blue", "pat@example.com", "jersey", "monthly", "2026-11", "65.00",
        "paid", "pending", "2026-12-01", "card", "plink_test_1", "cs_test_1", "signed", "$150", "usd", "-5",
        "$0", "1e400", "NaN", "Infinity", "999999999999999999.99", "0000-00-00", "9999-12-31", "2026-13-45",
        "\u0661\u0662",
    )
)  # fmt: skip
CELLS = st.one_of(LIKELY, CLEAN_TEXTS)


def written(headings: tuple[str, ...], rows: list[list[str]], separator: str = ",") -> bytes:
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=separator)
    writer.writerow(headings)
    writer.writerows(rows)
    return file.getvalue().encode()


def files(headings: tuple[str, ...]) -> st.SearchStrategy[bytes]:
    """Files with these headings, whole or damaged."""
    row = st.lists(CELLS, min_size=1, max_size=len(headings) + 1)
    whole = st.builds(
        written, st.permutations(headings).map(tuple), st.lists(row, max_size=6), st.sampled_from(",;\t|")
    )
    damaged = st.builds(
        lambda data, place, put: data[: place % (len(data) + 1)] + put + data[place % (len(data) + 1) :],
        whole,
        st.integers(0, 10_000),
        st.one_of(st.binary(max_size=8), st.sampled_from([b'"', b"\0", b"\xff\xfe", b"\r", b"\xed\xa0\x80"])),
    )
    recoded = whole.map(lambda data: data.decode().encode("utf-16"))
    return st.one_of(whole, damaged, recoded, st.binary(max_size=200))


@pytest.fixture
async def books(database: Database) -> Books:
    async with database.transaction() as conn:
        return await open_books(conn)


@FUZZ
@given(data=files(ROSTER))
async def test_rosters_of_every_shape(database: Database, books: Books, data: bytes) -> None:
    started = process_time()
    try:
        roster = read_roster(data)
        async with database.transaction(keep=False) as conn:
            report = await import_roster(conn, books.tenant_id, roster)
    except InvalidInputError as error:
        reasons = [str(error)]
    else:
        reasons = [problem.reason for problem in report.problems]
        told = report.players_created + report.players_updated + report.unchanged + len(report.problems)
        assert told <= len(roster.rows) + len(roster.problems)
    assert [reason for reason in reasons if not is_a_sentence(reason)] == []
    assert process_time() - started < SECONDS


@FUZZ
@given(data=files(ORDERS))
async def test_order_files_of_every_shape(database: Database, books: Books, data: bytes) -> None:
    started = process_time()
    try:
        async with database.transaction(keep=False) as conn:
            club = await club_by_id(conn, books.tenant_id)
            parsed = read_orders(data, club, NOW)
            report = await import_orders(conn, club, parsed, actor="cli")
    except InvalidInputError as error:
        reasons = [str(error)]
    else:
        reasons = [problem.reason for problem in report.problems]
        assert report.created + report.already_here + len(report.problems) == len(parsed.rows) + len(
            parsed.problems
        )
    assert [reason for reason in reasons if not is_a_sentence(reason)] == []
    assert process_time() - started < SECONDS


def is_a_sentence(reason: str) -> bool:
    """Whether it is one line that a person can read to its end."""
    return 0 < len(reason) <= 500 and reason.isprintable()


def test_a_cell_beyond_all_measure_is_named_for_what_it_is() -> None:
    data = written(ROSTER, [["Kim", "Moss"], ["x" * 200_000, "Reed"]])
    with pytest.raises(InvalidInputError, match=r"^Line 3 has a cell of more than 131,072 characters"):
        read_roster(data)


def test_a_quotation_mark_that_swallows_the_rest_is_named_for_what_it_is() -> None:
    data = b'First Name,Last Name,Team\nKim,"Moss,Blue\n' + b"Jo,Park,Blue\n" * 20_000
    with pytest.raises(InvalidInputError, match=r"^Line 2 has a quotation mark that is never closed"):
        read_roster(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 1000,
        b"First Name,Last Name,Team\n" + b"," * 500_000,
        b"First Name,Last Name,Team\n" + b"\n" * 200_000,
        b"First Name,Last Name,Team\n" + b'"' * 999_999,
        b"," * 1_000_000,
        b"First Name," * 50_000,
        b"PK\x03\x04 a workbook",
        b"x" * (LARGEST_FILE + 1),
    ],
    ids=["empty", "nul", "commas", "lines", "quotes", "headings", "same headings", "workbook", "too large"],
)
def test_files_that_are_only_large_or_odd_are_read_in_time(data: bytes) -> None:
    started = process_time()
    try:
        found = read_roster(data).rows
    except InvalidInputError:
        found = ()
    assert process_time() - started < SECONDS
    assert found == ()
