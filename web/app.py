"""Puts the web application together."""

from fastapi import FastAPI

from core.jobs import WorkerState
from core.services import Services
from web.admin import admin_routes
from web.balance import balance_route
from web.errors import ErrorAnswers
from web.first_payment import first_payment_route
from web.health import health_routes
from web.metrics import Metrics, metrics_route
from web.pay import pay_route
from web.shell import RequestShell
from web.slack_endpoint import SlackEndpoint, slack_route
from web.statement import statement_routes
from web.static import static_routes
from web.stripe_webhook import stripe_webhook


def build_web(services: Services, *, slack: SlackEndpoint | None, worker: WorkerState | None = None) -> FastAPI:
    """Build the application on these services.

    `slack` answers Slack's requests, or is None where Slack is off; `worker` is the state of this process's
    background workers, or None where it has none. Opening and closing the services is the caller's.
    """
    application = FastAPI(title="Sideline", docs_url=None, redoc_url=None)
    metrics = Metrics()
    errors = ErrorAnswers(services.pages)
    errors.add_to(application)
    for router in (
        stripe_webhook(services, metrics),
        slack_route(services.settings, slack),
        admin_routes(services),
        pay_route(services),
        first_payment_route(services),
        balance_route(services),
        statement_routes(services),
        health_routes(services.database, worker),
        metrics_route(services.database, metrics),
        static_routes(),
    ):
        application.include_router(router)
    application.add_middleware(RequestShell, metrics=metrics, errors=errors)
    return application
