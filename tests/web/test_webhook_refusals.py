"""What is not Stripe's leaves no trace, and what is too long is not read."""

import time
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import orjson
import pytest

from core.services import Services
from sandbox.server import serve
from tests.books import Books
from tests.web.conftest import traces, web_client
from tests.web.kit import OLD_SECRET, event, send_raw, session_event, signature, tell
from web.app import build_web
from web.bodies import MAX_BODY_BYTES

GOOD = orjson.dumps(event("customer.created", id="cus_test_1"))


REFUSED: dict[str, tuple[bytes, str | None]] = {
    "unsigned": (GOOD, None),
    "empty signature": (GOOD, ""),
    "garbage signature": (GOOD, "t=now,v1=zzz"),
    "no hexadecimal": (GOOD, f"t={int(time.time())},v1=caf\u00e9"),
    "forged": (GOOD, signature(GOOD, "whsec_test_somebody_elses")),
    "old": (GOOD, signature(GOOD, at=time.time() - 400)),
    "another body": (GOOD + b" ", signature(GOOD)),
    "empty body": (b"", signature(b"")),
    "not JSON": (b"{", signature(b"{")),
    "not UTF-8": (b'{"id": "\xff"}', signature(b'{"id": "\xff"}')),
    "a list": (b"[]", signature(b"[]")),
    "a number": (b"1", signature(b"1")),
    "no id": (b'{"type": "x"}', signature(b'{"type": "x"}')),
    "a number for an id": (b'{"id": 7, "type": "x"}', signature(b'{"id": 7, "type": "x"}')),
    "a strange id": (b'{"id": "a b", "type": "x"}', signature(b'{"id": "a b", "type": "x"}')),
    "NUL in the id": (b'{"id": "a\\u0000", "type": "x"}', signature(b'{"id": "a\\u0000", "type": "x"}')),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_is_refused_without_a_trace(name: str, client: httpx.AsyncClient, services: Services) -> None:
    raw, signed = REFUSED[name]
    headers = {} if signed is None else {b"Stripe-Signature": signed.encode("latin-1")}
    answer = await client.post("/webhooks/stripe", content=raw, headers=headers)
    assert answer.status_code == 400
    assert set(answer.json()) == {"error"}
    assert await traces(services) == {}


async def test_a_rolled_secret_is_still_taken(client: httpx.AsyncClient) -> None:
    answer = await tell(client, event("customer.created", id="cus_test_1"), OLD_SECRET)
    assert (answer.status_code, answer.json()) == (200, {"received": True, "outcome": "ignored"})


async def test_without_a_secret_it_is_off_and_says_so(services: Services) -> None:
    settings = services.settings.model_copy(update={"stripe_webhook_secret": ()})
    async with web_client(replace(services, settings=settings)) as client:
        answer = await tell(client, event("customer.created"))
    assert answer.status_code == 503
    assert "STRIPE_WEBHOOK_SECRET" in answer.json()["error"]


async def in_chunks(total: int) -> AsyncIterator[bytes]:
    for _ in range(total // 65536 + 1):
        yield b" " * 65536


async def test_too_long_a_body_is_refused_however_it_comes(services: Services) -> None:
    async with (
        serve(build_web(services, slack=None)) as base_url,
        httpx.AsyncClient(base_url=base_url) as client,
    ):
        announced = await client.post("/webhooks/stripe", content=b" " * (MAX_BODY_BYTES + 1))
        chunked = await client.post("/webhooks/stripe", content=in_chunks(MAX_BODY_BYTES))
        fits = await send_raw(client, b" " * MAX_BODY_BYTES, None)
    assert [answer.status_code for answer in (announced, chunked, fits)] == [413, 413, 400]
    assert await traces(services) == {}


@pytest.mark.parametrize("length", ["10", "9" * 18, "-1", "\u00b2"])
async def test_a_length_that_lies_is_not_believed(length: str, client: httpx.AsyncClient) -> None:
    headers = {b"Content-Length": length.encode("latin-1")}
    answer = await client.post("/webhooks/stripe", content=in_chunks(MAX_BODY_BYTES), headers=headers)
    assert answer.status_code == 413


async def test_a_failure_of_ours_is_kept_shown_and_healed(
    client: httpx.AsyncClient, services: Services, books: Books
) -> None:
    told = session_event(order_id=books.order_id)
    async with services.database.transaction() as conn:
        await conn.exec_driver_sql("alter table payments rename to payments_elsewhere")
    answer = await tell(client, told)
    assert answer.status_code == 500
    assert answer.json()["error"].endswith(f"under {answer.json()['reference']}.")
    async with services.database.transaction() as conn:
        await conn.exec_driver_sql("alter table payments_elsewhere rename to payments")
    assert (await traces(services)) == {"stripe_events": 1}
    healed = await tell(client, told)
    assert (healed.status_code, healed.json()["outcome"]) == (200, "applied")
    assert (await traces(services))["payments"] == 1
