"""What the stand-in knows: every object by its id, in the order it was made."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any, TypeAlias

import stripe

from sandbox.stripe.errors import no_such

Json: TypeAlias = dict[str, Any]
API_VERSION: str = stripe.api_version


def utcnow() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


class Books:
    """All objects of one account.

    Args:
        clock: the UTC time that `created`, `expires_at` and signatures go by.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.clock = clock
        self.base_url = ""
        self.products: dict[str, Json] = {}
        self.prices: dict[str, Json] = {}
        self.customers: dict[str, Json] = {}
        self.payment_links: dict[str, Json] = {}
        self.sessions: dict[str, Json] = {}
        self.payment_intents: dict[str, Json] = {}
        self.charges: dict[str, Json] = {}
        self.refunds: dict[str, Json] = {}
        self.disputes: dict[str, Json] = {}
        self.events: dict[str, Json] = {}
        # Line items of a link or a session, and what a session's PaymentIntent will be made from.
        self.line_items: dict[str, list[Json]] = {}
        self.intent_data: dict[str, Json] = {}
        # The PaymentIntent of an open session's failed attempts; the session itself doesn't show it yet.
        self.attempted: dict[str, str] = {}
        self.on_event: Callable[[Json], None] = lambda _event: None
        # The API request under way, as events name it.
        self.origin: Json = {"id": None, "idempotency_key": None}
        # Events of a request that may still be refused; None while there is none.
        self._held: list[Json] | None = None

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """Take back what the block made if it fails: a refused request leaves nothing behind and tells nobody."""
        tables = (self.products, self.prices, self.customers, self.payment_links, self.sessions, self.events)
        before = [set(table) for table in tables]
        self._held = []
        try:
            yield
        except Exception:
            for table, known in zip(tables, before, strict=True):
                for made in table.keys() - known:
                    del table[made]
            self._held.clear()
            raise
        finally:
            held, self._held = self._held, None
            for event in held:
                self.on_event(event)

    def now(self) -> int:
        """The time in seconds since 1970."""
        return int(self.clock().timestamp())

    def emit(self, kind: str, subject: Json, previous: Json | None = None) -> Json:
        """Record that something happened to an object, as it is now.

        `previous` are the values that an update changed.
        """
        data: Json = {"object": deepcopy(subject)}
        if previous is not None:
            data["previous_attributes"] = deepcopy(previous)
        event: Json = {
            "id": new_id("evt_"),
            "object": "event",
            "api_version": API_VERSION,
            "created": self.now(),
            "data": data,
            "livemode": False,
            "pending_webhooks": 0,
            "request": dict(self.origin),
            "type": kind,
        }
        self.events[event["id"]] = event
        if self._held is None:
            self.on_event(event)
        else:
            self._held.append(event)
        return event

    def update(self, kind: str, subject: Json, **changes: object) -> None:
        """Change an object and say so in an event with the values it had; nothing when nothing differs."""
        previous = {key: subject.get(key) for key, value in changes.items() if subject.get(key) != value}
        subject.update(changes)
        if previous:
            self.emit(kind, subject, previous)

    def table_of(self, object_id: str) -> dict[str, Json]:
        """The objects among which this id would be, by its prefix."""
        tables = {
            "prod_": self.products,
            "price_": self.prices,
            "cus_": self.customers,
            "plink_": self.payment_links,
            "cs_": self.sessions,
            "pi_": self.payment_intents,
            "ch_": self.charges,
            "re_": self.refunds,
            "du_": self.disputes,
            "evt_": self.events,
        }
        return next((table for prefix, table in tables.items() if object_id.startswith(prefix)), {})


def new_id(prefix: str) -> str:
    """An id that nothing else has."""
    return prefix + secrets.token_hex(12)


def find(table: dict[str, Json], what: str, object_id: str, *, param: str | None = None) -> Json:
    """The object of this id.

    Args:
        table: where to look.
        what: what it is called in the refusal.
        object_id: the id.
        param: the parameter that named it; None when it was the address.

    Raises:
        RefusedError: there is none.
    """
    found = table.get(object_id)
    if found is None:
        raise no_such(what, object_id, param or what, status=400 if param else 404)
    return found
