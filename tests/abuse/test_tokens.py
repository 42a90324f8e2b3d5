"""Parents' links, altered in every way: an altered link opens nothing, and a good one opens its own page only."""

import itertools
from collections.abc import Callable, Sequence
from urllib.parse import quote

import httpx
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import BadData, URLSafeSerializer
from itsdangerous.encoding import base64_decode
from sqlalchemy import delete

from core.models import Order, Parent, Player
from core.tokens import FamilyLinks
from tests.abuse.conftest import Product
from tests.abuse.kit import CLEAN_TEXTS, FUZZ, ask
from tests.books import open_books
from tests.web.kit import stripe_sdk_warning

pytestmark = stripe_sdk_warning

KINDS = ("pay", "balance", "statement", "statement.pdf", "first")
SALTS = ("pay", "balance", "first-payment", "statement")


def address(kind: str, token: str) -> str:
    """Return where a token of this kind is taken; whatever it holds reaches the application."""
    quoted = quote(token.encode(), safe="~.-_")
    if kind == "first":
        return f"/checkout/first-payment?token={quoted}"
    if kind == "statement.pdf":
        return f"/statement/{quoted}.pdf"
    return f"/{kind}/{quoted}"


def token_of(links: FamilyLinks, kind: str, tenant_id: int, family: Sequence[int]) -> str:
    """Return a good token; `family` is the order, the parent and the player."""
    order_id, parent_id, player_id = family
    if kind == "pay":
        return links.pay_url(tenant_id, order_id).rpartition("/")[2]
    if kind == "first":
        return httpx.URL(links.first_payment_url(tenant_id, player_id, parent_id)).params["token"]
    url = links.balance_url if kind == "balance" else links.statement_url
    return url(tenant_id, parent_id).rpartition("/")[2]


def good_tokens(product: Product) -> dict[str, str]:
    books = product.books
    family = (books.order_id, books.parent_id, books.player_id)
    return {kind: token_of(product.services.family_links, kind, books.tenant_id, family) for kind in KINDS}


async def open_link(product: Product, kind: str, token: str, method: str = "GET") -> httpx.Response:
    return await ask(product.client, method, address(kind, token))


def flipped(token: str, place: int, bit: int) -> str:
    changed = chr(ord(token[place]) ^ (1 << bit))
    return token[:place] + changed + token[place + 1 :]


def decoded(token: str) -> bytes:
    """Return a token's signature as it is compared."""
    try:
        return base64_decode(token.encode().rpartition(b".")[2])
    except BadData:
        return b""


ALTERATIONS: st.SearchStrategy[Callable[[str], str]] = st.one_of(
    st.builds(
        lambda place, bit: lambda token: flipped(token, place % (len(token) - 1), bit),
        st.integers(0, 200),
        st.integers(0, 6),
    ),
    st.integers(1, 200).map(lambda kept: lambda token: token[: min(kept, len(token) - 1)]),
    st.integers(1, 200).map(lambda left_out: lambda token: token[max(1, left_out % len(token)) :]),
    CLEAN_TEXTS.filter(bool).map(lambda more: lambda token: token + more),
    CLEAN_TEXTS.map(lambda other: lambda _token: other),
    st.just(lambda token: token.upper()),
    st.just(lambda token: f"{token}.{token}"),
    st.just(lambda token: token.partition(".")[0] + "." + token.partition(".")[0]),
)


@FUZZ
@given(kind=st.sampled_from(KINDS), alter=ALTERATIONS, method=st.sampled_from(["GET", "HEAD"]))
async def test_an_altered_token_opens_nothing(
    product: Product, kind: str, alter: Callable[[str], str], method: str
) -> None:
    good = good_tokens(product)[kind]
    altered = alter(good)[:5000]
    # Base64 can be written in several ways, and what is no sign of it counts for nothing in a signature: such a
    # token still names the same thing, and only that.
    if altered.partition(".")[0] == good.partition(".")[0] and decoded(altered) == decoded(good):
        return
    answer = await open_link(product, kind, altered, method)
    assert answer.status_code in {404, 405}
    assert product.stripe.requests == []


async def test_the_untouched_token_opens_its_page(product: Product) -> None:
    for kind, token in good_tokens(product).items():
        answer = await open_link(product, kind, token)
        assert answer.status_code in {200, 303}, kind


async def test_a_token_of_another_kind_opens_nothing(product: Product) -> None:
    tokens = good_tokens(product)
    for kind, other in itertools.permutations(("pay", "balance", "statement", "first"), 2):
        assert (await open_link(product, kind, tokens[other])).status_code == 404


async def test_a_token_that_somebody_else_signed_opens_nothing(product: Product) -> None:
    books = product.books
    names = ([books.tenant_id, books.order_id], [books.tenant_id, books.player_id, books.parent_id, 1])
    for kind, salt, named in itertools.product(KINDS, SALTS, names):
        forged = URLSafeSerializer("another key", salt=salt).dumps(named)
        assert (await open_link(product, kind, str(forged))).status_code == 404
        unsigned = str(forged).partition(".")[0]
        assert (await open_link(product, kind, f"{unsigned}.")).status_code == 404


async def test_a_token_of_another_club_opens_none_of_this_ones_pages(product: Product) -> None:
    books = product.books
    async with product.services.database.transaction() as conn:
        other = await open_books(conn, "Hill Valley SC", "lee@example.com")
    links = product.services.family_links
    here = (books.order_id, books.parent_id, books.player_id)
    there = (other.order_id, other.parent_id, other.player_id)
    for kind in KINDS:
        for tenant_id, family in ((other.tenant_id, here), (books.tenant_id, there), (2**62, here)):
            answer = await open_link(product, kind, token_of(links, kind, tenant_id, family))
            assert answer.status_code == 404, (kind, tenant_id, family)
            assert "Reed" not in answer.text


async def test_a_token_of_a_deleted_family_opens_nothing(product: Product) -> None:
    tokens = good_tokens(product)
    async with product.services.database.transaction() as conn:
        for table in (Order, Player, Parent):
            await conn.execute(delete(table))
    for kind, token in tokens.items():
        assert (await open_link(product, kind, token)).status_code == 404, kind


async def test_redirects_lead_to_stripe_alone(product: Product) -> None:
    """Whatever the query or the headers say."""
    forged = {"Host": "evil.test", "X-Forwarded-Host": "evil.test", "X-Forwarded-Proto": "gopher"}
    queries = ("", "next=https://evil.test", "url=//evil.test&redirect=https://evil.test")
    for kind, query, headers in itertools.product(("pay", "first"), queries, ({}, forged)):
        at = address(kind, good_tokens(product)[kind])
        answer = await ask(product.client, "GET", f"{at}{'&' if '?' in at else '?'}{query}", headers=headers)
        assert answer.status_code == 303
        assert answer.headers["location"].startswith(product.stripe.base_url)


async def test_no_address_is_corrected_by_a_redirect(product: Product) -> None:
    for path in ("//evil.test/pay", "/pay//evil.test", "/pay/", "/balance/x/", "/\\evil.test", "/%2f%2fevil.test"):
        answer = await ask(product.client, "GET", f"https://club.test{path}", headers={"Host": "evil.test"})
        assert answer.status_code == 404
        assert "location" not in answer.headers
