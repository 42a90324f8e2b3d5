"""Faults that can be switched on: what an API goes through on a bad day."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["rate_limit", "server_error", "garbage", "drop", "delay"]


@dataclass(slots=True)
class Fault:
    """One fault, for the next `times` requests whose path contains `path` (None: for any).

    `seconds` is the Retry-After of `rate_limit` and the wait of `delay`. With `executes` the request is carried
    out, and remembered under its idempotency key, before its answer is lost or spoilt; a `server_error` that
    executes is remembered as the error, like Stripe's.
    """

    kind: Kind
    path: str | None = None
    times: int = 1
    seconds: float = 1.0
    executes: bool = False


class Faults:
    """The faults that are waiting for their request."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Queue a fault behind those already waiting."""
        self._waiting.append(fault)

    def clear(self) -> None:
        """Back to good weather."""
        self._waiting.clear()

    def take(self, path: str) -> Fault | None:
        """The fault that the next request of `path` meets, if any; counts it down."""
        for fault in self._waiting:
            if fault.path is None or fault.path in path:
                fault.times -= 1
                if fault.times <= 0:
                    self._waiting.remove(fault)
                return fault
        return None
