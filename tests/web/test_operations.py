"""What watchers, browsers and other doors see: health, metrics, style sheet, ids, and failures in plain words."""

from dataclasses import replace

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text
from structlog.testing import capture_logs

from core.database import Database
from core.jobs import WorkerState
from core.services import Services
from tests.books import Books
from tests.web.conftest import web_client
from tests.web.kit import event, session_event, tell
from web.app import build_web


async def test_alive(client: httpx.AsyncClient) -> None:
    answer = await client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"alive": True})
    assert (await client.head("/healthz")).status_code == 200


async def test_ready(client: httpx.AsyncClient) -> None:
    answer = await client.get("/readyz")
    assert answer.json() == {"ready": True, "checks": {"database": "ok", "schema": "ok", "queue": "ok"}}
    assert answer.status_code == 200


async def test_not_ready_while_its_worker_stands_still(services: Services) -> None:
    worker = WorkerState()
    transport = httpx.ASGITransport(build_web(services, slack=None, worker=worker))
    async with httpx.AsyncClient(transport=transport, base_url="http://club.test") as client:
        stopped = await client.get("/readyz")
        worker.is_running = True
        running = await client.get("/readyz")
    assert (stopped.status_code, stopped.json()["checks"]["worker"]) == (503, "stopped")
    assert (running.status_code, running.json()["checks"]["worker"]) == (200, "ok")


async def test_not_ready_at_another_schema(client: httpx.AsyncClient, services: Services) -> None:
    async with services.database.transaction() as conn:
        await conn.execute(text("update alembic_version set version_num = '0000'"))
    answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert "sideline migrate" in answer.json()["checks"]["schema"]


async def test_without_a_database_it_is_alive_and_not_ready(services: Services) -> None:
    away = Database(services.database.url.set(database="not_there"))
    async with web_client(replace(services, database=away)) as client:
        alive, ready = await client.get("/healthz"), await client.get("/readyz")
        figures = await client.get("/metrics")
    await away.close()
    assert (alive.status_code, ready.status_code) == (200, 503)
    assert ready.json()["checks"] == {"database": "not reachable", "schema": "unusable", "queue": "unusable"}
    assert "sideline_database_up 0.0" in figures.text


def samples(page: str) -> dict[tuple[str, tuple[str, ...]], float]:
    """Return every figure by its name and its labels' values, in the order of the labels' names."""
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


async def test_metrics_count_what_was_served_and_what_waits(client: httpx.AsyncClient, books: Books) -> None:
    await tell(client, session_event(order_id=books.order_id, payment_link=None))
    await tell(client, session_event(order_id=None, payment_intent="pi_test_2", id="cs_test_2", payment_link=None))
    await tell(client, event("checkout.session.completed"))
    await tell(client, event("customer.created"))
    await client.get("/pay/secret-token")
    await client.get("/nowhere")
    answer = await client.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "secret-token" not in answer.text
    found = samples(answer.text)
    assert found["sideline_http_requests_total", ("POST", "/webhooks/stripe", "200")] == 4
    assert found["sideline_http_requests_total", ("GET", "/pay/{token}", "404")] == 1
    assert found["sideline_http_requests_total", ("GET", "unknown", "404")] == 1
    assert found["sideline_stripe_events_total", ("applied", "checkout.session.completed")] == 1
    assert found["sideline_stripe_events_total", ("ignored", "other")] == 1
    assert found["sideline_stripe_webhook_seconds_count", ()] == 4
    assert found["sideline_jobs_waiting", ("slack",)] == 3
    assert found["sideline_jobs_oldest_seconds", ("slack",)] < 60
    assert found["sideline_jobs_waiting", ("mail",)] == 1
    assert found["sideline_jobs_waiting", ("stripe",)] == 0
    assert found["sideline_unmatched_payments_open", ()] == 1
    assert found["sideline_stripe_events_failed", ()] == 1
    assert found["sideline_mails_last_hour", ("sent",)] == 0
    assert found["sideline_database_up", ()] == 1


async def test_two_applications_count_apart(client: httpx.AsyncClient, services: Services) -> None:
    await client.get("/healthz")
    async with web_client(services) as other:
        figures = samples((await other.get("/metrics")).text)
    assert not any(name == "sideline_http_requests_total" for name, _ in figures)


async def test_the_style_sheet_is_kept_by_browsers(client: httpx.AsyncClient) -> None:
    first = await client.get("/static/pages.css")
    assert (first.status_code, first.headers["content-type"]) == (200, "text/css; charset=utf-8")
    assert "max-age=" in first.headers["cache-control"]
    again = await client.get("/static/pages.css", headers={"If-None-Match": f'"x", W/{first.headers["etag"]}'})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    ("given", "is_kept"),
    [
        ("0af7651916cd43dd8448eb211c80319c", True),
        ("short", False),
        ("x" * 200, False),
        ("<script>alert(1)</script>", False),
        ("", False),
    ],
)
async def test_request_ids(given: str, is_kept: bool, client: httpx.AsyncClient) -> None:
    answer = await client.get("/healthz", headers={"X-Request-ID": given})
    assert (answer.headers["x-request-id"] == given) is is_kept
    assert len(answer.headers["x-request-id"]) == 32
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_unknown_addresses_and_methods(client: httpx.AsyncClient) -> None:
    program = await client.get("/nowhere")
    person = await client.get("/nowhere", headers={"Accept": "text/html"})
    wrong = await client.get("/webhooks/stripe")
    assert (program.status_code, program.json()) == (404, {"error": "Not Found"})
    assert person.status_code == 404
    assert "We can&#39;t find this page" in person.text
    assert wrong.status_code == 405
    assert (await client.get("/docs")).status_code == 404


async def test_what_nobody_foresaw_shows_a_reference_that_the_log_has(
    client: httpx.AsyncClient, services: Services, books: Books
) -> None:
    async with services.database.transaction() as conn:
        await conn.execute(text("alter table payments rename to payments_elsewhere"))
    with capture_logs() as log:
        answer = await client.get(services.family_links.balance_url(books.tenant_id, books.parent_id))
    assert answer.status_code == 500
    assert "Something went wrong on our side" in answer.text
    assert "payments" not in answer.text
    reference = answer.text.partition('class="reference">')[2].partition("<")[0]
    assert reference.startswith("R-")
    assert [(entry["event"], entry["reference"]) for entry in log] == [("request_failed", reference)]
