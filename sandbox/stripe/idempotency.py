"""Idempotency keys (https://docs.stripe.com/api/idempotent_requests)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sandbox.stripe.books import Json
from sandbox.stripe.errors import RefusedError
from sandbox.stripe.forms import Form

LONGEST = 255
KEPT = timedelta(hours=24)


@dataclass(slots=True)
class Saved:
    """What is remembered under a key: the request and, once there is one, the answer."""

    request: tuple[str, Form]
    request_id: str
    made_at: datetime
    status: int | None = None
    body: Json | None = None


class Idempotency:
    """The keys of the last 24 hours."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._saved: dict[str, Saved] = {}

    def begin(self, key: str, request: tuple[str, Form], request_id: str) -> Saved:
        """Reserve a key; what comes back has a status when this was answered before.

        Raises:
            RefusedError: the key is too long, in use at this moment, or was used for another request.
        """
        if not 1 <= len(key) <= LONGEST:
            raise RefusedError(
                f"Idempotency keys have 1 to {LONGEST} characters; this one has {len(key)}.",
                kind="idempotency_error",
            )
        saved = self._saved.get(key)
        if saved is None or self._clock() - saved.made_at > KEPT:
            saved = self._saved[key] = Saved(request, request_id, self._clock())
            return saved
        if saved.request != request:
            raise RefusedError(
                "Keys for idempotent requests can only be used with the same parameters as the first time. "
                f"Try using a key other than '{key}' if you meant to execute a different request.",
                kind="idempotency_error",
            )
        if saved.status is None:
            raise RefusedError(
                f"There is currently another in-progress request using this Idempotent Key: {key}. "
                "Please try again later.",
                status=409,
                kind="idempotency_error",
                code="idempotency_key_in_use",
            )
        return saved

    def forget(self, key: str) -> None:
        """Give a key back, since nothing was executed under it."""
        self._saved.pop(key, None)
