"""Which club a piece of work is for: what the database is told, so that it hands out no other club's rows.

The doors set it once they know the club: Slack's gate, a family's signed token, an event's order, a job's subject,
the command line's club. Work without one (finding the club in the first place) runs as the database's owner, whom
row-level security does not bind; `docs/decisions/0012-tenants.md` lists what may.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal

# The role that every policy is for. Roles belong to the whole server: its databases share this one.
TENANT_ROLE = "sideline_tenant"
TENANT_SETTING = "sideline.tenant_id"

_current: ContextVar[int | None] = ContextVar("tenant_id", default=None)


def current_tenant() -> int | None:
    """Return the id of the club that this work is for; None where that is not known yet."""
    return _current.get()


@contextmanager
def tenant_scope(tenant_id: int | None) -> Iterator[None]:
    """Have everything inside, and the tasks that it starts, be for this club; None for no club."""
    before = _current.set(tenant_id)
    try:
        yield
    finally:
        _current.reset(before)


def enter_tenant(tenant_id: int) -> None:
    """Have the rest of the enclosing `tenant_scope` be for this club: for doors that learn it on the way."""
    _current.set(tenant_id)


def scope_statements(tenant_id: int | None, *, until_the_end_of: Literal["transaction", "session"]) -> str:
    """Return the SQL that binds a connection to a club or, in a session, to none."""
    if tenant_id is None:
        return f"reset role; reset {TENANT_SETTING}"
    scope = "local " if until_the_end_of == "transaction" else ""
    # An integer, so nothing that needs quoting; SET takes no parameters.
    return f"set {scope}role {TENANT_ROLE}; set {scope}{TENANT_SETTING} = '{int(tenant_id)}'"
