"""A second workspace installs the app by the link it was given; tokens are kept encrypted."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest
from sqlalchemy import select, text
from structlog.testing import capture_logs

from bot.messenger import SlackMessenger
from bot.oauth import build_install
from core.club import all_clubs
from core.errors import SettingsError
from core.invites import Invites
from core.models import AuditLog, Notice
from core.notices import NoticeKind
from core.sealing import Sealer
from core.tokens import FamilyLinks
from sandbox.server import serve
from sandbox.slack.payloads import bot_token_revoked, event_callback, uninstalled
from tests.books import add
from tests.tenants.conftest import (
    CLIENT_SECRET,
    THERE_ADMIN,
    THERE_TEAM,
    THERE_TOKEN,
    TwoClubs,
    Workspaces,
    install_there,
)
from tests.tenants.test_slack_walk import slack_client
from web.app import build_web
from web.slack_endpoint import slack_endpoint

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


@pytest.fixture
async def listening(workspaces: Workspaces) -> AsyncIterator[None]:
    """The product is where the second workspace sends its events to."""
    application = build_web(workspaces.services, slack=slack_endpoint(workspaces.bot.app))
    async with serve(application) as url:
        workspaces.there.events_url = f"{url}/slack/events"
        yield


async def kept_tokens(workspaces: Workspaces) -> int:
    async with workspaces.services.database.transaction() as conn:
        rows = "(select count(*) from slack_bots) + (select count(*) from slack_installations)"
        return int(await conn.scalar(text(f"select {rows}")) or 0)


async def a_notice(two: TwoClubs) -> int:
    async with two.database.transaction() as conn:
        facts = {"order_id": two.there.order_id, "amount_cents": 100, "method": "cash"}
        new = {"tenant_id": two.there.tenant_id, "kind": NoticeKind.PAYMENT.value, "key": "payment:1"}
        return await add(conn, Notice, **new, facts=facts)


async def let_in(two: TwoClubs, workspaces: Workspaces) -> None:
    async with browser(workspaces) as client:
        asked = await to_slack(client, await link(workspaces, two.there.tenant_id))
        done = await come_back(client, workspaces.front.allow(THERE_TEAM, THERE_ADMIN, asked))
    assert done.status_code == 200, done.text


@pytest.mark.parametrize("enterprise_id", [None, "E0LEAGUE"])
async def test_a_workspace_that_takes_the_app_out_is_forgotten_and_may_come_back(
    two: TwoClubs, workspaces: Workspaces, listening: None, enterprise_id: str | None
) -> None:
    workspaces.there.workspace.enterprise_id = enterprise_id
    await let_in(two, workspaces)
    assert "jaxon" in (await look_up(workspaces)).text.lower()
    assert await kept_tokens(workspaces) == 2
    with capture_logs() as logs:
        await workspaces.there.uninstall(THERE_ADMIN)
    # Slack tells of the token and of the app; the second finds nothing any more.
    told = [line["is_forgotten"] for line in logs if line["event"] == "slack_app_uninstalled"]
    assert told == [True, False]
    assert await kept_tokens(workspaces) == 0
    assert "not set up for this workspace" in (await look_up(workspaces)).text
    notice_id = await a_notice(two)
    await SlackMessenger(workspaces.services, workspaces.bot.clubs).post_notice(notice_id)
    async with two.database.transaction() as conn:
        status, error = (await conn.execute(select(Notice.status, Notice.error))).one()
    assert status == "failed"
    assert "sideline club invite" in str(error)
    await let_in(two, workspaces)
    assert "jaxon" in (await look_up(workspaces)).text.lower()


async def test_news_of_an_uninstall_that_come_late_leave_the_new_token_alone(
    two: TwoClubs, workspaces: Workspaces
) -> None:
    payload = event_callback(workspaces.there.workspace, uninstalled(), "Ev1")
    payload["event_time"] -= 60
    await install_there(workspaces)
    assert (await tell(workspaces, payload)).status_code == 200
    assert await kept_tokens(workspaces) == 2


async def test_tokens_of_people_are_none_of_ours(two: TwoClubs, workspaces: Workspaces) -> None:
    await install_there(workspaces)
    event = bot_token_revoked() | {"tokens": {"oauth": [THERE_ADMIN], "bot": []}}
    done = await tell(workspaces, event_callback(workspaces.there.workspace, event, "Ev1"))
    assert done.status_code == 200
    assert await kept_tokens(workspaces) == 2


async def test_the_club_of_the_settings_has_nothing_to_forget(two: TwoClubs, workspaces: Workspaces) -> None:
    await install_there(workspaces)
    for event in (bot_token_revoked(), uninstalled()):
        done = await tell(workspaces, event_callback(workspaces.here.workspace, event, "Ev1"))
        assert done.status_code == 200
    workspaces.bot.clubs.installations = None
    done = await tell(workspaces, event_callback(workspaces.here.workspace, uninstalled(), "Ev2"))
    assert done.status_code == 200
    assert await kept_tokens(workspaces) == 2


async def tell(workspaces: Workspaces, payload: dict[str, Any]) -> httpx.Response:
    body = json.dumps(payload).encode()
    headers = {"Content-Type": "application/json", **workspaces.there.sign(body)}
    return await slack_client(workspaces).post("/slack/events", content=body, headers=headers)


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
