"""References: what an unexpected failure shows to a person, and the log holds too."""

import secrets

import structlog

from core.errors import SidelineError

log = structlog.get_logger(__name__)

# Without letters and digits that are easily taken for one another when read out.
_ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"


def new_reference() -> str:
    """Return a short reference such as `R-7KQ2MX`."""
    return "R-" + "".join(secrets.choice(_ALPHABET) for _ in range(6))


def reason_of(error: Exception) -> str:
    """Return why one of many things failed, in words for people; what nobody expected goes into the log too.

    For loops in which one thing's failure must not stop the others.
    """
    if isinstance(error, SidelineError):
        return str(error)
    reference = new_reference()
    log.error("unexpected_failure", reference=reference, exc_info=error)
    return f"Something went wrong on our side; the log has it under {reference}."
