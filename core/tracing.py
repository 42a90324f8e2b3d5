"""Spans to an OpenTelemetry collector over OTLP/HTTP. Imported where `OTEL_EXPORTER_OTLP_ENDPOINT` is set only.

Of OpenTelemetry's own variables, `OTEL_EXPORTER_OTLP_HEADERS`, `…_TIMEOUT` and `OTEL_SERVICE_NAME` hold as well.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from core.telemetry import PARENT
from core.traces import current_trace

_NAME = {"service.name": "sideline"}


class Recorded:
    """A span that is being recorded."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def rename(self, name: str, **attributes: str | int) -> None:
        """Give it the name that is known by now."""
        self._span.update_name(name)
        self._span.set_attributes(attributes)

    def failed(self, kind: str, *, is_expected: bool = False) -> None:
        """Mark it as failed; an expected failure is an answer, and no error."""
        self._span.set_attribute("error.type", kind)
        if not is_expected:
            self._span.set_status(StatusCode.ERROR)


class Tracing:
    """Records spans and sends them in the background."""

    def __init__(self, endpoint: str) -> None:
        # Not the library's global one: tests have several in one process.
        named = Resource(_NAME).merge(OTELResourceDetector().detect())
        self._provider = TracerProvider(resource=named)
        exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("sideline")
        self._propagator = TraceContextTextMapPropagator()

    @contextmanager
    def span(
        self,
        name: str,
        attributes: Mapping[str, str | int],
        *,
        parent: str | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
    ) -> Iterator[Recorded]:
        """Record what happens inside; `parent` is another process's span."""
        outer = None if parent is None else self._propagator.extract({PARENT: parent})
        trace = current_trace()
        known = dict(attributes) if trace is None else {**attributes, "sideline.trace": trace}
        # An exception's own words may be about a family.
        with self._tracer.start_as_current_span(
            name, context=outer, kind=kind, attributes=known, record_exception=False, set_status_on_exception=False
        ) as span:
            yield Recorded(span)

    def carried(self) -> dict[str, str]:
        """Return the present span as W3C's header, where there is one."""
        headers: dict[str, str] = {}
        self._propagator.inject(headers)
        return {name: value for name, value in headers.items() if name == PARENT}

    def close(self) -> None:
        """Send what is left; the exporter's own time limits bound the wait."""
        self._provider.shutdown()
