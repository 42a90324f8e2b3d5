"""The roster coming in: a file's rows become players, their families and their teams.

A player is a name within a family, and a family is an e-mail address; neither case matters. What is
blank in the file stays as it is, and nobody is ever removed.

A child who is on the roster already, with the same name and team but under another address, is left
out and listed: charging a second time and telling another family are both worse than asking. A
column `Previous Email` says that the family's address has changed and moves the family to it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

from sqlalchemy import Row, TextClause
from sqlalchemy.ext.asyncio import AsyncConnection

from core import roster_statements as statements
from core.errors import InvalidInputError
from core.roster_file import open_roster
from core.roster_rows import RosterRow, is_staff, read_row

_STILL_OWES = (
    "The second guardian of {name} still has open orders and was not replaced; "
    "settle them, or use `sideline guardian remove --move-orders`"
)
_LONGEST_REASON = 400
_NO_ONE_TO_SHARE = "The share of {name}'s fees was left out: there is no second guardian; fill in Parent 2 Email"


@dataclass(frozen=True, slots=True)
class RowProblem:
    """Something about a line of the file, and what to do about it."""

    line: int
    reason: str

    def __post_init__(self) -> None:
        """Leave nothing in the reason that could steer the terminal it is shown on: it quotes the file."""
        shown = "".join(sign if sign.isprintable() else "\ufffd" for sign in self.reason[:_LONGEST_REASON])
        object.__setattr__(self, "reason", shown)


@dataclass(frozen=True, slots=True)
class ParsedRoster:
    """A roster file, read and checked: the rows that can come in, and those that can't.

    `notices` are about rows that come in all the same.
    """

    rows: tuple[RosterRow, ...]
    staff_left_out: int
    problems: tuple[RowProblem, ...]
    notices: tuple[RowProblem, ...]


@dataclass(frozen=True, slots=True)
class RosterReport:
    """What an import did: each of the file's players was created, updated, left unchanged, or is a problem."""

    players_created: int
    players_updated: int
    unchanged: int
    parents_created: int
    parents_updated: int
    teams_created: int
    staff_left_out: int
    problems: tuple[RowProblem, ...]
    notices: tuple[RowProblem, ...]


def read_roster(data: bytes) -> ParsedRoster:
    """Read and check a roster file as it was exported. A bad row is listed, and the others are kept.

    Raises:
        InvalidInputError: where the file as a whole can't be used; says why in one line.
    """
    file = open_roster(data)
    rows: dict[tuple[str, str, str], RosterRow] = {}
    problems: list[RowProblem] = []
    notices: list[RowProblem] = []
    staff = 0
    for found in file.rows:
        try:
            if any(cell.strip() for cell in found.cells[file.width :]):
                raise InvalidInputError(  # noqa: TRY301 - told like every other reason
                    "The row has more cells than headings; put a cell that has a comma in quotation marks"
                )
            if is_staff(file.columns, found.cells):
                staff += 1
                continue
            row = read_row(file.columns, found.line, found.cells)
        except InvalidInputError as error:
            problems.append(RowProblem(found.line, str(error)))
            continue
        first = rows.setdefault(row.key, row)
        if first is row:
            notices += [RowProblem(row.line, words) for words in row.left_out]
        elif replace(row, line=first.line) != first:
            reason = (
                f"The same player is on line {first.line} with other details, and that line was taken; keep one"
            )
            problems.append(RowProblem(row.line, reason))
    return ParsedRoster(tuple(rows.values()), staff, tuple(problems), tuple(notices))


async def import_roster(conn: AsyncConnection, tenant_id: int, roster: ParsedRoster) -> RosterReport:
    """Bring a roster into the club's books, in a fixed number of statements whatever its size.

    It writes; for a rehearsal, roll the transaction back. Imports into one club wait for one another.
    """
    await conn.execute(statements.ONE_IMPORT_AT_A_TIME, {"tenant_id": tenant_id})
    club = _Club(conn, tenant_id)
    families_moved = await club.run(statements.MOVE_FAMILIES, _moves(roster.rows))
    lookalikes = await club.run(statements.FIND_LOOKALIKES, roster.rows)
    doubtful = {row.line: _lookalike(row) for row in lookalikes if row.same_team}
    rows = [row for row in roster.rows if row.line not in doubtful]
    teams = await club.run(statements.ADD_TEAMS, rows)
    parents = await club.run(statements.ADD_PARENTS, rows)
    parents_updated = await club.run(statements.UPDATE_PARENTS, rows)
    await club.run(statements.ADD_SECOND_PARENTS, rows)
    left = await club.run(statements.FIND_LEFT_GUARDIANS, rows)
    updated = await club.run(statements.UPDATE_PLAYERS, rows)
    created = await club.run(statements.ADD_PLAYERS, rows)
    other_teams = [_lookalike(row) for row in lookalikes if not row.same_team]
    guardians = [
        RowProblem(row.line, (_STILL_OWES if row.is_kept else _NO_ONE_TO_SHARE).format(name=row.name))
        for row in left
    ]
    by_line = attrgetter("line")
    return RosterReport(
        players_created=len(created),
        players_updated=len(updated),
        unchanged=len(rows) - len(created) - len(updated),
        parents_created=len(parents),
        parents_updated=len({row.id for row in (*families_moved, *parents_updated)}),
        teams_created=len(teams),
        staff_left_out=roster.staff_left_out,
        problems=tuple(sorted((*roster.problems, *doubtful.values()), key=by_line)),
        notices=tuple(sorted((*roster.notices, *other_teams, *guardians), key=by_line)),
    )


class _Club:
    """Runs the roster's statements for one club, handing the rows over as arrays."""

    def __init__(self, conn: AsyncConnection, tenant_id: int) -> None:
        self._conn = conn
        self._tenant_id = tenant_id

    async def run(self, statement: TextClause, rows: Iterable[RosterRow]) -> list[Row[Any]]:
        rows = tuple(rows)
        columns = {name: [getattr(row, name) for row in rows] for name in statements.COLUMNS}
        return list(await self._conn.execute(statement, {"tenant_id": self._tenant_id, **columns}))


def _moves(rows: Iterable[RosterRow]) -> list[RosterRow]:
    """Return the rows with a previous address, one for each address on either side."""
    by_new = {row.email.lower(): row for row in rows if row.previous_email}
    by_old = {str(row.previous_email).lower(): row for row in by_new.values()}
    return list(by_old.values())


def _lookalike(found: Row[Any]) -> RowProblem:
    who = f"{found.first_name} {found.last_name}"
    there = f"already on the roster under {_mask(found.email)}"
    if found.same_team:
        reason = (
            f"{who} of this team is {there}. If the family's address has changed, put the old one into a column "
            "“Previous Email”; if this is another child, tell them apart by name, e.g. with a middle initial"
        )
    else:
        reason = f"{who} came in as a new player; a child of that name, in another team, is {there}"
    return RowProblem(found.line, reason)


def _mask(email: str | None) -> str:
    """Return an address that its owner's club recognises and nobody else can use."""
    if not email:
        return "a family without an address"
    name, _, domain = email.rpartition("@")
    return f"{name[:1]}***@{domain}"
