"""What buttons carry: small typed values, checked when they come back."""

import re
from dataclasses import dataclass

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


def read_id(value: str) -> int:
    """Read an id that a control carries.

    Raises:
        InvalidInputError: where we did not write it.
    """
    if not _ID.fullmatch(value):
        raise InvalidInputError(OUTDATED)
    return int(value)
