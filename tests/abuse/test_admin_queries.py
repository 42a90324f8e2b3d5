"""The admin endpoints, asked for anything by somebody who may: a clear no, and never more mail than was meant."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from core.models import Blast
from tests.abuse.conftest import Product
from tests.abuse.kit import CLEAN_TEXTS, FUZZ, ask
from tests.web.kit import ADMIN_TOKEN

BEARER = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
NUMBERS = st.one_of(st.integers(-2, 3), st.sampled_from([2**31, 2**63 - 1, 2**63, -(2**63), 10**40])).map(str)
VALUES = st.one_of(
    NUMBERS,
    st.sampled_from(
        ["true", "false", "1e3", "0x1", "\u0661", "1 ", " ", "null", "River City FC", "pat@example.com"]
    ),
    CLEAN_TEXTS.map(lambda text: text[:1000]),
)


def admin_parameters(product: Product) -> dict[str, list[str]]:
    """Return each admin route's parameters as its own OpenAPI document tells them."""
    paths: dict[str, Any] = product.application.openapi()["paths"]
    return {
        path: [parameter["name"] for parameter in operations["post"].get("parameters", [])]
        for path, operations in paths.items()
        if path.startswith("/admin/")
    }


def test_the_document_tells_of_every_admin_route(product: Product) -> None:
    known = admin_parameters(product)
    assert set(known) == {
        f"/admin/email/{kind}" for kind in ("outstanding-balance", "tournament-fee", "first-payment")
    }
    assert all({"test_email", "dry_run"} <= set(names) for names in known.values())


@FUZZ
@given(data=st.data())
async def test_queries_of_every_shape(product: Product, data: st.DataObject) -> None:
    known = admin_parameters(product)
    path = data.draw(st.sampled_from(sorted(known)))
    names = st.one_of(st.sampled_from(known[path]), st.sampled_from(["dry-run", "DRY_RUN", "test_email[]", ""]))
    pairs = data.draw(st.lists(st.tuples(names, VALUES), max_size=5))
    # A rehearsal each: what would be sent is what counts.
    asked = [*((name, value) for name, value in pairs if name != "dry_run"), ("dry_run", "true")]
    answer = await ask(product.client, "POST", path, params=asked, headers=BEARER)
    assert answer.status_code in {200, 400, 404}
    body = answer.json()
    assert body["error"] if answer.status_code != 200 else body["recipients"] <= 1
    # A name that is misspelt must not turn one family's test into everybody's mail.
    if any(name not in known[path] for name, _ in pairs):
        assert answer.status_code == 400


@FUZZ
@given(body=st.one_of(st.binary(max_size=200), st.just(b'{"dry_run": false}')), kind=CLEAN_TEXTS)
async def test_a_body_is_not_looked_at(product: Product, body: bytes, kind: str) -> None:
    plain = "".join(sign for sign in kind if " " <= sign <= "~").strip()[:200]
    headers = {**BEARER, "Content-Type": plain}
    path = "/admin/email/outstanding-balance?dry_run=true"
    answer = await ask(product.client, "POST", path, content=body, headers=headers)
    assert answer.status_code == 200


@FUZZ
@given(given_header=st.binary(max_size=80))
async def test_no_header_but_the_right_one_lets_anybody_in(product: Product, given_header: bytes) -> None:
    clean = bytes(byte for byte in given_header if byte >= 0x20 and byte != 0x7F).strip()
    for header in (clean, b"Bearer " + clean, f"Bearer {ADMIN_TOKEN[:-1]}".encode(), ADMIN_TOKEN.encode()):
        answer = await ask(
            product.client, "POST", "/admin/email/outstanding-balance", headers={b"Authorization": header}
        )
        assert answer.status_code == 401
    async with product.services.database.transaction() as conn:
        assert await conn.scalar(select(func.count()).select_from(Blast)) == 0


async def test_other_methods_do_nothing(product: Product) -> None:
    for method in ("GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"):
        answer = await ask(product.client, method, "/admin/email/outstanding-balance", headers=BEARER)
        assert answer.status_code == 405, method
        assert answer.json()["error"]
