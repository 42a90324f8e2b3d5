"""One address asks too often: it is told when it may again, and nobody else notices."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from starlette.requests import Request

from tests.abuse.conftest import Product
from tests.web.kit import ADMIN_TOKEN, session_event, stripe_sdk_warning, tell
from web.errors import TooManyRequestsError
from web.rate_limit import BURST, RateLimit, sender_of

pytestmark = stripe_sdk_warning

PUBLIC = ("/pay/x", "/balance/x", "/statement/x", "/statement/x.pdf", "/checkout/first-payment?token=x")
ADMIN = "/admin/email/outstanding-balance"


@asynccontextmanager
async def client_at(product: Product, address: str) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(product.application, client=(address, 4321))
    async with httpx.AsyncClient(transport=transport, base_url="https://club.test") as client:
        yield client


async def refused(client: httpx.AsyncClient) -> httpx.Response:
    """Ask until it is refused. Two more a second are allowed, and asking takes some time."""
    for number in range(20 * BURST):
        answer = await client.get(PUBLIC[number % len(PUBLIC)])
        if answer.status_code == 429:
            assert number >= BURST
            return answer
        assert answer.status_code == 404
    raise AssertionError("never refused")


async def test_whoever_asks_too_often_is_told_when_to_come_back(product: Product) -> None:
    async with client_at(product, "203.0.113.7") as client:
        answer = await refused(client)
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        assert answer.headers["content-type"].startswith("text/html")
        assert "try again in a minute" in answer.text
    async with client_at(product, "203.0.113.8") as neighbour:
        assert (await neighbour.get(PUBLIC[0])).status_code == 404


async def test_what_is_signed_is_never_limited(product: Product) -> None:
    async with client_at(product, "203.0.113.7") as client:
        await refused(client)
        told = await tell(client, session_event(order_id=product.books.order_id))
        assert (told.status_code, told.json()["outcome"]) == (200, "applied")
        body = b'{"type":"url_verification","challenge":"made-up"}'
        headers = {"Content-Type": "application/json", **product.slack.sign(body)}
        assert (await client.post("/slack/events", content=body, headers=headers)).status_code == 200
        bearer = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
        assert (await client.post(ADMIN, params={"dry_run": "true"}, headers=bearer)).status_code == 200
        assert (await client.get("/healthz")).status_code == 200


async def test_guessing_admin_tokens_is_limited(product: Product) -> None:
    async with client_at(product, "203.0.113.7") as client:
        answers = [401]
        while answers[-1] == 401 and len(answers) < 20 * BURST:
            guess = {"Authorization": f"Bearer guess-{len(answers)}"}
            answers.append((await client.post(ADMIN, headers=guess)).status_code)
    assert len(answers) > BURST
    assert answers[-1] == 429


@pytest.mark.parametrize(
    ("host", "sender"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        # Whoever has one of these has them all.
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("not an address", "unknown"),
        ("", "unknown"),
    ],
)
def test_whom_a_request_counts_for(host: str, sender: str) -> None:
    assert sender_of(request_of(host)) == sender


def request_of(host: str) -> Request:
    return Request({"type": "http", "headers": [], "client": (host, 1) if host else None})


async def test_who_was_quiet_for_the_longest_is_forgotten_so_that_memory_is_bounded() -> None:
    limit = RateLimit(per_minute=1, burst=2, most_addresses=100)

    async def is_limited(number: int) -> bool:
        try:
            await limit.check(request_of(f"198.18.0.{number}"))
        except TooManyRequestsError:
            return True
        return False

    assert [await is_limited(0) for _ in range(3)] == [False, False, True]
    assert not any([await is_limited(number) for number in range(1, 100)])
    assert await is_limited(0)
    assert not any([await is_limited(number) for number in range(100, 200)])
    assert not await is_limited(0)
