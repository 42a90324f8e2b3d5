"""Puts the web application together."""

from fastapi import FastAPI
from slack_bolt.oauth.async_oauth_flow import AsyncOAuthFlow

from core.jobs import WorkerState
from core.services import Services
from core.telemetry import telemetry
from web.admin import admin_routes
from web.balance import balance_route
from web.errors import ErrorAnswers
from web.first_payment import first_payment_route
from web.health import health_routes
from web.metrics import Metrics, metrics_route
from web.pay import pay_route
from web.rate_limit import RateLimit
from web.shell import RequestShell
from web.slack_endpoint import SlackEndpoint, slack_route
from web.slack_install import slack_install_routes
from web.statement import statement_routes
from web.static import static_routes
from web.stripe_webhook import stripe_webhook


def build_web(
    services: Services,
    *,
    slack: SlackEndpoint | None,
    worker: WorkerState | None = None,
    install: AsyncOAuthFlow | None = None,
) -> FastAPI:
    """Build the application on these services.

    `slack` answers Slack's requests, or is None where Slack is off; `worker` is the state of this process's
    background workers, or None where it has none; `install` answers workspaces that install the
    app. Opening and closing the services is the caller's.
    """
    # A redirect to an address without its last slash would be put together from the sender's own `Host`.
    # Its description of itself stays inside: strangers need none, and tests go through what it names.
    application = FastAPI(
        title="Sideline", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False
    )
    metrics = Metrics()
    limit = RateLimit()
    errors = ErrorAnswers(services.pages)
    errors.add_to(application)
    # The first are found the fastest, and nobody waits for an answer more than these two.
    application.router.routes += [
        stripe_webhook(services, metrics),
        slack_route(services.settings, slack, metrics),
    ]
    application.include_router(admin_routes(services, limit))
    for router in (
        slack_install_routes(install, limit),
        pay_route(services, limit),
        first_payment_route(services, limit),
        balance_route(services, limit),
        statement_routes(services, limit),
        health_routes(services.database, worker),
        metrics_route(services.database, metrics),
        static_routes(),
    ):
        application.include_router(router, include_in_schema=False)
    application.add_middleware(
        RequestShell, metrics=metrics, errors=errors, is_https=services.settings.public_url.startswith("https://")
    )
    if telemetry.tracing is not None:
        from web.tracing import TracedRequests  # noqa: PLC0415 - costs nothing while it is off

        application.add_middleware(TracedRequests, tracing=telemetry.tracing)
    return application
