"""Sentry and OpenTelemetry: real reports to a sink on loopback, and nothing of people in them."""

import ast
import asyncio
import gzip
import json
import logging
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from pydantic import SecretStr

from core.error_reports import impersonal
from core.errors import NotFoundError, SettingsError
from core.settings import Settings
from core.telemetry import Telemetry, carried, span, telemetry
from core.traces import traced
from tests.books import made_up_settings
from tests.bot.conftest import Club
from tests.core.test_logs import logged
from tests.operations.conftest import Sink
from tests.web.conftest import web_client
from tests.web.kit import SECRET, session_event, tell

ROOT = Path(__file__).parent.parent.parent


def reporting(tmp_path: Path, sink: Sink) -> Settings:
    dsn = sink.url.replace("://", "://public@") + "/1"
    return made_up_settings(tmp_path, sentry_dsn=SecretStr(dsn))


def events(sink: Sink) -> list[dict[str, Any]]:
    """Return the events of the envelopes that came in (https://develop.sentry.dev/sdk/data-model/envelopes)."""
    found = []
    for path, headers, body in sink.received:
        assert path == "/api/1/envelope/"
        raw = gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body
        lines = raw.splitlines()
        for header, item in zip(lines[1::2], lines[2::2], strict=True):
            if json.loads(header)["type"] == "event":
                found.append(json.loads(item))
    return found


def ask_for(private: str) -> None:
    raise KeyError(f"{private} has no row")


async def test_an_error_arrives_with_its_place_and_ids_and_nothing_of_people(sink: Sink, tmp_path: Path) -> None:
    # Made here: a report shows the lines of code around the place.
    name, address = "jaxon reed".title(), "PAT@EXAMPLE.COM".lower()
    with logged():
        reports = Telemetry()
        reports.start(reporting(tmp_path, sink))
        with traced("evt_test_1"):
            try:
                ask_for(name)
            except KeyError:
                structlog.get_logger("web").exception(
                    "request_failed", reference="R-234567", payer=address, body=f"text={name}"
                )
        structlog.get_logger("web").info("link_opened", reference="R-765432")
        await asyncio.to_thread(reports.stop)
    (event,) = events(sink)
    (exception,) = event["exception"]["values"]
    assert exception["type"] == "KeyError"
    assert exception["stacktrace"]["frames"][-1]["function"] == "ask_for"
    assert event["tags"] == {"reference": "R-234567", "trace": "evt_test_1"}
    assert event["logentry"]["message"] == "request_failed"
    told = json.dumps(event)
    for private in (name, address, '"vars"', "server_name", '"user"', '"request"', '"breadcrumbs"'):
        assert private not in told


async def test_what_libraries_log_arrives_without_its_arguments(sink: Sink, tmp_path: Path) -> None:
    with logged():
        reports = Telemetry()
        reports.start(reporting(tmp_path, sink))
        logging.getLogger("some.library").error("could not reach %s", "pat@example.com")
        await asyncio.to_thread(reports.stop)
    (event,) = events(sink)
    assert event["logentry"]["message"] == "could not reach %s"
    assert "pat@example.com" not in json.dumps(event)


def test_words_of_an_exception_lose_names_addresses_and_secrets() -> None:
    told = impersonal(
        "duplicate key “Pat Reed” for pat@example.com at postgresql://club:s3cret@db/x 'Elm Street'\n"
        "DETAIL: Key (email)=(pat@example.com) already exists."
    )
    assert told.startswith("duplicate key [hidden] for [hidden]")
    for private in ("Pat", "pat@", "s3cret", "Elm", "DETAIL"):
        assert private not in told


async def test_spans_arrive_and_belong_together_through_the_queue(sink: Sink, tmp_path: Path) -> None:
    telemetry.start(made_up_settings(tmp_path, otel_exporter_otlp_endpoint=sink.url))
    try:
        with traced("evt_test_1"), span("stripe event", type="refund.created"):
            parent = carried()["traceparent"]
        with pytest.raises(NotFoundError), span("job send_mail", parent, queue="mail"):
            raise NotFoundError("No family of pat@example.com")
        with pytest.raises(ValueError, match="Jaxon"), span("job send_mail", parent, queue="mail"):
            raise ValueError("Jaxon Reed")
    finally:
        await asyncio.to_thread(telemetry.stop)
    assert carried() == {}
    path, _, body = sink.received[0]
    assert path == "/v1/traces"
    (resource,) = ExportTraceServiceRequest.FromString(body).resource_spans
    assert {a.key: a.value.string_value for a in resource.resource.attributes}["service.name"] == "sideline"
    first, expected, unexpected = resource.scope_spans[0].spans
    assert [first.name, expected.name] == ["stripe event", "job send_mail"]
    assert {expected.trace_id, unexpected.trace_id} == {first.trace_id}
    assert expected.parent_span_id == first.span_id
    assert {a.key: a.value.string_value for a in first.attributes} == {
        "type": "refund.created",
        "sideline.trace": "evt_test_1",
    }
    assert (expected.status.code, unexpected.status.code) == (0, 2)
    assert b"pat@example.com" not in body
    assert b"Jaxon" not in body


async def test_a_request_and_the_jobs_it_led_to_are_one_trace(club: Club, sink: Sink, tmp_path: Path) -> None:
    telemetry.start(made_up_settings(tmp_path, otel_exporter_otlp_endpoint=sink.url))
    settings = club.services.settings.model_copy(update={"stripe_webhook_secret": (SECRET,)})
    try:
        async with web_client(replace(club.services, settings=settings)) as client:
            await tell(client, session_event(order_id=None))
            await client.get("/pay/secret-token")
        await club.drain()
    finally:
        await asyncio.to_thread(telemetry.stop)
    bodies = [ExportTraceServiceRequest.FromString(body) for _, _, body in sink.received]
    spans = {each.name: each for body in bodies for each in body.resource_spans[0].scope_spans[0].spans}
    assert {"POST /webhooks/stripe", "job post_notice", "GET /pay/{token}"} <= spans.keys()
    told, posted = spans["POST /webhooks/stripe"], spans["job post_notice"]
    assert (posted.trace_id, posted.parent_span_id) == (told.trace_id, told.span_id)
    assert all(b"secret-token" not in body for _, _, body in sink.received)


def test_a_wrong_dsn_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="SENTRY_DSN: should look like"):
        Telemetry().start(made_up_settings(tmp_path, sentry_dsn=SecretStr("nonsense")))


@pytest.mark.parametrize(
    ("name", "value", "library"),
    [
        ("sentry_dsn", SecretStr("https://public@sentry.example.com/1"), "sentry_sdk"),
        ("otel_exporter_otlp_endpoint", "http://127.0.0.1:9", "opentelemetry.sdk.trace"),
    ],
)
def test_a_missing_library_is_named(
    name: str, value: object, library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("core.error_reports", "core.tracing"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(SettingsError, match=rf"{name.upper()}: needs its library: pip install"):
        Telemetry().start(made_up_settings(tmp_path, **{name: value}))


def test_neither_library_is_imported_while_it_is_off() -> None:
    """Only within functions, that is, by who is asked to report or record something."""
    costly = ("sentry_sdk", "opentelemetry", "core.error_reports", "core.tracing", "web.tracing")
    importing = {
        f"{file.parent.name}.{file.stem}"
        for folder in ("bot", "cli", "core", "web")
        for file in (ROOT / folder).glob("*.py")
        if any(name.startswith(costly) for name in imported_at_once(file))
    }
    assert importing == {"core.error_reports", "core.tracing", "web.tracing"}


def imported_at_once(file: Path) -> Iterator[str]:
    for statement in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.ImportFrom):
            yield str(statement.module)
        elif isinstance(statement, ast.Import):
            yield from (each.name for each in statement.names)


async def test_that_reports_fail_is_not_reported(sink: Sink, tmp_path: Path) -> None:
    with logged():
        reports = Telemetry()
        reports.start(reporting(tmp_path, sink))
        for name in ("sentry_sdk.errors", "urllib3.connectionpool", "opentelemetry.sdk.trace.export"):
            logging.getLogger(name).error("could not send")
        await asyncio.to_thread(reports.stop)
    assert events(sink) == []
