"""`GET /metrics` in Prometheus' text format: what this process served, and what waits in the database.

The registry is this application's own, so that two of them in one process (tests) don't mix.
"""

from collections.abc import Iterator

import structlog
from fastapi import APIRouter
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import Response

from core.backlog import Backlog, load_backlog
from core.database import Database
from core.models.statuses import EventOutcome
from core.stripe_events import HANDLERS

log = structlog.get_logger(__name__)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class Metrics:
    """Counts what this process serves."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "sideline_http_requests",
            "Requests answered, by route and status.",
            ["method", "route", "status"],
            registry=self._registry,
        )
        self._events = Counter(
            "sideline_stripe_events",
            "Verified Stripe events, by type and outcome.",
            ["type", "outcome"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "sideline_stripe_webhook_seconds",
            "How long a verified Stripe event took, its commit included.",
            buckets=_SECONDS,
            registry=self._registry,
        )

    def count_request(self, method: str, route: str, status: int) -> None:
        """Count an answer. `route` is the template, e.g. `/pay/{token}`: an address would give tokens away."""
        self._requests.labels(method, route, status).inc()

    def count_event(self, event_type: str, outcome: EventOutcome | None, seconds: float) -> None:
        """Count an event that was taken in; types we do nothing with are one, `other`."""
        known = event_type if event_type in HANDLERS else "other"
        self._events.labels(known, outcome or "duplicate").inc()
        self._seconds.observe(seconds)

    def text(self, backlog: Backlog | None) -> bytes:
        """Return everything, the database's part included where it could be read."""
        # A registry a scrape: two at the same time must not see each other's figures.
        scrape = CollectorRegistry()
        scrape.register(_BacklogCollector(backlog))
        return generate_latest(self._registry) + generate_latest(scrape)


class _BacklogCollector(Collector):
    def __init__(self, backlog: Backlog | None) -> None:
        self._backlog = backlog

    def collect(self) -> Iterator[GaugeMetricFamily]:
        up = GaugeMetricFamily("sideline_database_up", "1 where the database answered this scrape.")
        up.add_metric([], 0 if self._backlog is None else 1)
        yield up
        if self._backlog is not None:
            yield from _families(self._backlog)


def _families(backlog: Backlog) -> Iterator[GaugeMetricFamily]:
    waiting = GaugeMetricFamily("sideline_jobs_waiting", "Jobs that are due, by queue.", labels=["queue"])
    oldest = GaugeMetricFamily(
        "sideline_jobs_oldest_seconds", "For how long the oldest of them is due.", labels=["queue"]
    )
    for queue in backlog.queues:
        waiting.add_metric([queue.name], queue.waiting)
        oldest.add_metric([queue.name], queue.oldest_seconds)
    mails = GaugeMetricFamily("sideline_mails_last_hour", "Attempts at mails, by status.", labels=["status"])
    for status, count in backlog.mails.items():
        mails.add_metric([status], count)
    yield from (waiting, oldest, mails)
    yield GaugeMetricFamily(
        "sideline_unmatched_payments_open", "Payments nobody has matched yet.", value=backlog.unmatched_payments
    )
    yield GaugeMetricFamily(
        "sideline_stripe_events_failed", "Stripe events that could not be applied.", value=backlog.failed_events
    )


def metrics_route(database: Database, metrics: Metrics) -> APIRouter:
    """Return the route."""
    router = APIRouter()

    @router.get("/metrics", response_model=None)
    async def show() -> Response:
        try:
            async with database.transaction() as conn:
                backlog = await load_backlog(conn)
        except (SQLAlchemyError, OSError) as error:
            log.warning("backlog_unreadable", error=type(error).__name__)
            backlog = None
        return Response(metrics.text(backlog), media_type=CONTENT_TYPE)

    return router
