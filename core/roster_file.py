"""A roster file as it was exported."""

from core.errors import InvalidInputError
from core.roster_columns import Field, names_players, recognise
from core.table_file import Headings, Table, open_table

_HEADINGS = Headings(recognise, names_players, "First Name, Last Name, Team, Parent 1 Email")


def open_roster(data: bytes) -> Table[Field]:
    """Read a roster.

    Raises:
        InvalidInputError: where the file as a whole can't be used; says why.
    """
    table = open_table(data, _HEADINGS)
    if Field.EMAIL not in table.columns:
        raise InvalidInputError(
            f"The roster has no column with the parents' e-mail addresses ({len(table.columns)} other columns are "
            "known); call it Parent 1 Email"
        )
    return table
