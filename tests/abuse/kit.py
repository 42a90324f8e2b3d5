"""What the tests against abuse share: an endless supply of senders, bounded requests, and text that hurts."""

import asyncio
import itertools
import os
from collections.abc import Callable
from ipaddress import IPv4Address
from typing import Any, TypeVar

import httpx
from fastapi import FastAPI
from hypothesis import HealthCheck, example, settings
from hypothesis import strategies as st

F = TypeVar("F", bound=Callable[..., Any])

# Far more than any of them takes, and far less than a person would wait.
SECONDS = 5.0
_EXAMPLES = os.environ.get("ABUSE_EXAMPLES", "")

# The same few examples each time, so that a change is to blame for a failure; `ABUSE_EXAMPLES=5000` looks further.
FUZZ = settings(
    max_examples=int(_EXAMPLES or 20),
    derandomize=not _EXAMPLES,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)

# Where text is put into something else, these are what gets out of it.
HURTFUL = (
    "",
    " ",
    "\0",
    "a\r\nBcc: all@example.org",
    "a\nb\u2028c\u2029d\x85e",
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7 * 7 }} {% raw %} ${7*7} %s %(x)s {0}",
    "<!channel> <!here> <@U0ADMIN> <https://evil.test|Pay now>",
    "*bold* _it_ ~no~ `code` &lt;!channel&gt;",
    "=cmd|'/C calc'!A0",
    "'; drop table orders; --",
    "../../../etc/passwd",
    "%00%ff%2e%2e",
    "\u202egnihtemos\u2066 \ufeff\u200b",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "e\u0301" * 200,
    "x" * 20_000,
)


def with_every_hurtful(name: str, **others: Any) -> Callable[[F], F]:  # noqa: ANN401 - a test's own arguments
    """Try each of these, whatever else is drawn; NUL, which no name can hold, is left out."""

    def add(test: F) -> F:
        for text in HURTFUL:
            kept = text.replace("\0", "")[:400] or "x"
            test = example(
                **{name: kept}, **{key: kept if value is None else value for key, value in others.items()}
            )(test)
        return test

    return add


TEXTS = st.one_of(st.sampled_from(HURTFUL), st.text(max_size=60), st.text(st.characters(codec=None), max_size=12))
# What every encoder of UTF-8 takes.
CLEAN_TEXTS = TEXTS.map(lambda text: text.encode("utf-8", "replace").decode())
NUMBERS = st.one_of(
    st.integers(-3, 3),
    st.sampled_from([2**31, 2**53, 2**63, -(2**63) - 1, 10**30]),
    st.floats(allow_nan=False, allow_infinity=False),
)
LEAVES = st.one_of(st.none(), st.booleans(), NUMBERS, CLEAN_TEXTS)
JSON: st.SearchStrategy[Any] = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(CLEAN_TEXTS, inner, max_size=3),
    max_leaves=8,
)

_senders = itertools.count(int(IPv4Address("198.18.0.1")))


class FromEverywhere(httpx.AsyncBaseTransport):
    """Hands each request to the application as another sender's, so that no limit of one address is met."""

    def __init__(self, application: FastAPI) -> None:
        self._application = application

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        sender = str(IPv4Address(next(_senders)))
        transport = httpx.ASGITransport(self._application, client=(sender, 1024))
        return await transport.handle_async_request(request)


async def ask(client: httpx.AsyncClient, method: str, address: str, **given: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own
    """Make a request, and see that it is answered in time and is nobody's fault but the sender's."""
    async with asyncio.timeout(SECONDS):
        answer = await client.request(method, address, **given)
    assert answer.status_code < 500, (method, address, answer.status_code, answer.text[:500])
    return answer


@st.composite
def mutated(draw: st.DrawFn, whole: Any) -> Any:  # noqa: ANN401 - JSON is any of several types
    """Return a JSON value with one to three of its parts replaced, left out, or put where another was."""
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(whole))
        place = draw(st.sampled_from(places)) if places else ()
        whole = _replaced(whole, place, draw(st.one_of(JSON, st.just(_GONE))))
    return {} if whole is _GONE else whole


_GONE = object()


def _places(value: Any, here: tuple[Any, ...] = ()) -> Any:  # noqa: ANN401
    if here:
        yield here
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from _places(child, (*here, key))


def _replaced(value: Any, place: tuple[Any, ...], new: Any) -> Any:  # noqa: ANN401
    if not place:
        return new
    first, *rest = place
    items = dict(value) if isinstance(value, dict) else list(value)
    if not rest and new is _GONE:
        del items[first]
    else:
        items[first] = _replaced(items[first], tuple(rest), new)
    return items
