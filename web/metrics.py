"""`GET /metrics` in Prometheus' text format: what this process served, and what waits in the database.

The registry is this application's own, so that two of them in one process (tests) don't mix. What each figure is
for is told in docs/monitoring.md.
"""

from collections.abc import Iterator, Mapping

from fastapi import APIRouter
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.responses import Response

from core.backlog import Backlog, BacklogReader
from core.database import Database
from core.models.statuses import EventOutcome
from core.stripe_events import HANDLERS

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
# Slack waits for three seconds.
_ANSWER_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 1.5, 2, 2.5, 3, 5)
# From a second to the three days for which Stripe goes on trying.
_LAG_SECONDS = (1, 2, 5, 10, 30, 60, 300, 900, 3600, 21600, 86400, 259200)


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
        self._seconds = self._histogram(
            "sideline_stripe_webhook_seconds",
            "How long a verified Stripe event took, its commit included.",
            _SECONDS,
        )
        self._lag = self._histogram(
            "sideline_stripe_event_lag_seconds",
            "From when Stripe made an event to when it was applied here, first tellings only.",
            _LAG_SECONDS,
        )
        self._answers = self._histogram(
            "sideline_slack_answer_seconds",
            "How long Slack waited for the answer to a request over HTTP.",
            _ANSWER_SECONDS,
        )

    def _histogram(self, name: str, words: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(name, words, buckets=buckets, registry=self._registry)

    def count_request(self, method: str, route: str, status: int) -> None:
        """Count an answer. `route` is the template, e.g. `/pay/{token}`: an address would give tokens away."""
        self._requests.labels(method, route, status).inc()

    def count_event(
        self, event_type: str, outcome: EventOutcome | None, seconds: float, lag: float | None = None
    ) -> None:
        """Count an event that was taken in; types we do nothing with are one, `other`.

        `lag`: seconds since Stripe made it, where it says when.
        """
        known = event_type if event_type in HANDLERS else "other"
        self._events.labels(known, outcome or "duplicate").inc()
        self._seconds.observe(seconds)
        if outcome is not None and lag is not None:
            self._lag.observe(max(lag, 0.0))

    def count_slack_answer(self, seconds: float) -> None:
        """Count an answer to Slack."""
        self._answers.observe(seconds)

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
        yield _gauge("database_up", "1 where the database answered.", 0 if self._backlog is None else 1)
        if self._backlog is not None:
            yield from _families(self._backlog)


def _families(counted: Backlog) -> Iterator[GaugeMetricFamily]:
    queues = counted.queues
    waiting = {queue.name: queue.waiting for queue in queues}
    oldest = {queue.name: queue.oldest_seconds for queue in queues}
    failed = {queue.name: queue.failed for queue in queues}
    yield _gauges("jobs_waiting", "Jobs that are due, by queue.", "queue", waiting)
    yield _gauges("jobs_oldest_seconds", "For how long the oldest of them is due.", "queue", oldest)
    yield _gauges("jobs_failed", "Jobs that were given up and wait for a person, by queue.", "queue", failed)
    yield _gauges("job_failures_last_hour", "Failed attempts at jobs, by task.", "task", counted.failed_attempts)
    yield _gauges("mails_last_hour", "Attempts at mails, by status.", "status", counted.mails)
    yield _gauge("unmatched_payments_open", "Payments nobody has matched yet.", counted.unmatched_payments)
    yield _gauge(
        "unmatched_payments_oldest_seconds", "For how long the oldest waits.", counted.oldest_unmatched_seconds
    )
    yield _gauge("stripe_events_failed", "Stripe events that could not be applied.", counted.failed_events)
    yield _gauge("notices_failed_last_day", "Notices that Slack did not take.", counted.notices_not_posted)
    yield _gauge("workers_alive", "Workers that gave a sign of life; four a process.", counted.workers)


def _gauge(name: str, words: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"sideline_{name}", words, value=value)


def _gauges(name: str, words: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"sideline_{name}", words, labels=[label])
    for each, value in values.items():
        family.add_metric([each], value)
    return family


def metrics_route(database: Database, metrics: Metrics) -> APIRouter:
    """Return the route."""
    router = APIRouter()
    backlog = BacklogReader(database)

    @router.get("/metrics", response_model=None)
    async def show() -> Response:
        return Response(metrics.text(await backlog.read()), media_type=CONTENT_TYPE)

    return router
