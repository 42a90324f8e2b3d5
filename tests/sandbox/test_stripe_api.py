import asyncio
from typing import Any

import httpx
import pytest
import stripe

from sandbox.stripe import Fault, StripeStandIn
from sandbox.stripe.faults import Kind
from tests.sandbox.stripe_kit import KEY, account, link_parameters

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PRICED = "line_items[0][price_data][currency]=usd&line_items[0][price_data][product_data][name]=Fee"
GOOD = f"{PRICED}&line_items[0][price_data][unit_amount]=1500&line_items[0][quantity]=1"


async def test_a_link_carries_its_metadata_to_session_and_payment_intent() -> None:
    async with account() as club:
        link = await club.client.v1.payment_links.create_async(link_parameters(), {"idempotency_key": "order-7"})
        assert link.active
        assert link.url == f"{club.stripe.base_url}/pay/{link.id}"
        session_id = await club.stripe.open_link(link.id)
        open_ones = await club.client.v1.checkout.sessions.list_async(
            {"payment_link": link.id, "status": "open", "limit": 100}
        )
        assert [each.id for each in open_ones.data] == [session_id]
        assert open_ones.data[0].payment_intent is None
        await club.stripe.pay(session_id)
        session = await club.client.v1.checkout.sessions.retrieve_async(
            session_id, {"expand": ["payment_intent", "line_items"]}
        )
        intent: Any = session.payment_intent
        assert session.payment_status == "paid"
        assert session.metadata is not None
        assert session.metadata["order_id"] == "7"
        assert intent.metadata["order_id"] == "7"
        assert intent.customer == session.customer
        assert session.line_items is not None
        assert session.line_items.data[0].amount_total == 15000


async def test_a_deactivated_link_opens_no_session_and_its_sessions_can_be_expired() -> None:
    async with account() as club:
        link = await club.link()
        session_id = await club.stripe.open_link(link)
        await club.client.v1.payment_links.update_async(link, {"active": False})
        with pytest.raises(Exception, match="This link is closed"):
            await club.stripe.open_link(link)
        expired = await club.client.v1.checkout.sessions.expire_async(session_id)
        assert expired.status == "expired"
        with pytest.raises(stripe.InvalidRequestError, match="open"):
            await club.client.v1.checkout.sessions.expire_async(session_id)
        assert club.event_types()[-2:] == ["payment_link.updated", "checkout.session.expired"]
        assert club.latest_event("payment_link.updated")["data"]["previous_attributes"] == {"active": True}


@pytest.mark.parametrize(
    ("form", "code", "param"),
    [
        ("", "parameter_missing", "line_items"),
        (f"{GOOD}&customer_email=a@example.com", "parameter_unknown", "customer_email"),
        (f"{GOOD}&success_url=https://example.com", "parameter_unknown", "success_url"),
        (f"{GOOD}&expires_at=1", "parameter_unknown", "expires_at"),
        (f"{GOOD}&api_key=x", "parameter_unknown", "api_key"),
        (f"{PRICED}&line_items[0][quantity]=1", "parameter_missing", "line_items[0][price_data][unit_amount]"),
        (GOOD.replace("1500", "15.00"), "parameter_invalid_integer", "line_items[0][price_data][unit_amount]"),
        (GOOD.replace("1500", "-1"), "parameter_invalid_integer", "line_items[0][price_data][unit_amount]"),
        (GOOD.replace("1500", "49"), "amount_too_small", "line_items"),
        (GOOD.replace("1500", "100000000"), "amount_too_large", "line_items[0][price_data][unit_amount]"),
        (GOOD.replace("=usd", "=zzz"), None, "line_items[0][price_data][currency]"),
        (GOOD.replace("=Fee", "="), "parameter_invalid_empty", "line_items[0][price_data][product_data][name]"),
        (GOOD.replace("=Fee", f"={'x' * 251}"), None, "line_items[0][price_data][product_data][name]"),
        (GOOD.replace("[quantity]=1", "[quantity]=0"), "parameter_invalid_integer", "line_items[0][quantity]"),
        (f"{GOOD}&line_items[0][price]=price_x", None, "line_items[0][price]"),
        ("line_items[0][price]=price_x&line_items[0][quantity]=1", "resource_missing", "line_items[0][price]"),
        (f"{GOOD}&payment_intent_data[setup_future_usage]=ever", None, "payment_intent_data[setup_future_usage]"),
        (f"{GOOD}&automatic_tax[enabled]=yes", None, "automatic_tax[enabled]"),
        (f"{GOOD}&metadata[{'k' * 41}]=v", None, f"metadata[{'k' * 41}]"),
        (f"{GOOD}&metadata[k]={'v' * 501}", None, "metadata[k]"),
        ("&".join([GOOD, *(f"metadata[k{n}]=v" for n in range(51))]), None, "metadata"),
    ],
)
async def test_what_stripe_refuses_is_refused(form: str, code: str | None, param: str) -> None:
    stand_in = StripeStandIn(secret_key=KEY, webhook_secret="whsec_made_up")
    transport = httpx.ASGITransport(stand_in.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://stripe.test", auth=(KEY, "")) as http:
        answer = await http.post("/v1/payment_links", content=form, headers=FORM)
        error = answer.json()["error"]
        assert (answer.status_code, error["type"]) == (400, "invalid_request_error")
        assert (error.get("code"), error["param"]) == (code, param)
        assert answer.headers["request-id"].startswith("req_")
        assert stand_in.payment_links == {}
        assert stand_in.books.products == {}
        assert stand_in.events == {}


async def test_only_the_key_opens_it() -> None:
    async with account() as club, httpx.AsyncClient(base_url=club.stripe.base_url) as http:
        assert (await http.get("/v1/account")).status_code == 401
        wrong = await http.get("/v1/account", headers={"Authorization": "Bearer sk_test_other"})
        assert wrong.json()["error"]["type"] == "invalid_request_error"
        with pytest.raises(stripe.AuthenticationError):
            await club.client.v1.accounts.retrieve_current_async(options={"api_key": "sk_test_other"})
        assert (await club.client.v1.accounts.retrieve_current_async()).object == "account"


async def test_a_body_that_is_no_form_is_refused() -> None:
    async with account() as club, httpx.AsyncClient(base_url=club.stripe.base_url, auth=(KEY, "")) as http:
        assert (await http.post("/v1/payment_links", json={"line_items": []})).status_code == 400
        assert (await http.get("/v1/nothing")).status_code == 404
        assert (await http.get("/v1/payment_links/plink_none")).status_code == 404


async def test_an_idempotency_key_replays_and_refuses_another_request() -> None:
    async with account() as club:
        create = club.client.v1.payment_links.create_async
        first = await create(link_parameters(), {"idempotency_key": "k"})
        again: Any = await create(link_parameters(), {"idempotency_key": "k"})
        assert again.id == first.id
        assert again.last_response.headers["idempotent-replayed"] == "true"
        with pytest.raises(stripe.IdempotencyError):
            await create(link_parameters(16000), {"idempotency_key": "k"})
        with pytest.raises(stripe.IdempotencyError):
            await create(link_parameters(), {"idempotency_key": "k" * 256})
        assert len(club.stripe.payment_links) == 1
        club.clock.pass_by(hours=25)
        assert (await create(link_parameters(), {"idempotency_key": "k"})).id != first.id


async def test_a_refused_request_leaves_its_key_free() -> None:
    async with account() as club:
        create = club.client.v1.payment_links.create_async
        with pytest.raises(stripe.InvalidRequestError):
            await create(link_parameters(10), {"idempotency_key": "k"})
        assert (await create(link_parameters(), {"idempotency_key": "k"})).active


async def test_a_key_in_use_conflicts() -> None:
    async with account() as club:
        club.stripe.faults.add(Fault("delay", seconds=0.2))
        create = club.client.v1.payment_links.create_async
        first = asyncio.create_task(create(link_parameters(), {"idempotency_key": "k"}))
        await asyncio.sleep(0.1)
        with pytest.raises(stripe.APIError) as caught:
            await create(link_parameters(), {"idempotency_key": "k"})
        assert caught.value.http_status == 409
        assert (await first).id in club.stripe.payment_links


@pytest.mark.parametrize("kind", ["drop", "garbage", "server_error"])
async def test_an_executed_request_whose_answer_is_lost_is_not_done_twice(kind: Kind) -> None:
    async with account() as club:
        club.stripe.faults.add(Fault(kind, executes=True))
        create = club.client.v1.payment_links.create_async
        with pytest.raises(stripe.StripeError):
            await create(link_parameters(), {"idempotency_key": "k"})
        if kind == "server_error":
            with pytest.raises(stripe.APIError):
                await create(link_parameters(), {"idempotency_key": "k"})
        else:
            await create(link_parameters(), {"idempotency_key": "k"})
        assert len(club.stripe.payment_links) == 1
        assert club.stripe.requests[-1].replayed


async def test_faults_that_do_not_execute_change_nothing() -> None:
    async with account() as club:
        create = club.client.v1.payment_links.create_async
        club.stripe.faults.add(Fault("rate_limit", path="payment_links", seconds=2))
        assert (await club.client.v1.balance.retrieve_async()).object == "balance"
        with pytest.raises(stripe.RateLimitError) as caught:
            await create(link_parameters(), {"idempotency_key": "k"})
        assert caught.value.headers is not None
        assert caught.value.headers["retry-after"] == "2"
        club.stripe.faults.add(Fault("server_error"))
        with pytest.raises(stripe.APIError):
            await create(link_parameters(), {"idempotency_key": "k"})
        assert club.stripe.payment_links == {}
        await create(link_parameters(), {"idempotency_key": "k"})
        assert [request.status for request in club.stripe.requests] == [200, 429, 500, 200]


async def test_an_endpoint_takes_so_many_requests_a_second() -> None:
    async with account(max_per_second=3) as club:
        for _ in range(3):
            await club.client.v1.balance.retrieve_async()
        with pytest.raises(stripe.RateLimitError):
            await club.client.v1.balance.retrieve_async()
        await club.client.v1.accounts.retrieve_current_async()


async def test_lists_come_in_pages_newest_first() -> None:
    async with account() as club:
        made = [await club.link(1000 + n) for n in range(5)]
        list_links = club.client.v1.payment_links.list_async
        first = await list_links({"limit": 2})
        assert [link.id for link in first.data] == made[:2:-1]
        assert first.has_more
        second = await list_links({"limit": 2, "starting_after": made[3]})
        assert [link.id for link in second.data] == [made[2], made[1]]
        back = await list_links({"limit": 2, "ending_before": made[1]})
        assert [link.id for link in back.data] == [made[3], made[2]]
        walked = [link.id async for link in first.auto_paging_iter()]
        assert walked == made[::-1]
        refused: list[Any] = [{"limit": 101}, {"limit": 0}, {"starting_after": "plink_none"}]
        for wrong in refused:
            with pytest.raises(stripe.InvalidRequestError):
                await list_links(wrong)


async def test_products_prices_and_customers() -> None:
    async with account() as club:
        v1 = club.client.v1
        product = await v1.products.create_async({"name": "Jersey"})
        price = await v1.prices.create_async({"product": product.id, "currency": "usd", "unit_amount": 6500})
        assert await club.link(line_items=[{"price": price.id, "quantity": 2}]) in club.stripe.payment_links
        unknown: Any = {"unit_amount": 1}
        with pytest.raises(stripe.InvalidRequestError, match="unknown parameter: unit_amount"):
            await v1.prices.update_async(price.id, unknown)
        await v1.products.update_async(product.id, {"active": False})
        with pytest.raises(stripe.InvalidRequestError, match="not active"):
            await club.link(line_items=[{"price": price.id, "quantity": 1}])
        customer = await v1.customers.create_async({"email": "pat@example.com", "metadata": {"a": "1", "b": "2"}})
        changed = await v1.customers.update_async(customer.id, {"metadata": {"a": ""}})
        assert changed.metadata is not None
        assert changed.metadata.to_dict() == {"b": "2"}
        found = await v1.customers.list_async({"email": "pat@example.com"})
        assert [each.id for each in found.data] == [customer.id]


async def test_a_session_made_by_the_api_is_held_to_its_rules() -> None:
    async with account() as club:
        create = club.client.v1.checkout.sessions.create_async
        whole: Any = {
            "mode": "payment",
            "line_items": link_parameters()["line_items"],
            "success_url": "https://example.com/thanks",
        }
        session = await create(whole)
        assert (session.status, session.amount_total) == ("open", 15000)
        refused: list[Any] = [
            {"mode": "subscription"},
            {"expires_at": 1},
            {"customer": "cus_none"},
            {"after": "x"},
        ]
        for wrong in refused:
            with pytest.raises(stripe.InvalidRequestError):
                await create(whole | wrong)
