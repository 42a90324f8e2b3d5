"""The figures an engineer is woken by: they are there, they are right, and the docs name no others."""

import json
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text
from sqlalchemy.engine import URL

from core.backlog import BacklogReader, load_backlog
from core.database import Database
from core.services import Services
from sandbox.server import serve
from tests.books import open_books
from tests.bot.conftest import COACH, GENERAL, Club
from tests.statements import counted
from tests.web.conftest import web_client
from tests.web.kit import SECRET, session_event, tell
from tests.web.test_operations import samples
from web.app import build_web
from web.slack_endpoint import slack_endpoint

DOCS = Path(__file__).parent.parent.parent / "docs"
RULES = DOCS / "monitoring" / "alerts.yaml"
DASHBOARD = DOCS / "monitoring" / "dashboard.json"
# One of each that somebody has to look after; what the clock starts comes again by itself.
WRONG = """
    insert into procrastinate_jobs (queue_name, task_name, status, queueing_lock) values
        ('mail', 'send_mail', 'failed', null), ('upkeep', 'start_reminders', 'failed', 'start_reminders');
    insert into job_failures (job_id, task, attempt, reference, error) values (1, 'send_mail', 1, 'R-1', 'x');
    insert into procrastinate_workers (last_heartbeat) values (now()), (now() - interval '1 hour');
    insert into notices (tenant_id, kind, key, facts, status) values ({tenant_id}, 'payment', 'k', '[]', 'failed');
    insert into stripe_events (id, type) values ('evt_test_u', 'checkout.session.completed');
    insert into unmatched_payments
        (tenant_id, stripe_event_id, stripe_payment_intent_id, amount_cents, currency, method, created_at)
        values ({tenant_id}, 'evt_test_u', 'pi_test_u', 100, 'usd', 'card', now() - interval '3 days')
"""
METRIC = re.compile(r"\bsideline_[a-z_]+")


def with_webhook(services: Services) -> Services:
    settings = services.settings.model_copy(update={"stripe_webhook_secret": (SECRET,)})
    return replace(services, settings=settings)


async def page(services: Services) -> str:
    async with web_client(services) as client:
        return (await client.get("/metrics")).text


async def test_lag_is_counted_once_an_event(club: Club) -> None:
    told = session_event(order_id=club.books.order_id, payment_link=None) | {"created": int(time.time()) - 400}
    async with web_client(with_webhook(club.services)) as client:
        await tell(client, told)
        await tell(client, told)
        await tell(client, session_event(order_id=None) | {"created": "soon"})
        found = samples((await client.get("/metrics")).text)
    assert found["sideline_stripe_event_lag_seconds_count", ()] == 1
    assert 400 <= found["sideline_stripe_event_lag_seconds_sum", ()] < 460
    assert found["sideline_stripe_webhook_seconds_count", ()] == 3


async def test_what_waits_and_what_failed(services: Services) -> None:
    async with services.database.transaction() as conn:
        books = await open_books(conn)
        for statement in WRONG.format(tenant_id=books.tenant_id).split(";"):
            await conn.execute(text(statement))
    found = samples(await page(services))
    assert found["sideline_jobs_failed", ("mail",)] == 1
    assert found["sideline_jobs_failed", ("upkeep",)] == 0
    assert found["sideline_job_failures_last_hour", ("send_mail",)] == 1
    assert found["sideline_job_failures_last_hour", ("close_link",)] == 0
    assert found["sideline_workers_alive", ()] == 1
    assert found["sideline_notices_failed_last_day", ()] == 1
    assert found["sideline_unmatched_payments_oldest_seconds", ()] == pytest.approx(3 * 86400, abs=60)


async def test_slacks_wait_is_measured(club: Club) -> None:
    async with serve(build_web(club.services, slack=slack_endpoint(club.bot.app))) as url:
        club.slack.events_url = f"{url}/slack/events"
        await club.slack.command(COACH, GENERAL, "/player", "jaxon")
        async with httpx.AsyncClient() as client:
            await client.post(club.slack.events_url, content=b"forged")
            found = samples((await client.get(f"{url}/metrics")).text)
    assert found["sideline_slack_answer_seconds_count", ()] == 1


async def test_everything_is_counted_with_one_statement(services: Services) -> None:
    with counted(services.database) as statements:
        async with services.database.reading() as conn:
            await load_backlog(conn)
    assert len(statements) == 1


async def test_the_database_is_asked_once_for_many_readers(services: Services) -> None:
    reader = BacklogReader(services.database)
    with counted(services.database) as statements:
        assert await reader.read() is await reader.read()
    assert len(statements) == 1


async def test_a_database_that_is_away_is_not_asked_by_everybody(database_url: URL) -> None:
    away = Database(database_url.set(database="not_there"))
    reader = BacklogReader(away)
    started = time.monotonic()
    assert [await reader.read() for _ in range(50)] == [None] * 50
    assert time.monotonic() - started < 5
    await away.close()


async def families(services: Services) -> set[str]:
    async with web_client(services) as client:
        await client.get("/healthz")
        answer = await client.get("/metrics")
    found = set()
    for family in text_string_to_metric_families(answer.text):
        found.add(f"{family.name}_total" if family.type == "counter" else family.name)
    # When a counter began: the library's own, not ours to tell of.
    return {name for name in found if not name.endswith("_created")}


def named_in(expression: str) -> set[str]:
    return {re.sub(r"_(bucket|count|sum)$", "", name) for name in METRIC.findall(expression)}


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return list(group["rules"])


async def test_alerts_and_dashboard_ask_for_what_is_there(services: Services) -> None:
    known = await families(services)
    for rule in rules():
        assert named_in(rule["expr"]) <= known, rule["alert"]
    for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]:
        asked = set().union(*(named_in(target["expr"]) for target in panel["targets"]))
        assert asked, panel["title"]
        assert asked <= known, panel["title"]


async def test_the_docs_tell_of_every_metric_and_of_no_other(services: Services) -> None:
    told = (DOCS / "monitoring.md").read_text(encoding="utf-8")
    assert set(METRIC.findall(told)) == await families(services)


def test_every_alert_is_whole_and_the_docs_say_what_to_do() -> None:
    told = (DOCS / "monitoring.md").read_text(encoding="utf-8")
    for rule in rules():
        assert f"**{rule['alert']}**" in told
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert rule["annotations"]["summary"].endswith(".")
        assert rule["expr"].count("(") == rule["expr"].count(")")
