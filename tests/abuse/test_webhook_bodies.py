"""Signed rubbish at Stripe's webhook: each body gets a clear answer, in time, and never a 5xx."""

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.stripe_events import HANDLERS
from tests.abuse.conftest import Product
from tests.abuse.kit import CLEAN_TEXTS, FUZZ, JSON, ask, mutated
from tests.web.kit import dispute_event, refund_event, session_event, signature

EVENTS = (
    session_event(order_id=1),
    session_event("expired", order_id=1),
    session_event("async_payment_failed", order_id=1),
    session_event("async_payment_succeeded", order_id=1),
    refund_event(),
    dispute_event("created", "needs_response"),
    dispute_event("closed", "lost"),
)
# Where it is read, not only parsed.
SHAPES = st.sampled_from(EVENTS).flatmap(mutated)
TYPED = st.builds(
    lambda kind, number, held: {"id": f"evt_{number}", "type": kind, "created": number, "data": {"object": held}},
    st.sampled_from(sorted(HANDLERS)),
    st.integers(0, 10**6),
    JSON,
)


async def send(product: Product, raw: bytes, signed: str | None = None) -> int:
    headers = {"Stripe-Signature": signature(raw) if signed is None else signed}
    answer = await ask(product.client, "POST", "/webhooks/stripe", content=raw, headers=headers)
    assert answer.status_code in {200, 400}
    assert "outcome" in answer.json() if answer.status_code == 200 else answer.json()["error"]
    return answer.status_code


@FUZZ
@given(event=st.one_of(SHAPES, TYPED, JSON))
async def test_signed_events_of_every_shape(product: Product, event: object) -> None:
    # As text and not with orjson, which refuses numbers that other programs write.
    await send(product, json.dumps(event).encode())


@FUZZ
@given(raw=st.one_of(st.binary(max_size=300), st.text(max_size=100).map(str.encode)))
async def test_signed_bytes_that_are_no_json(product: Product, raw: bytes) -> None:
    await send(product, raw)


@pytest.mark.parametrize(
    "raw",
    [
        b"[" * 200_000,
        b'{"id":' * 50_000,
        b'{"id":"evt_1","type":"refund.created","created":1,"data":{"object":'
        + b'{"a":' * 900
        + b"1"
        + b"}" * 902,
        b'{"id":"evt_2","type":"refund.created","created":' + b"9" * 4000 + b',"data":{"object":{}}}',
        b'{"id":"evt_3","type":"refund.created","created":1e400,"data":{"object":{"id":"re_1","amount":1}}}',
        (
            b'{"id":"evt_4","type":"charge.dispute.created","created":1,"data":{"object":{"id":"dp_1","amount":1,'
            b'"status":"lost","reason":"\\u0000\\ud800","evidence_details":{"due_by":99999999999999999999}}}}'
        ),
        (
            b'{"id":"evt_5","type":"charge.dispute.created","created":1,"data":{"object":{"id":"dp_1","amount":1,'
            b'"status":"lost","evidence_details":{"due_by":9999999999999}}}}'
        ),
        b'\xff\xfe{"id":"evt_6"}',
        b"NaN",
        b"",
    ],
    ids=["lists", "objects", "deep", "digits", "infinite", "surrogates", "far future", "utf-16", "nan", "nothing"],
)
async def test_signed_bodies_that_break_parsers(product: Product, raw: bytes) -> None:
    await send(product, raw)


@FUZZ
@given(header=CLEAN_TEXTS)
async def test_signature_headers_of_every_shape(product: Product, header: str) -> None:
    plain = "".join(char for char in header if " " <= char <= "\xff" and char != "\x7f").strip()
    raw = orjson.dumps(EVENTS[0])
    headers = {b"Stripe-Signature": plain.encode("latin-1")[:8000]}
    answer = await ask(product.client, "POST", "/webhooks/stripe", content=raw, headers=headers)
    assert answer.status_code == 400
