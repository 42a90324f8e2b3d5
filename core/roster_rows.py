"""One row of a roster, checked: who the player is, whose child, in which team, for which fee."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from unicodedata import normalize

from email_validator import EmailNotValidError, validate_email
from nameparser import HumanName
from phonenumbers import NumberParseException, PhoneNumberFormat, format_number, is_possible_number, parse

from core.errors import InvalidInputError
from core.models.statuses import ContractStatus
from core.money import parse_money
from core.roster_columns import Columns, Field

LONGEST_NAME = 100
_HOME_REGION = "US"
# Control characters, and those that turn the direction of the text around them.
_UNWELCOME = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_NOT_A_NON_PLAYER = frozenset({"", "n", "no", "false", "f", "0", "player"})
_PLAYER_ROLES = frozenset({
    "player", "players", "athlete", "participant", "member", "captain", "goalie", "goalkeeper", "keeper",
    "rostered",
})  # fmt: skip
_STAFF_ROLES = frozenset({
    "coach", "coaches", "manager", "staff", "admin", "administrator", "trainer", "director", "volunteer",
    "official", "referee", "parent", "guardian", "mom", "dad", "treasurer", "registrar", "owner",
    "contact", "nonplayer", "chaperone", "physio", "scorekeeper",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class RosterRow:
    """A player as one line of the file has it. `None` is a blank cell, which leaves what is stored alone.

    The monthly fee is in cents; the phone number is in E.164.
    """

    line: int
    first_name: str
    last_name: str
    team: str | None
    email: str
    previous_email: str | None
    parent_first_name: str | None
    parent_last_name: str | None
    phone: str | None
    monthly_fee_cents: int | None
    contract_status: str | None
    unreadable_phone: bool

    @property
    def key(self) -> tuple[str, str, str]:
        """Who the player is: a name within a family."""
        return self.email.lower(), self.first_name.lower(), self.last_name.lower()


class _Cells:
    """A row's cells by what they hold."""

    def __init__(self, columns: Columns, cells: Sequence[str]) -> None:
        self._columns = columns
        self._cells = cells

    def text(self, field: Field) -> str | None:
        """Return the first filled cell of a field on one line, or None.

        Composed (NFC), so that a name exported on a Mac is the same as one exported on Windows.
        """
        for place in self._columns.get(field, ()):
            cell = self._cells[place] if place < len(self._cells) else ""
            if value := " ".join(normalize("NFC", cell).split()):
                return value
        return None

    def name(self, field: Field) -> str | None:
        """Return a name or None.

        Raises:
            InvalidInputError: where it can't be one.
        """
        value = self.text(field)
        if value is not None and _UNWELCOME.search(value):
            raise InvalidInputError(f"The {field.value} holds characters that can't be shown; type it anew")
        if value is not None and len(value) > LONGEST_NAME:
            raise InvalidInputError(f"The {field.value} is longer than {LONGEST_NAME} characters; shorten it")
        return value


def is_staff(columns: Columns, cells: Sequence[str]) -> bool:
    """Say whether a row is a coach's or another grown-up's.

    Raises:
        InvalidInputError: where the role doesn't tell: no child is left out and no coach charged by guesswork.
    """
    row = _Cells(columns, cells)
    non_player = (row.text(Field.NON_PLAYER) or "").lower()
    if non_player not in _NOT_A_NON_PLAYER:
        return True
    role = row.text(Field.ROLE) or ""
    words = set(re.split(r"[\W_]+", role.lower().replace("non-player", "nonplayer"))) - {""}
    staff, player = bool(words & _STAFF_ROLES), bool(words & _PLAYER_ROLES)
    if words and staff == player:
        raise InvalidInputError(f"It is not clear whether the role “{role[:40]}” plays; write Player or Staff")
    return staff


def read_row(columns: Columns, line: int, cells: Sequence[str]) -> RosterRow:
    """Return a row of the roster.

    Raises:
        InvalidInputError: where it can't come in; says what to do.
    """
    row = _Cells(columns, cells)
    first_name, last_name = _player_name(row)
    parent_first_name, parent_last_name = _parent_name(row)
    phone = row.text(Field.PHONE)
    readable = None if phone is None else _phone(phone)
    fee = row.text(Field.MONTHLY_FEE)
    previous = row.text(Field.PREVIOUS_EMAIL)
    return RosterRow(
        line=line,
        first_name=first_name,
        last_name=last_name,
        team=row.name(Field.TEAM),
        email=_email(row.text(Field.EMAIL)),
        previous_email=None if previous is None else _email(previous),
        parent_first_name=parent_first_name,
        parent_last_name=parent_last_name,
        phone=readable,
        monthly_fee_cents=None if fee is None else parse_money(fee),
        contract_status=_contract_status(row.text(Field.CONTRACT_STATUS)),
        unreadable_phone=phone is not None and readable is None,
    )


def _player_name(row: _Cells) -> tuple[str, str]:
    first_name, last_name = row.name(Field.FIRST_NAME), row.name(Field.LAST_NAME)
    full_name = row.name(Field.FULL_NAME)
    if full_name is not None and first_name is None and last_name is None:
        first_name, last_name = _split(full_name)
    if not first_name:
        raise InvalidInputError("The player's first name is missing; fill it in")
    if not last_name:
        raise InvalidInputError("The player's last name is missing; fill it in")
    return first_name, last_name


def _parent_name(row: _Cells) -> tuple[str | None, str | None]:
    first_name, last_name = row.name(Field.PARENT_FIRST_NAME), row.name(Field.PARENT_LAST_NAME)
    full_name = row.name(Field.PARENT_FULL_NAME)
    if full_name is not None and first_name is None and last_name is None:
        first_name, last_name = _split(full_name)
    return first_name or None, last_name or None


def _split(full_name: str) -> tuple[str, str]:
    """Return the first and last name of `Jaxon Reed`, `Reed, Jaxon`, `Maria del Carmen Lopez Jr.`."""
    parsed = HumanName(full_name)
    given = " ".join(filter(None, (parsed.title, parsed.first, parsed.middle)))
    family = " ".join(filter(None, (parsed.last, parsed.suffix)))
    kept = sorted(f"{given} {family}".split()) == sorted(full_name.replace(",", " ").split())
    if given and family and kept:
        return given, family
    # Prince Reed is no prince, and pet names and emoji stay where they are.
    before, comma, after = full_name.partition(",")
    if comma:
        return after.strip(), before.strip()
    given, _, family = full_name.rpartition(" ")
    return (given, family) if given else (family, "")


def _email(typed: str | None) -> str:
    if typed is None:
        raise InvalidInputError("The parent's e-mail address is missing; fill it in")
    try:
        # Nothing is asked of the network. The test environment only adds the domain `.test`.
        valid = validate_email(typed.removeprefix("mailto:"), check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        raise InvalidInputError(
            f"“{typed[:80]}” is not an e-mail address; write one like dana@example.com"
        ) from None
    return valid.ascii_email or valid.normalized


def _phone(typed: str) -> str | None:
    """Return a number in E.164, or None where it can't be read: a family is billed by mail all the same."""
    try:
        number = parse(typed, _HOME_REGION)
    except NumberParseException:
        return None
    return format_number(number, PhoneNumberFormat.E164) if is_possible_number(number) else None


def _contract_status(typed: str | None) -> str | None:
    if typed is None:
        return None
    try:
        return ContractStatus(typed.lower()).value
    except ValueError:
        raise InvalidInputError(
            f"The contract status “{typed[:40]}” is not known; write signed, sent or none"
        ) from None
