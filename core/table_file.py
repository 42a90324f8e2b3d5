"""A table in a text file as it was exported: its encoding, its separator, its rows with their line numbers."""

import codecs
import csv
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Generic, TypeVar

from core.errors import InvalidInputError

F = TypeVar("F", bound=StrEnum)

LARGEST_FILE = 50 * 1024 * 1024
# Exports may begin with a title and a date.
_MOST_LINES_ABOVE_HEADINGS = 20
_SEPARATORS = ",\t;|"
# Decoders that also take the byte order mark away. UTF-32 is not written by any of the programs.
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


@dataclass(frozen=True, slots=True)
class FileRow:
    """One record of the file; `line` is where it begins, counted from 1 as an editor does."""

    line: int
    cells: list[str]


@dataclass(frozen=True, slots=True)
class Table(Generic[F]):
    """The rows under a file's headings, and what its columns hold. `width` is the number of headings."""

    columns: dict[F, list[int]]
    width: int
    rows: list[FileRow]


@dataclass(frozen=True, slots=True)
class Headings(Generic[F]):
    """What a table's headings may be.

    `recognise` says which columns hold what, the preferred one first; `is_row` whether these are the headings of
    such a table at all; `example` shows people what they look like.
    """

    recognise: Callable[[Sequence[str]], dict[F, list[int]]]
    is_row: Callable[[dict[F, list[int]]], bool]
    example: str


def open_table(data: bytes, headings: Headings[F]) -> Table[F]:
    """Read a table: CSV, TSV or semicolons, in UTF-8, Excel's "Unicode text" (UTF-16) or Windows-1252.

    The separator is the one with which the most headings are known, which no comma in a name can upset.

    Raises:
        InvalidInputError: where the file as a whole can't be used; says why.
    """
    text = _decode(data)
    candidates = [found for separator in _SEPARATORS if (found := _find_headings(text, separator, headings))]
    if not candidates:
        raise InvalidInputError(f"No heading row found: the file needs a first line like {headings.example}")
    _, place, separator = max(candidates, key=lambda candidate: candidate[0])
    rows = list(_read(text, separator))
    return Table(headings.recognise(rows[place].cells), len(rows[place].cells), rows[place + 1 :])


def _decode(data: bytes) -> str:
    if not data.strip():
        raise InvalidInputError("The file is empty")
    if len(data) > LARGEST_FILE:
        raise InvalidInputError("The file is larger than 50 MB, which is more than a club's list can be")
    if data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise InvalidInputError("This is an Excel workbook; save it as CSV (“CSV UTF-8”) and import that file")
    marked = [encoding for mark, encoding in _MARKS if data.startswith(mark)]
    for encoding in marked or ("utf-8", "cp1252"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise InvalidInputError("This is not a text file; save it as CSV (“CSV UTF-8”) and import that file")


def _find_headings(text: str, separator: str, headings: Headings[F]) -> tuple[int, int, str] | None:
    """Return how many columns are known, which record the headings are, and the separator."""
    # With another separator than the file's, quotation marks may make no sense.
    with suppress(InvalidInputError):
        for place, row in enumerate(islice(_read(text, separator), _MOST_LINES_ABOVE_HEADINGS)):
            columns = headings.recognise(row.cells)
            if headings.is_row(columns):
                return len(columns), place, separator
    return None


def _read(text: str, separator: str) -> Iterator[FileRow]:
    """Yield every record that has anything in it.

    Raises:
        InvalidInputError: where a quotation mark is never closed, since all that follows would be swallowed; or
            a cell is longer than any name, address or note is.
    """
    # newline="" leaves the line ends alone, so that those inside quotation marks are counted too.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    begins, ends = 1, 0
    is_unclosed = text.count('"') % 2 == 1
    try:
        for cells in reader:
            begins, ends = ends + 1, reader.line_num
            if any(cell.strip() for cell in cells):
                yield FileRow(begins, cells)
    except csv.Error:
        # All that the reader refuses is a cell beyond its limit, which may be the rest of the file.
        raise _unclosed(ends + 1) if is_unclosed else _endless(ends + 1) from None
    if begins < ends and is_unclosed:
        raise _unclosed(begins)


def _endless(line: int) -> InvalidInputError:
    return InvalidInputError(
        f"Line {line} has a cell of more than {csv.field_size_limit():,} characters; shorten it and import again"
    )


def _unclosed(line: int) -> InvalidInputError:
    return InvalidInputError(
        f"Line {line} has a quotation mark that is never closed; close it, so that nothing after it is lost"
    )
