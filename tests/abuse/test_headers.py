"""What every answer of every route carries, whatever it answers."""

from collections.abc import Iterator
from typing import Any

import httpx
from fastapi import FastAPI
from starlette.routing import Route

from core.tokens import FamilyLinks
from tests.abuse.conftest import Product
from tests.abuse.kit import ask
from web.pages import POLICY

SAFE = {
    "content-security-policy": POLICY,
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "strict-transport-security": "max-age=15552000",
}


def routes_of(application: FastAPI) -> Iterator[tuple[str, str]]:
    """Give each method and path that the application answers."""

    def walk(routes: Any) -> Iterator[Route]:  # noqa: ANN401 - Starlette's and FastAPI's share no useful type
        for route in routes:
            if isinstance(route, Route):
                yield route
            else:
                yield from walk(route.original_router.routes)

    for route in walk(application.routes):
        for method in sorted(route.methods or ()):
            yield method, route.path


def assert_safe(answer: httpx.Response) -> None:
    where = (str(answer.request.method), answer.request.url.path, answer.status_code)
    for name, value in SAFE.items():
        assert answer.headers.get_list(name) == [value], (*where, name)
    cache = answer.headers["cache-control"]
    assert cache == ("public, max-age=3600" if where[1] == "/static/pages.css" else "no-store"), where
    assert "server" not in answer.headers
    assert "set-cookie" not in answer.headers


async def test_every_route_answers_with_safe_headers(product: Product) -> None:
    known = list(routes_of(product.application))
    assert {path for _, path in known} >= {
        "/webhooks/stripe", "/slack/events", "/pay/{token}", "/balance/{token}", "/statement/{token}",
        "/statement/{token}.pdf", "/checkout/first-payment", "/healthz", "/readyz", "/metrics",
        "/static/pages.css",
        "/admin/email/outstanding-balance", "/admin/email/tournament-fee", "/admin/email/first-payment",
    }  # fmt: skip
    for method, path in known:
        for accept in ("text/html", "application/json"):
            assert_safe(await ask(product.client, method, path.format(token="x"), headers={"Accept": accept}))


async def test_pages_that_open_do_too(product: Product) -> None:
    links: FamilyLinks = product.services.family_links
    books = product.books
    statement = links.statement_url(books.tenant_id, books.parent_id)
    for address in (links.balance_url(books.tenant_id, books.parent_id), statement, f"{statement}.pdf"):
        answer = await ask(product.client, "GET", address)
        assert answer.status_code == 200
        assert_safe(answer)
    pay = await ask(product.client, "GET", links.pay_url(books.tenant_id, books.order_id))
    assert pay.status_code == 303
    assert_safe(pay)


async def test_what_is_no_route_does_too(product: Product) -> None:
    for method, path in (
        ("GET", "/"), ("GET", "/openapi.json"), ("GET", "/docs"), ("GET", "/.env"), ("POST", "/pay/x"),
        ("DELETE", "/healthz"), ("GET", "/static/../core/settings.py"), ("GET", "/static/%2e%2e/pages.css"),
        ("GET", "/favicon.ico"), ("OPTIONS", "/webhooks/stripe"), ("GET", f"/pay/{'x' * 20_000}"),
    ):  # fmt: skip
        answer = await ask(product.client, method, path)
        assert answer.status_code in {404, 405}
        assert_safe(answer)


async def test_no_other_site_may_read_an_answer(product: Product) -> None:
    headers = {"Origin": "https://evil.test", "Access-Control-Request-Method": "POST"}
    for method, path in routes_of(product.application):
        answer = await ask(product.client, method, path.format(token="x"), headers=headers)
        assert not [name for name in answer.headers if name.startswith("access-control-")]
