"""Finds the endpoint that answers a method and a path."""

import re

from sandbox.stripe.calls import Endpoint
from sandbox.stripe.errors import RefusedError
from sandbox.stripe.resources import account, catalogue, checkout, customers, payment_links, payments

ENDPOINTS: list[Endpoint] = [
    *payment_links.ENDPOINTS,
    *checkout.ENDPOINTS,
    *catalogue.ENDPOINTS,
    *customers.ENDPOINTS,
    *payments.ENDPOINTS,
    *account.ENDPOINTS,
]


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(path.replace("{id}", "([^/]+)") + r"\Z")


_ROUTES = [(endpoint.method, _pattern(endpoint.path), endpoint) for endpoint in ENDPOINTS]


def route(method: str, path: str) -> tuple[Endpoint, str]:
    """The endpoint and the id in the address, which is empty where there is none.

    Raises:
        RefusedError: nothing answers there.
    """
    for wanted, pattern, endpoint in _ROUTES:
        match = pattern.match(path)
        if match and wanted == method:
            return endpoint, match[1] if pattern.groups else ""
    raise RefusedError(f"Unrecognized request URL ({method}: {path}).", status=404)
