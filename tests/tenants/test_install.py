"""A second workspace installs the app by the link it was given; tokens are kept encrypted."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest
from sqlalchemy import select, text

from bot.oauth import build_install
from core.club import all_clubs
from core.errors import SettingsError
from core.invites import Invites
from core.models import AuditLog
from core.sealing import Sealer
from core.tokens import FamilyLinks
from tests.tenants.conftest import CLIENT_SECRET, THERE_ADMIN, THERE_TEAM, THERE_TOKEN, TwoClubs, Workspaces
from tests.tenants.test_slack_walk import slack_client
from web.app import build_web

# Slack's SDK says who it is to aiohttp in the old way.
pytestmark = pytest.mark.filterwarnings("ignore:BasicAuth is deprecated:DeprecationWarning")


def browser(workspaces: Workspaces) -> httpx.AsyncClient:
    install = build_install(workspaces.services, workspaces.bot.clubs)
    application = build_web(workspaces.services, slack=None, install=install)
    return httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="https://club.example.com")


async def link(workspaces: Workspaces, tenant_id: int | None = None, *, at: datetime | None = None) -> str:
    given = workspaces.services.settings
    invites = Invites(given.base_url, given.signing_keys, lambda: at or datetime.now(UTC))
    async with workspaces.services.database.transaction() as conn:
        return await invites.create(conn, tenant_id)


async def to_slack(client: httpx.AsyncClient, url: str) -> dict[str, str]:
    sent = await client.get(url)
    assert sent.status_code == 302, sent.text
    assert "SameSite" in sent.headers["set-cookie"] or "HttpOnly" in sent.headers["set-cookie"]
    return dict(parse_qsl(urlsplit(sent.headers["location"]).query))


async def come_back(client: httpx.AsyncClient, query: dict[str, str]) -> httpx.Response:
    return await client.get("/slack/oauth_redirect", params=query)


async def clubs(workspaces: Workspaces) -> dict[str, str | None]:
    async with workspaces.services.database.transaction() as conn:
        return {club.name: club.slack_team_id for club in await all_clubs(conn)}


@pytest.fixture
async def alone(workspaces: Workspaces) -> None:
    """One club, set up by settings alone."""
    async with workspaces.services.database.transaction() as conn:
        await conn.execute(text("insert into tenants (name) values ('River City FC')"))


async def test_a_new_workspace_becomes_a_new_club(alone: None, workspaces: Workspaces) -> None:
    async with browser(workspaces) as client:
        asked = await to_slack(client, await link(workspaces))
        done = await come_back(client, workspaces.front.allow(THERE_TEAM, THERE_ADMIN, asked))
    assert done.status_code == 200, done.text
    assert "Sideline is in your workspace" in done.text
    # The first club keeps its workspace, which until now nobody had to name.
    assert await clubs(workspaces) == {"River City FC": "T0HERE", f"Workspace {THERE_TEAM}": THERE_TEAM}
    found = await look_up(workspaces)
    assert "any player" in found.text or "No" in found.text, found.text
    async with workspaces.services.database.transaction() as conn:
        kept = str((await conn.execute(text("select * from slack_bots, slack_installations"))).all())
        who = list(await conn.scalars(select(AuditLog.actor).where(AuditLog.action == "club.install")))
    assert THERE_TOKEN not in kept
    assert who == [THERE_ADMIN]


async def look_up(workspaces: Workspaces) -> httpx.Response:
    asked = {"command": "/player", "text": "jaxon", "team_id": THERE_TEAM, "user_id": THERE_ADMIN}
    body = urlencode(asked | {"channel_id": "C1", "trigger_id": "1"}).encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded", **workspaces.there.sign(body)}
    return await slack_client(workspaces).post("/slack/events", content=body, headers=headers)


async def test_an_existing_club_gets_its_workspace(two: TwoClubs, workspaces: Workspaces) -> None:
    async with workspaces.services.database.transaction() as conn:
        await conn.execute(text("update tenants set slack_team_id = null where name = 'Harbor United'"))
    async with browser(workspaces) as client:
        asked = await to_slack(client, await link(workspaces, two.there.tenant_id))
        done = await come_back(client, workspaces.front.allow(THERE_TEAM, THERE_ADMIN, asked))
    assert done.status_code == 200, done.text
    assert (await clubs(workspaces))["Harbor United"] == THERE_TEAM


async def test_a_link_works_once_and_for_a_day(alone: None, workspaces: Workspaces) -> None:
    url = await link(workspaces)
    old = await link(workspaces, at=datetime.now(UTC) - timedelta(hours=25))
    async with browser(workspaces) as client:
        asked = await to_slack(client, url)
        came = workspaces.front.allow(THERE_TEAM, THERE_ADMIN, asked)
        assert (await come_back(client, came)).status_code == 200
        for again in (url, old):
            assert (await client.get(again)).status_code in {400, 410, 422}
        assert (await client.get(url + "x")).status_code == 404
        assert (await client.get("/slack/install")).status_code == 404
        # Slack's answer is good once, too.
        assert (await come_back(client, came)).status_code >= 400
    assert len(await clubs(workspaces)) == 2


async def test_nobody_installs_with_somebody_elses_answer(alone: None, workspaces: Workspaces) -> None:
    async with browser(workspaces) as client, browser(workspaces) as stranger:
        asked = await to_slack(client, await link(workspaces))
        came = workspaces.front.allow(THERE_TEAM, THERE_ADMIN, asked)
        assert (await come_back(stranger, came)).status_code == 400
        assert (await come_back(client, came | {"state": "made-up"})).status_code == 400
        assert (await come_back(client, came | {"code": "made-up"})).status_code == 401
        refused = await come_back(client, {"error": "access_denied", "state": came["state"]})
        assert "You said no" in refused.text
    assert await clubs(workspaces) == {"River City FC": None}


async def test_a_workspace_with_a_club_makes_no_second_one(two: TwoClubs, workspaces: Workspaces) -> None:
    async with browser(workspaces) as client:
        asked = await to_slack(client, await link(workspaces))
        done = await come_back(client, workspaces.front.allow(THERE_TEAM, THERE_ADMIN, asked))
    assert done.status_code >= 400
    assert len(await clubs(workspaces)) == 2


async def test_without_the_settings_there_is_nothing(workspaces: Workspaces) -> None:
    application = build_web(workspaces.services, slack=None)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://x.test") as client:
        assert (await client.get("/slack/install")).status_code == 404
        assert (await client.get("/slack/oauth_redirect")).status_code == 404


def test_a_key_can_be_replaced() -> None:
    sealed = Sealer(["old"]).seal(CLIENT_SECRET)
    assert CLIENT_SECRET not in sealed
    assert Sealer(["new", "old"]).open(sealed) == CLIENT_SECRET
    with pytest.raises(SettingsError, match="add the old one"):
        Sealer(["new"]).open(sealed)
    token = FamilyLinks("https://club.test", ["old"]).pay_url(1, 2).rpartition("/")[2]
    rolled = FamilyLinks("https://club.test", ["new", "old"])
    assert rolled.read_pay(token) == (1, 2)
    fresh = rolled.pay_url(3, 4).rpartition("/")[2]
    assert FamilyLinks("https://club.test", ["new"]).read_pay(fresh) == (3, 4)
