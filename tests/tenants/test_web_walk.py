"""Every route, with what one club has in hand and the other club's ids."""

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import select, text

from bot.oauth import build_install
from core.models import Order
from core.tokens import FamilyLinks
from tests.tenants.conftest import THERE_ACCOUNT, TwoClubs, Workspaces
from tests.web.kit import SECRET, refund_event, session_event, tell
from web.app import build_web
from web.slack_endpoint import slack_endpoint

# They say nothing of any club.
OF_NO_CLUB = {"/healthz", "/readyz", "/metrics"}
# Walked in tests of their own beside this one.
ELSEWHERE = {"/slack/events", "/slack/install", "/slack/oauth_redirect"}
Case = Callable[[httpx.AsyncClient, TwoClubs, FamilyLinks], Awaitable[list[httpx.Response]]]


async def pay(client: httpx.AsyncClient, two: TwoClubs, links: FamilyLinks) -> list[httpx.Response]:
    url = links.pay_url(two.there.tenant_id, two.here.order_id)
    return [await client.get(url), await client.head(url)]


async def balance(client: httpx.AsyncClient, two: TwoClubs, links: FamilyLinks) -> list[httpx.Response]:
    return [await client.get(links.balance_url(two.there.tenant_id, two.here.parent_id))]


async def statement(client: httpx.AsyncClient, two: TwoClubs, links: FamilyLinks) -> list[httpx.Response]:
    url = links.statement_url(two.there.tenant_id, two.here.parent_id)
    return [await client.get(url), await client.get(f"{url}?year=2026")]


async def statement_pdf(client: httpx.AsyncClient, two: TwoClubs, links: FamilyLinks) -> list[httpx.Response]:
    return [await client.get(links.statement_url(two.there.tenant_id, two.here.parent_id) + ".pdf")]


async def first_payment(client: httpx.AsyncClient, two: TwoClubs, links: FamilyLinks) -> list[httpx.Response]:
    here, there = two.here, two.there
    mixed = [
        (here.player_id, here.parent_id),
        (here.player_id, there.parent_id),
    ]
    return [await client.get(links.first_payment_url(there.tenant_id, *ids)) for ids in mixed]


def blast(route: str, **query: object) -> Case:
    async def ask(client: httpx.AsyncClient, two: TwoClubs, _links: FamilyLinks) -> list[httpx.Response]:
        headers = {"Authorization": "Bearer made-up-admin-token"}
        base: dict[str, object] = {"club": "Harbor United", **query}
        asked: list[dict[str, object]] = [base | {"test_email": "quill@example.com"}]
        asked.append(base | ({} if "tournament_id" in query else {"team_id": two.here.team_id}))
        return [await client.post(route, params=each, headers=headers) for each in asked]  # type: ignore[arg-type]

    return ask


CASES: dict[str, Case] = {
    "/pay/{token}": pay,
    "/balance/{token}": balance,
    "/statement/{token}": statement,
    "/statement/{token}.pdf": statement_pdf,
    "/checkout/first-payment": first_payment,
    "/admin/email/outstanding-balance": blast("/admin/email/outstanding-balance"),
    "/admin/email/first-payment": blast("/admin/email/first-payment"),
    "/admin/email/tournament-fee": blast("/admin/email/tournament-fee", tournament_id=7_000_001),
}


@pytest.fixture
def client(workspaces: Workspaces) -> httpx.AsyncClient:
    services, bot = workspaces.services, workspaces.bot
    install = build_install(services, bot.clubs)
    application = build_web(services, slack=slack_endpoint(bot.app), install=install)
    return httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="https://club.example.com")


def paths(router: Any) -> Iterator[str]:  # noqa: ANN401 - an application, or what FastAPI wraps a router in
    for route in router.routes:
        inner = getattr(route, "original_router", None)
        yield from [route.path] if inner is None else paths(inner)


def test_every_route_has_a_case(workspaces: Workspaces) -> None:
    application = build_web(workspaces.services, slack=None)
    found = {path for path in paths(application) if not path.startswith("/static")} - {"/openapi.json"}
    assert found - OF_NO_CLUB - ELSEWHERE == set(CASES) | {"/webhooks/stripe"}


@pytest.mark.parametrize("path", CASES)
async def test_another_clubs_ids_lead_nowhere(
    two: TwoClubs, client: httpx.AsyncClient, workspaces: Workspaces, path: str
) -> None:
    before = await two.everything_here()
    for answer in await CASES[path](client, two, workspaces.services.family_links):
        assert answer.status_code in {400, 404}, (path, answer.text)
        assert "Quill" not in answer.text
        assert "Zebedee" not in answer.text
    assert await two.everything_here() == before
    assert await two.jobs_about_here() == []


async def status_of(two: TwoClubs, order_id: int) -> str | None:
    async with two.database.transaction() as conn:
        status: str | None = await conn.scalar(select(Order.status).where(Order.id == order_id))
    return status


@pytest.mark.parametrize("account", [THERE_ACCOUNT, "acct_test_nobodys"])
async def test_no_account_has_a_say_in_another_clubs_orders(
    two: TwoClubs, client: httpx.AsyncClient, account: str
) -> None:
    before = await two.everything_here()
    ways: list[dict[str, Any]] = [{}, {"payment_link": "plink_test_none"}, {"amount_total": 100}]
    for number, given in enumerate(ways):
        told = session_event(
            order_id=two.here.order_id, payment_intent=f"pi_test_{number}", id=f"cs_test_{number}", **given
        )
        answer = await tell(client, told | {"account": account}, SECRET)
        assert answer.status_code == 200
    assert (await tell(client, refund_event() | {"account": account}, SECRET)).status_code == 200
    assert await two.everything_here() == before
    assert await status_of(two, two.here.order_id) == "pending"


async def test_the_keys_own_account_has_no_say_in_a_connected_ones(
    two: TwoClubs, client: httpx.AsyncClient
) -> None:
    await tell(client, session_event(order_id=two.there.order_id), SECRET)
    assert await status_of(two, two.there.order_id) == "pending"


@pytest.mark.parametrize("amount", [15000, 14999])
async def test_each_account_pays_its_own_clubs_orders(
    two: TwoClubs, client: httpx.AsyncClient, amount: int
) -> None:
    """Settled among many at once, and one by one."""
    await tell(client, session_event(order_id=two.here.order_id, amount_total=amount), SECRET)
    other = {"payment_intent": "pi_test_2", "id": "cs_test_2"}
    theirs = session_event(order_id=two.there.order_id, amount_total=amount, **other)
    await tell(client, theirs | {"account": THERE_ACCOUNT}, SECRET)
    for books in (two.here, two.there):
        async with two.database.transaction() as conn:
            paid = "select sum(amount_cents) from payments where order_id = :order_id"
            assert await conn.scalar(text(paid), {"order_id": books.order_id}) == amount
