"""The balance blast for scripts: nobody without a token, and never more families than were meant."""

from dataclasses import replace
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from core.mail import Mailer
from core.models import Blast, BlastRecipient, Order, Parent, Player, Tenant
from core.rendering import MailRenderer, build_environment
from core.services import Services
from tests.books import Books, add, open_books
from tests.web.conftest import web_client
from tests.web.kit import ADMIN_TOKEN

PATH = "/admin/email/outstanding-balance"
BEARER = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
NOBODY: dict[str, object] = {
    "blast_id": None,
    "recipients": 0,
    "emails_queued": 0,
    "skipped": [],
    "total_cents": 0,
}


async def blasts(services: Services) -> int:
    async with services.database.transaction() as conn:
        return int(await conn.scalar(select(func.count()).select_from(Blast)) or 0)


async def add_family(services: Services, books: Books, email: str | None, *, contract: str = "signed") -> int:
    async with services.database.transaction() as conn:
        parent_id = await add(
            conn, Parent, tenant_id=books.tenant_id, first_name="Lee", last_name="Moss", email=email
        )
        player_id = await add(
            conn,
            Player,
            tenant_id=books.tenant_id,
            parent_id=parent_id,
            first_name="Kim",
            last_name="Moss",
            contract_status=contract,
        )
        await add(
            conn,
            Order,
            tenant_id=books.tenant_id,
            player_id=player_id,
            parent_id=parent_id,
            product_id=books.product_id,
            amount_cents=9500,
        )
    return parent_id


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer wrong",
        f"Basic {ADMIN_TOKEN}",
        ADMIN_TOKEN,
        "Bearer caf\u00e9",
        "Bearer another",
    ],
)
async def test_without_a_valid_token_nothing_happens(
    authorization: str | None, client: httpx.AsyncClient, services: Services, books: Books
) -> None:
    headers = {} if authorization is None else {b"Authorization": authorization.encode("latin-1")}
    answer = await client.post(PATH, headers=headers, params={"nonsense": "1"})
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert await blasts(services) == 0


async def test_without_tokens_it_is_off_and_says_so(services: Services) -> None:
    settings = services.settings.model_copy(update={"admin_api_token": ()})
    async with web_client(replace(services, settings=settings)) as client:
        answer = await client.post(PATH, headers={"Authorization": "Bearer "})
    assert answer.status_code == 503
    assert "ADMIN_API_TOKEN" in answer.json()["error"]


@pytest.mark.parametrize("token", [ADMIN_TOKEN, "another-token"])
async def test_mails_everyone_who_owes(
    token: str, client: httpx.AsyncClient, services: Services, books: Books
) -> None:
    without_address = await add_family(services, books, None)
    unsigned = await add_family(services, books, "lee@example.com", contract="sent")
    answer = await client.post(PATH, headers={"Authorization": f"bearer {token}"})
    assert answer.status_code == 200
    body = answer.json()
    assert body == {
        "blast_id": body["blast_id"],
        "recipients": 1,
        "emails_queued": 1,
        "skipped": [
            {"parent_id": without_address, "reason": "no e-mail address"},
            {"parent_id": unsigned, "reason": "contract not signed"},
        ],
        "total_cents": 15000,
    }
    async with services.database.transaction() as conn:
        blast = (await conn.execute(select(Blast.id, Blast.status, Blast.requested_by))).one()
    assert tuple(blast) == (body["blast_id"], "approved", "admin-api")


async def test_a_dry_run_writes_nothing(client: httpx.AsyncClient, services: Services, books: Books) -> None:
    answer = await client.post(PATH, headers=BEARER, params={"dry_run": "true"})
    assert answer.json() == {**NOBODY, "recipients": 1, "total_cents": 15000}
    assert await blasts(services) == 0


async def test_a_test_address_gets_its_own_mail_only(
    client: httpx.AsyncClient, services: Services, books: Books
) -> None:
    lee = await add_family(services, books, "lee@example.com")
    answer = await client.post(PATH, headers=BEARER, params={"test_email": " LEE@example.com "})
    assert (answer.json()["recipients"], answer.json()["total_cents"]) == (1, 9500)
    async with services.database.transaction() as conn:
        assert (await conn.scalars(select(BlastRecipient.parent_id))).all() == [lee]


@pytest.mark.parametrize(
    ("params", "status", "words"),
    [
        ({"test_email": "nobody@example.com"}, 404, "No family here has that address."),
        ({"test_email": "%"}, 404, "No family here has that address."),
        ({"test_email": "  "}, 400, "test_email"),
        ({"testemail": "pat@example.com"}, 400, "testemail"),
        ({"dry_run": "perhaps"}, 400, "dry_run"),
        ({"team_id": "999"}, 400, "team"),
        ({"team_id": "-1"}, 400, "team_id"),
        ({"club": "Elsewhere"}, 404, "no such club"),
    ],
)
async def test_what_is_not_meant_mails_nobody(
    params: dict[str, str],
    status: int,
    words: str,
    client: httpx.AsyncClient,
    services: Services,
    books: Books,
) -> None:
    answer = await client.post(PATH, headers=BEARER, params=params)
    assert answer.status_code == status
    assert words in answer.json()["error"]
    assert "\n" not in answer.json()["error"]
    assert await blasts(services) == 0


async def test_a_family_that_owes_nothing_gets_no_mail(
    client: httpx.AsyncClient, services: Services, books: Books
) -> None:
    async with services.database.transaction() as conn:
        await add(conn, Parent, tenant_id=books.tenant_id, first_name="A", last_name="B", email="ab@example.com")
    answer = await client.post(PATH, headers=BEARER, params={"test_email": "ab@example.com"})
    assert (answer.status_code, answer.json()) == (200, NOBODY)
    assert await blasts(services) == 0


async def test_a_teams_families_only(client: httpx.AsyncClient, services: Services, books: Books) -> None:
    await add_family(services, books, "lee@example.com")
    answer = await client.post(PATH, headers=BEARER, params={"team_id": str(books.team_id), "dry_run": "1"})
    assert (answer.json()["recipients"], answer.json()["total_cents"]) == (1, 15000)


async def test_several_clubs_are_told_apart(client: httpx.AsyncClient, services: Services, books: Books) -> None:
    async with services.database.transaction() as conn:
        await open_books(conn, "Hill Town SC", "sam@example.com")
    which = await client.post(PATH, headers=BEARER, params={"dry_run": "true"})
    assert (which.status_code, which.json()["error"]) == (
        400,
        "There are several clubs here: say which with club=NAME.",
    )
    answer = await client.post(PATH, headers=BEARER, params={"club": "hill town sc"})
    assert answer.json()["recipients"] == 1


async def test_without_any_club_it_says_so(client: httpx.AsyncClient, services: Services) -> None:
    async with services.database.transaction() as conn:
        assert (await conn.scalars(select(Tenant.id))).all() == []
    answer = await client.post(PATH, headers=BEARER)
    assert (answer.status_code, answer.json()["error"]) == (404, "There is no club here yet.")


async def test_with_mail_off_it_says_so(services: Services, books: Books) -> None:
    off: Any = replace(services, mailer=Mailer(None, MailRenderer(build_environment()), None))
    async with web_client(off) as client:
        answer = await client.post(PATH, headers=BEARER)
        dry = await client.post(PATH, headers=BEARER, params={"dry_run": "true"})
    assert (answer.status_code, dry.status_code) == (503, 200)
    assert "SMTP_URL" in answer.json()["error"]
    assert await blasts(services) == 0
