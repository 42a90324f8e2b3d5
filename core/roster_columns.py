"""The column headings that rosters come with, and which of ours each one means.

The names are those of LeagueApps' player export (`Team`, `Role`, `First Name`, `Parent 1 Email`,
`Parent 1 Mobile Number`), SportsEngine's team template and member export (`Team Name`, `Team Role`,
`Member First Name`, `Email`) and TeamSnap's organization roster (`First`, `P1 First`, `P1 Email`,
`Non-Player`, `Division`), as their help pages list them, and what people write by hand.
"""

import re
from collections.abc import Sequence
from enum import StrEnum
from itertools import product

_NOT_LETTERS = re.compile(r"[\W_]+")


class Field(StrEnum):
    """What a column holds."""

    FIRST_NAME = "first name"
    LAST_NAME = "last name"
    FULL_NAME = "player name"
    TEAM = "team"
    EMAIL = "e-mail address"
    PREVIOUS_EMAIL = "previous e-mail address"
    PARENT_FIRST_NAME = "parent's first name"
    PARENT_LAST_NAME = "parent's last name"
    PARENT_FULL_NAME = "parent's name"
    PHONE = "phone"
    MONTHLY_FEE = "monthly fee"
    SECOND_EMAIL = "second guardian's e-mail address"
    SECOND_FIRST_NAME = "second guardian's first name"
    SECOND_LAST_NAME = "second guardian's last name"
    SECOND_FULL_NAME = "second guardian's name"
    SECOND_SHARE = "second guardian's share"
    CONTRACT_STATUS = "contract status"
    CONTRACT_DATE = "contract date"
    NON_PLAYER = "non-player"
    ROLE = "role"


_PLAYER = ("", "player", "players", "athlete", "member", "participant", "child", "student")
_PARENT = (
    "parent1", "p1", "parentguardian1", "guardian1", "primaryparent", "parent", "guardian", "parentguardian",
    "contact1",
)  # fmt: skip
_SECOND = (
    "parent2", "p2", "parentguardian2", "guardian2", "secondaryparent", "secondparent", "secondguardian",
    "contact2",
)  # fmt: skip
_FIRST = ("firstname", "first", "givenname")
_LAST = ("lastname", "last", "surname", "familyname")
_NAME = ("name", "fullname")
_EMAIL = ("email", "emailaddress", "primaryemail")
_PHONE = (
    "mobilenumber", "mobilephonenumber", "mobilephone", "mobile", "cellphone", "cell", "phone", "phonenumber",
    "phone1", "homephone",
)  # fmt: skip


def _each(prefixes: Sequence[str], names: Sequence[str]) -> list[str]:
    return [prefix + name for prefix, name in product(prefixes, names)]


# The earlier of two headings wins where both have a value: a parent's address before the player's own,
# a team before the division it plays in.
_HEADINGS: dict[Field, list[str]] = {
    Field.FIRST_NAME: _each(_PLAYER, _FIRST),
    Field.LAST_NAME: _each(_PLAYER, _LAST),
    Field.FULL_NAME: [*_each(_PLAYER, _NAME), "player", "athlete", "participant"],
    Field.TEAM: ["team", "teamname", "currentteam", "rosterteam", "division", "divisionname"],
    Field.EMAIL: [*_each(_PARENT, _EMAIL), "accountemail", "familyemail", *_each(_PLAYER, _EMAIL)],
    Field.PREVIOUS_EMAIL: ["previousemail", "oldemail"],
    Field.PARENT_FIRST_NAME: [*_each(_PARENT, _FIRST), "accountfirstname"],
    Field.PARENT_LAST_NAME: [*_each(_PARENT, _LAST), "accountlastname"],
    Field.PARENT_FULL_NAME: [*_each(_PARENT, _NAME), "parent1", "parent", "guardian1", "guardian"],
    Field.PHONE: [*_each(_PARENT, _PHONE), *_each(_PLAYER, _PHONE)],
    Field.MONTHLY_FEE: ["monthlyfee", "monthlydues", "fee", "dues"],
    Field.SECOND_EMAIL: _each(_SECOND, _EMAIL),
    Field.SECOND_FIRST_NAME: _each(_SECOND, _FIRST),
    Field.SECOND_LAST_NAME: _each(_SECOND, _LAST),
    Field.SECOND_FULL_NAME: [*_each(_SECOND, _NAME), "parent2", "guardian2"],
    Field.SECOND_SHARE: _each(_SECOND, ("share", "sharepercent", "percent")),
    Field.CONTRACT_STATUS: ["contractstatus", "contract"],
    Field.CONTRACT_DATE: ["contractdate", "contractsigned", "datesigned", "signedon"],
    Field.NON_PLAYER: ["nonplayer", "isnonplayer"],
    Field.ROLE: ["role", "teamrole", "rolelabel", "membertype"],
}
_MEANING = {
    heading: (rank, field) for field, headings in _HEADINGS.items() for rank, heading in enumerate(headings)
}

Columns = dict[Field, list[int]]


def recognise(headings: Sequence[str]) -> Columns:
    """Return which columns hold what, the preferred one first. Case, spaces and punctuation don't matter."""
    found: dict[Field, list[tuple[int, int]]] = {}
    for place, heading in enumerate(headings):
        meaning = _MEANING.get(_NOT_LETTERS.sub("", heading.casefold()))
        if meaning is not None:
            rank, field = meaning
            found.setdefault(field, []).append((rank, place))
    return {field: [place for _, place in sorted(places)] for field, places in found.items()}


def names_players(columns: Columns) -> bool:
    """Say whether a heading row has what a player is called."""
    return Field.FULL_NAME in columns or (Field.FIRST_NAME in columns and Field.LAST_NAME in columns)
