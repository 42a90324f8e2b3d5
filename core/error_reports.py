"""Error reports to Sentry: what the log calls an error, without what it is about.

Imported where `SENTRY_DSN` is set only.
None of the library's integrations is on: they would add requests, their bodies, and the addresses that were asked
for. A report holds the exception's type, its place in the code, its words with names and addresses taken out, and
the ids under which the log tells the rest.
"""

import logging
import re
import sys
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

from sentry_sdk import Client, Scope
from sentry_sdk.utils import BadDsn, event_from_exception
from structlog.typing import EventDict

from core.errors import SettingsError
from core.logs import HIDDEN, listen, stop_listening, without_secrets

if TYPE_CHECKING:
    from sentry_sdk.types import Event, Hint

CLOSE_SECONDS = 3.0
# Names of ours: everything else of a log line stays in the log.
_IDS = ("reference", "trace", "request_id", "job_id", "task")
# What an exception says of people stands in quotation marks (`KeyError: 'Jaxon'`) or is an address.
_ABOUT_PEOPLE = re.compile(r"""'[^']*'|"[^"]*"|“[^”]*”|‘[^’]*’|[^\s<>'"(]+@[^\s<>'")]+""")  # noqa: RUF001 - typographic quotes are meant

_ERRORS = {"error", "critical"}
_REPORTERS = ("sentry_sdk", "urllib3", "opentelemetry")

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


class ErrorReports(logging.Handler):
    """Reports every error that is logged, and every exception that is logged at whatever level.

    Raises:
        SettingsError: where the DSN is none.
    """

    def __init__(self, dsn: str) -> None:
        super().__init__()
        # Not the library's global one: it would begin to watch the whole process.
        try:
            self._client = Client(
                dsn=dsn,
                # Without being told otherwise it leaves users, headers and cookies out.
                include_local_variables=False,
                include_source_context=True,
                max_request_body_size="never",
                max_breadcrumbs=0,
                default_integrations=False,
                auto_enabling_integrations=False,
                auto_session_tracking=False,
                before_send=scrub,
                shutdown_timeout=CLOSE_SECONDS,
            )
        except BadDsn:
            raise SettingsError("SENTRY_DSN: should look like https://key@sentry.example.com/1") from None
        self._scope = Scope(client=self._client)
        logging.getLogger().addHandler(self)
        listen(self.hear)

    def emit(self, record: logging.LogRecord) -> None:
        """Report what a library logged, where it is an error; without the arguments of its words."""
        # That reports can't be sent is nothing to report: it would never end.
        if not record.name.startswith(_REPORTERS):
            is_error = record.levelno >= logging.ERROR
            self._report(record.name, str(record.msg), record.exc_info, {}, is_error=is_error)

    def hear(self, logger: str, fields: EventDict) -> None:
        """Report a line of ours, where it is an error."""
        is_error = fields["level"] in _ERRORS
        self._report(logger, str(fields.get("event", "")), fields.get("exc_info"), fields, is_error=is_error)

    def _report(
        self, logger: str, words: str, exc_info: object, fields: Mapping[str, object], *, is_error: bool
    ) -> None:
        exception = _exception(exc_info)
        if exception is None and not is_error:
            return
        event, hint = self._event(exception)
        event["level"] = "error"
        event["logger"] = logger
        event["tags"] = {name: str(fields[name]) for name in _IDS if fields.get(name) is not None}
        event["logentry"] = {"message": words}
        self._client.capture_event(event, hint, self._scope)

    def _event(self, exc_info: ExcInfo | None) -> "tuple[Event, Hint]":
        if exc_info is None:
            return {}, {}
        return event_from_exception(exc_info, client_options=self._client.options)

    def close(self) -> None:
        """Send what is left, for a few seconds at most."""
        stop_listening(self.hear)
        logging.getLogger().removeHandler(self)
        self._client.close(timeout=CLOSE_SECONDS)
        super().close()


def scrub(event: "Event", _hint: "Hint") -> "Event":
    """Take out of a report what may be about people: a net beneath what is not put in (Sentry's `before_send`)."""
    for name in ("request", "user", "breadcrumbs", "extra", "server_name"):
        cast("dict[str, Any]", event).pop(name, None)
    if "logentry" in event:
        event["logentry"] = {"message": impersonal(str(event["logentry"].get("message", "")))}
    for exception in event.get("exception", {}).get("values", []):
        exception["value"] = impersonal(str(exception.get("value") or ""))
        for frame in (exception.get("stacktrace") or {}).get("frames", []):
            frame.pop("vars", None)
    return event


def impersonal(words: str) -> str:
    """Return the first line of what an exception says, without what it quotes, addresses and secrets.

    PostgreSQL's further lines hold the row that it refused.
    """
    first = words.strip().split("\n", 1)[0]
    return _ABOUT_PEOPLE.sub(HIDDEN, without_secrets(first))


def _exception(given: object) -> ExcInfo | None:
    """Return what `exc_info` stands for: an exception, its tuple, or True for the present one."""
    if isinstance(given, BaseException):
        return type(given), given, given.__traceback__
    if isinstance(given, tuple):
        return cast("ExcInfo", given) if given[0] is not None else None
    current = sys.exc_info() if given else (None, None, None)
    return cast("ExcInfo", current) if current[0] is not None else None
