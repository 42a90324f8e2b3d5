"""The one id under which everything that a request or an event led to is found, from the webhook to the mail.

It is Stripe's event id, or the id of the HTTP request (Slack's, a page's, an admin's), or that of the command that
was run. Jobs carry it on, so `grep ID` in all processes' logs tells one story; `email_logs` and `notices` keep it.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from uuid import uuid4

import structlog

# The log's own name of it, and that of the argument by which jobs carry it on.
TRACE = "trace"


def current_trace() -> str | None:
    """Return the id that the present work belongs to; None where nobody gave it one."""
    known: Mapping[str, str] = structlog.contextvars.get_contextvars()
    return known.get(TRACE) or known.get("request_id")


@contextmanager
def traced(trace: str) -> Iterator[None]:
    """Have everything inside, its log lines and the jobs that it enqueues, belong to this id."""
    with structlog.contextvars.bound_contextvars(**{TRACE: trace}):
        yield


def ensure_trace() -> None:
    """Give the present task's work an id, unless it is an HTTP request, which has one.

    For doors that can't put a block around the work; a task that does several things one after the other gets a
    new id for each.
    """
    if "request_id" not in structlog.contextvars.get_contextvars():
        structlog.contextvars.bind_contextvars(**{TRACE: uuid4().hex})
