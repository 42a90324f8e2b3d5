"""One row of a roster, checked: who the player is, whose child, in which team, for which fee."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
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

# As the three programs and spreadsheets write a day, the month first where it is all numbers.
_DATES = ("%Y-%m-%d", "%m/%d/%Y", "%m/%d/%y", "%m-%d-%Y", "%b %d, %Y", "%B %d, %Y", "%d %b %Y", "%d %B %Y")
_TIME_OF_DAY = re.compile(r"[T ]\d{1,2}:\d{2}.*$")
# A column "Contract Signed" may hold these instead of a day.
_NOT_A_DAY = frozenset({"y", "yes", "true", "x", "signed", "n", "no", "false", "unsigned", "sent", "none", "-"})

_PERCENT = re.compile(r"(\d{1,3})(?:\.0+)? ?%?", re.ASCII)
_FIRST_GUARDIAN = (Field.PARENT_FIRST_NAME, Field.PARENT_LAST_NAME, Field.PARENT_FULL_NAME)
_SECOND_GUARDIAN = (Field.SECOND_FIRST_NAME, Field.SECOND_LAST_NAME, Field.SECOND_FULL_NAME)
_NO_PHONE = "The phone number can't be read and was left out"
_NO_SECOND_ADDRESS = "The second guardian's e-mail address can't be read and was left out"


@dataclass(frozen=True, slots=True)
class RosterRow:
    """A player as one line of the file has it. `None` is a blank cell, which leaves what is stored alone.

    The monthly fee is in cents; the phone number is in E.164; the contract's date is the day it was signed.
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
    contract_date: date | None
    second_email: str | None
    second_first_name: str | None
    second_last_name: str | None
    # The part of every fee that the second guardian pays, in percent; 0 takes it away, and they get copies.
    second_share: int | None
    # What of the row can't be read and was left out, in sentences; the rest comes in.
    left_out: tuple[str, ...]

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
    parent_first_name, parent_last_name = _grown_up(row, *_FIRST_GUARDIAN)
    second_first_name, second_last_name = _grown_up(row, *_SECOND_GUARDIAN)
    email, typed_second = read_address(row.text(Field.EMAIL)), row.text(Field.SECOND_EMAIL)
    second_email = _second_address(typed_second, email)
    share = _share(row.text(Field.SECOND_SHARE))
    phone = row.text(Field.PHONE)
    readable = None if phone is None else _phone(phone)
    fee = row.text(Field.MONTHLY_FEE)
    previous = row.text(Field.PREVIOUS_EMAIL)
    return RosterRow(
        line=line,
        first_name=first_name,
        last_name=last_name,
        team=row.name(Field.TEAM),
        email=email,
        previous_email=None if previous is None else read_address(previous),
        parent_first_name=parent_first_name,
        parent_last_name=parent_last_name,
        phone=readable,
        monthly_fee_cents=None if fee is None else parse_money(fee),
        contract_status=_contract_status(row.text(Field.CONTRACT_STATUS)),
        contract_date=read_day(row.text(Field.CONTRACT_DATE), "contract date"),
        second_email=second_email or None,
        second_first_name=second_first_name,
        second_last_name=second_last_name,
        second_share=share,
        left_out=(
            *([] if phone is None or readable else [_NO_PHONE]),
            *([] if second_email is not None else [_NO_SECOND_ADDRESS]),
        ),
    )


def _player_name(row: _Cells) -> tuple[str, str]:
    first_name, last_name = row.name(Field.FIRST_NAME), row.name(Field.LAST_NAME)
    full_name = row.name(Field.FULL_NAME)
    if full_name is not None and first_name is None and last_name is None:
        first_name, last_name = split_name(full_name)
    if not first_name:
        raise InvalidInputError("The player's first name is missing; fill it in")
    if not last_name:
        raise InvalidInputError("The player's last name is missing; fill it in")
    return first_name, last_name


def _grown_up(row: _Cells, first: Field, last: Field, full: Field) -> tuple[str | None, str | None]:
    first_name, last_name = row.name(first), row.name(last)
    full_name = row.name(full)
    if full_name is not None and first_name is None and last_name is None:
        first_name, last_name = split_name(full_name)
    return first_name or None, last_name or None


def split_name(full_name: str) -> tuple[str, str]:
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


def read_address(typed: str | None) -> str:
    """Return an e-mail address as it is stored.

    Raises:
        InvalidInputError: where it is missing or can't be one.
    """
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


def _second_address(typed: str | None, first: str) -> str | None:
    """Return the second guardian's address, empty where there is none, or None where it can't be read.

    Some exports repeat the first one's.
    """
    if typed is None:
        return ""
    try:
        address = read_address(typed)
    except InvalidInputError:
        return None
    return "" if address.lower() == first.lower() else address


def _share(typed: str | None) -> int | None:
    if typed is None:
        return None
    match = _PERCENT.fullmatch(typed)
    if match is None or int(match[1]) > 99:
        raise InvalidInputError(f"The share “{typed[:40]}” is not a percentage from 0 to 99; write it like 40")
    return int(match[1])


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


def read_day(typed: str | None, what: str) -> date | None:
    """Return a day as people and spreadsheets write it, or None where the cell has none.

    Raises:
        InvalidInputError: where it can't be read; `what` is named in it.
    """
    if typed is None or typed.lower() in _NOT_A_DAY:
        return None
    for pattern in _DATES:
        try:
            day = datetime.strptime(_TIME_OF_DAY.sub("", typed), pattern).date()  # noqa: DTZ007 - a day has no zone
        except ValueError:
            continue
        if 2000 <= day.year < 2100:
            return day
    raise InvalidInputError(f"The {what} “{typed[:40]}” can't be read; write it like 2026-12-16")
