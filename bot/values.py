"""What buttons carry: small typed values, checked when they come back."""

import re
from dataclasses import dataclass
from enum import StrEnum

from core.errors import InvalidInputError

_ID = re.compile(r"[1-9][0-9]{0,17}")
OUTDATED = "This button is from an older message; please look the player up again."


@dataclass(frozen=True, slots=True)
class OrderValue:
    """An order, and the player it was shown for."""

    order_id: int
    player_id: int

    def encode(self) -> str:
        """Return the value of a button."""
        return f"{self.order_id}.{self.player_id}"

    @classmethod
    def decode(cls, value: str) -> "OrderValue":
        """Read a button's value.

        Raises:
            InvalidInputError: where we did not write it.
        """
        order_id, _, player_id = value.partition(".")
        return cls(read_id(order_id), read_id(player_id))


class OrderChoice(StrEnum):
    """What an item's menu offers to admins."""

    PAY = "pay"
    AMOUNT = "amount"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class MenuValue:
    """What was chosen from an item's menu."""

    choice: OrderChoice
    order: OrderValue

    def encode(self) -> str:
        """Return the value of a choice."""
        return f"{self.choice}.{self.order.encode()}"

    @classmethod
    def decode(cls, value: str) -> "MenuValue":
        """Read a choice's value.

        Raises:
            InvalidInputError: where we did not write it.
        """
        choice, _, order = value.partition(".")
        if choice not in set(OrderChoice):
            raise InvalidInputError(OUTDATED)
        return cls(OrderChoice(choice), OrderValue.decode(order))


@dataclass(frozen=True, slots=True)
class PaymentValue:
    """A payment, and the player on whose card it was shown."""

    payment_id: int
    player_id: int

    def encode(self) -> str:
        """Return the value of a button."""
        return f"{self.payment_id}.{self.player_id}"

    @classmethod
    def decode(cls, value: str) -> "PaymentValue":
        """Read a button's value.

        Raises:
            InvalidInputError: where we did not write it.
        """
        payment_id, _, player_id = value.partition(".")
        return cls(read_id(payment_id), read_id(player_id))


def read_id(value: str) -> int:
    """Read an id that a control carries.

    Raises:
        InvalidInputError: where we did not write it.
    """
    if not _ID.fullmatch(value):
        raise InvalidInputError(OUTDATED)
    return int(value)
