"""Sentry and OpenTelemetry: switched on by settings alone, not even imported while they are off.

What they are told leaves the club's machines, so nothing in it is about people: where the program failed (no
variables, no request, no names), and how long which kind of work took (routes and tasks, never addresses).
`SENTRY_DSN` needs `sideline[sentry]`, `OTEL_EXPORTER_OTLP_ENDPOINT` needs `sideline[otel]`.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from core.errors import SettingsError, SidelineError
from core.settings import Settings

if TYPE_CHECKING:
    from core.error_reports import ErrorReports
    from core.tracing import Tracing

# How a span is named to another process. https://www.w3.org/TR/trace-context/#traceparent-header
PARENT = "traceparent"


class Telemetry:
    """What this process reports to; one a process, like its log."""

    def __init__(self) -> None:
        self.reports: ErrorReports | None = None
        self.tracing: Tracing | None = None

    @property
    def is_tracing(self) -> bool:
        """Whether spans are recorded."""
        return self.tracing is not None

    def start(self, settings: Settings) -> None:
        """Begin to report what the settings ask for.

        Raises:
            SettingsError: where the library that it takes is not installed, or an address can't be used.
        """
        if settings.sentry_dsn is not None:
            try:
                from core.error_reports import ErrorReports  # noqa: PLC0415 - costs nothing while it is off
            except ImportError:
                raise SettingsError('SENTRY_DSN: needs its library: pip install "sideline[sentry]"') from None
            self.reports = ErrorReports(settings.sentry_dsn.get_secret_value())
        if settings.otel_exporter_otlp_endpoint is not None:
            try:
                from core.tracing import Tracing  # noqa: PLC0415 - costs nothing while it is off
            except ImportError:
                words = 'OTEL_EXPORTER_OTLP_ENDPOINT: needs its library: pip install "sideline[otel]"'
                raise SettingsError(words) from None
            self.tracing = Tracing(settings.otel_exporter_otlp_endpoint)

    def stop(self) -> None:
        """Send what is left, for a few seconds at most, and report nothing more."""
        if self.reports is not None:
            self.reports.close()
        if self.tracing is not None:
            self.tracing.close()
        self.reports = self.tracing = None


telemetry = Telemetry()


@contextmanager
def span(name: str, parent: str | None = None, **attributes: str | int) -> Iterator[None]:
    """Have the time of what is inside recorded, where tracing is on.

    `parent` is what `carried` gave in another process (W3C's `traceparent`). Attributes hold kinds and ids, never
    what people typed.
    """
    if telemetry.tracing is None:
        yield
        return
    with telemetry.tracing.span(name, attributes, parent=parent) as recorded:
        try:
            yield
        except Exception as error:
            recorded.failed(type(error).__name__, is_expected=isinstance(error, SidelineError))
            raise


def carried() -> Mapping[str, str]:
    """Return what a job takes along, so that its span belongs to the present one."""
    return {} if telemetry.tracing is None else telemetry.tracing.carried()
