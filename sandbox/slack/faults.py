"""Faults that can be switched on: what a Web API goes through on a bad day."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["ratelimited", "server_error", "garbage", "drop", "delay", "error"]


@dataclass(slots=True)
class Fault:
    """One fault, for the next `times` calls of `method` (None: of any method).

    `seconds` is the Retry-After of `ratelimited` and the wait of `delay`. With `executes` the call is carried out
    before its answer is lost or spoilt. `error` is the Slack error name that `kind="error"` answers with.
    """

    kind: Kind
    method: str | None = None
    times: int = 1
    seconds: float = 1.0
    executes: bool = False
    error: str = "internal_error"


class Faults:
    """The faults that are waiting for their call."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Queue a fault behind those already waiting."""
        self._waiting.append(fault)

    def clear(self) -> None:
        """Back to good weather."""
        self._waiting.clear()

    def take(self, method: str) -> Fault | None:
        """The fault that the next call of `method` meets, if any; counts it down."""
        for fault in self._waiting:
            if fault.method in {None, method}:
                fault.times -= 1
                if fault.times <= 0:
                    self._waiting.remove(fault)
                return fault
        return None
