"""What a resource gets to see of a request, and what it says about the addresses it answers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sandbox.stripe.books import Books, Json


@dataclass(frozen=True, slots=True)
class Call:
    """A request whose parameters passed the SDK's types. `object_id` is the id in the address."""

    path: str
    params: Json
    object_id: str = ""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method on one address; `{id}` in `path` stands for an object's id."""

    method: str
    path: str
    declared: type
    answer: Callable[[Books, Call], Json]


@dataclass(slots=True)
class RecordedRequest:
    """A request as it came in and how it was answered.

    `params` are typed when they passed the checks, else as they were sent. `status` is None when the connection
    was dropped.
    """

    method: str
    path: str
    params: dict[str, Any] = field(default_factory=dict)
    idempotency_key: str | None = None
    status: int | None = None
    request_id: str = ""
    replayed: bool = False
