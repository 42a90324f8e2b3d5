"""`POST /webhooks/stripe`: 200 once the event is durably stored and applied, 5xx only if Stripe should retry."""

from datetime import datetime
from time import perf_counter
from typing import Any

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from core.errors import InvalidInputError, SettingsError
from core.services import Services
from core.stripe_gateway import verified_event
from core.traces import traced
from web.bodies import read_body
from web.metrics import Metrics
from web.plain_route import PlainRoute

log = structlog.get_logger(__name__)


def stripe_webhook(services: Services, metrics: Metrics) -> PlainRoute:
    """Return the route."""
    secrets = services.settings.stripe_webhook_secret

    # Everything is checked on the raw bytes, so nothing of it is left to the framework.
    async def receive(request: Request) -> Response:
        if not secrets:
            raise SettingsError("Stripe's webhook is off: set STRIPE_WEBHOOK_SECRET (whsec_…).")
        started = perf_counter()
        raw = await read_body(request)
        try:
            event = verified_event(raw, request.headers.get("stripe-signature"), secrets)
        except InvalidInputError as error:
            log.warning("webhook_refused", reason=str(error), bytes=len(raw))
            raise
        # Committed when this returns: Stripe never hears of a success that a crash could undo.
        with traced(event["id"]):
            ingested = await services.stripe_events.ingest(event, raw)
            outcome = ingested.outcome or "duplicate"
            log.info("stripe_event", type=event["type"], outcome=outcome)
        lag = _lag(event, services.clock())
        metrics.count_event(event["type"], ingested.outcome, perf_counter() - started, lag)
        return JSONResponse({"received": True, "outcome": outcome})

    return PlainRoute("/webhooks/stripe", receive, methods=["POST"])


def _lag(event: dict[str, Any], now: datetime) -> float | None:
    """Return the seconds since Stripe made the event, where it says when."""
    created = event.get("created")
    return now.timestamp() - created if isinstance(created, int) else None
