"""A day of a club with everything that goes wrong on one: no secret and no family in the log."""

import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
import stamina
import structlog
from sqlalchemy import text, update
from sqlalchemy.exc import IntegrityError

from bot.app import Bot
from core.audiences import AudienceQuery
from core.club import club_by_id
from core.models import Parent
from core.models.statuses import EmailType
from sandbox.mailbox import MailFault
from sandbox.stripe.faults import Fault
from tests.abuse.conftest import Product
from tests.bot.conftest import ADMIN, COACH, GENERAL, OUTSIDER, TEAM, TOKEN, drain
from tests.bot.conftest import SECRET as SLACK_SECRET
from tests.core.test_logs import logged as log_lines
from tests.web.kit import (
    ADMIN_TOKEN,
    SECRET,
    STRIPE_KEY,
    dispute_event,
    refund_event,
    send_raw,
    session_event,
    signature,
    stripe_sdk_warning,
    tell,
)

__all__ = ["drain"]
pytestmark = stripe_sdk_warning

Drain = Callable[[], Awaitable[None]]
ADMIN_PATH = "/admin/email/outstanding-balance"
BEARER = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
# Of the family, and of whoever paid in its place.
PEOPLE = ("pat", "jaxon", "reed", "pat@example.com", "nobody@example.org", "quentin", "elm street")


@pytest.fixture
def bot(product: Product) -> Bot:
    return product.bot


async def in_slack(
    product: Product, *, at: str = "command", user: str = COACH, team: str = TEAM, **given: str
) -> int:
    form: dict[str, str] = {
        "user_id": user,
        "team_id": team,
        "channel_id": GENERAL,
        "trigger_id": "1.2.3",
        **given,
    }
    if at == "button":
        pressed = {"type": "button", "action_id": given["action"], "block_id": "b", "value": given["value"]}
        payload = {
            "type": "block_actions",
            "user": {"id": user, "name": "pat"},
            "team": {"id": team},
            "trigger_id": "1.2.3",
            "actions": [pressed],
        }
        form = {"payload": orjson.dumps(payload).decode()}
    body = urlencode(form).encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded", **product.slack.sign(body)}
    return (await product.client.post("/slack/events", content=body, headers=headers)).status_code


async def the_desk_looks_up_and_resends(product: Product, drain: Drain) -> None:
    books = product.books
    for text_typed in ("Jaxon Reed", "Jaxn", "pat@example.com", "Quentin Nobody"):
        for command in ("/player", "/resend"):
            await in_slack(product, command=command, text=text_typed, user=ADMIN)
    value = f"{books.order_id}.{books.player_id}"
    for action in ("resend_link", "copy_link", "order_menu"):
        await in_slack(product, at="button", action=action, value=value)
    await in_slack(product, command="/player", text="Jaxon Reed", user=OUTSIDER)
    await in_slack(product, command="/player", text="Jaxon Reed", team="T0ELSEWHERE")
    await drain()


async def mail_fails(product: Product, drain: Drain) -> None:
    words = "no mailbox pat@example.com for Pat Reed"
    for kind in ("permfail", "drop_after"):
        product.mailbox.faults.append(MailFault(kind, words=words))
        async with product.services.database.transaction() as conn:
            club = await club_by_id(conn, product.books.tenant_id)
        query = AudienceQuery(EmailType.OUTSTANDING_BALANCE)
        await product.services.blasts.start(club, query, note="Dear Reeds", requested_by=ADMIN)
        await drain()
    for email in ("pat@example.com", "nobody@example.org"):
        await product.client.post(ADMIN_PATH, params={"test_email": email}, headers=BEARER)
    await product.client.post(ADMIN_PATH, headers={"Authorization": "Bearer a-made-up-guess"})
    await drain()


async def a_family_pays(product: Product, drain: Drain) -> None:
    product.stripe.faults.add(Fault("server_error", times=9))
    with stamina.set_testing(testing=True, attempts=2):
        assert (await product.client.get(links_of(product)[0])).status_code == 503
    product.stripe.faults.clear()
    for address in links_of(product):
        await product.client.get(address)
        await product.client.get(f"{address}x")
    who = {"email": "nobody@example.org", "name": "Quentin Reed", "address": {"line1": "1 Elm Street"}}
    paid = session_event(order_id=product.books.order_id, customer_details=who)
    await tell(product.client, paid)
    stranger: dict[str, Any] = {
        "customer_details": who,
        "payment_intent": "pi_test_9",
        "id": "cs_test_9",
        "payment_link": None,
    }
    await tell(product.client, session_event(order_id=None, **stranger))
    for told in (refund_event(), dispute_event("created", "needs_response")):
        await tell(product.client, told)
    raw = orjson.dumps(paid)
    await send_raw(product.client, raw, signature(raw, "whsec_test_another"))
    await send_raw(product.client, b"[]" + raw, signature(b"[]" + raw))
    await drain()


async def the_database_fails(product: Product) -> None:
    """Every kind of failure that quotes what it was given."""
    async with product.services.database.transaction() as conn:
        await conn.execute(text("alter table order_history rename to gone"))
        await conn.execute(text("alter table parents add constraint odd check (last_name <> 'Quentin') not valid"))
    paid = session_event(order_id=product.books.order_id, payment_intent="pi_test_3", id="cs_test_3")
    assert (await tell(product.client, paid)).status_code == 500
    async with product.services.database.transaction() as conn:
        await conn.execute(text("alter table orders rename to gone_too"))
    await in_slack(product, command="/player", text="Jaxon Reed")
    # Not written out below: a traceback quotes the lines of the program.
    name = PEOPLE[5].title()
    with pytest.raises(IntegrityError) as refused:
        async with product.services.database.transaction() as conn:
            await conn.execute(update(Parent).values(last_name=name))
    structlog.get_logger("core").warning("job_failed", exc_info=refused.value)


def links_of(product: Product) -> list[str]:
    links, books = product.services.family_links, product.books
    return [
        links.pay_url(books.tenant_id, books.order_id),
        links.balance_url(books.tenant_id, books.parent_id),
        links.statement_url(books.tenant_id, books.parent_id),
        links.first_payment_url(books.tenant_id, books.player_id, books.parent_id),
    ]


async def test_no_secret_and_no_family_is_in_the_log(product: Product, drain: Drain) -> None:
    with log_lines() as lines:
        await the_desk_looks_up_and_resends(product, drain)
        await mail_fails(product, drain)
        await a_family_pays(product, drain)
        await the_database_fails(product)
    told = {orjson.loads(line)["event"] for line in lines}
    assert told >= {
        "answered_with_error", "slack_request_refused", "foreign_workspace_refused", "webhook_refused",
        "request_not_served", "request_failed", "slack_request_failed", "job_failed",
    }  # fmt: skip
    log = "\n".join(lines)
    tokens = [re.split(r"[/=&]", link.removesuffix("&prorate=true"))[-1] for link in links_of(product)]
    key = product.services.settings.signing_keys[0]
    for secret in (TOKEN, SLACK_SECRET, STRIPE_KEY, SECRET, ADMIN_TOKEN, key, *tokens):
        assert secret not in log
    for words in PEOPLE:
        found = re.search(rf"(?<![\w/]){re.escape(words)}(?![\w])", log, re.IGNORECASE)
        assert not found, log[max(0, found.start() - 300) : found.end() + 100]
