"""A club whose Stripe is the strict stand-in; its webhook is down, so nothing is told unless a test tells it."""

import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest
from sqlalchemy import select
from sqlalchemy.engine import URL

from core.club import Club, club_by_id
from core.models import Order, PaymentLink, Player, Product
from core.models.statuses import Category
from core.reconcile import Comparison
from core.reconcile_desk import RepairReport
from core.services import Services, build_services
from sandbox.server import serve
from sandbox.stripe import StripeStandIn
from tests.books import Books, add, database_settings, made_up_settings, open_books

KEY = "sk_test_made_up"
_numbers = itertools.count(1)


@pytest.fixture
async def stripe() -> AsyncIterator[StripeStandIn]:
    stripe = StripeStandIn(secret_key=KEY, webhook_secret="whsec_made_up", auto_deliver=False, max_per_second=None)
    async with serve(stripe.app) as base_url:
        stripe.base_url = base_url
        yield stripe
    await stripe.close()


@pytest.fixture
async def services(database_url: URL, stripe: StripeStandIn, tmp_path: Path) -> AsyncIterator[Services]:
    settings = made_up_settings(
        tmp_path, **database_settings(database_url), stripe_secret_key=KEY, stripe_api_base=stripe.base_url
    )
    services = build_services(settings, database_url)
    yield services
    await services.close()


@dataclass(frozen=True)
class Desk:
    """Everything that a test of both sides acts on."""

    services: Services
    stripe: StripeStandIn
    books: Books
    club: Club

    async def mint(self, order_id: int | None = None) -> str:
        """Mint an order's link; gives its id at Stripe."""
        url = await self.services.payment_links.payable_url(self.books.tenant_id, order_id or self.books.order_id)
        return next(str(link["id"]) for link in self.stripe.payment_links.values() if link["url"] == url)

    async def pay(self, link_id: str, method: str = "card") -> str:
        """Pay through a link; gives the session's id."""
        session_id = await self.stripe.open_link(link_id)
        await self.stripe.pay(session_id, method)  # type: ignore[arg-type]
        return session_id

    async def tell(self, *kinds: str) -> None:
        """Have the events of these types told after all; all of them where none is named."""
        for event in list(self.stripe.events.values()):
            if not kinds or event["type"] in kinds:
                await self.services.stripe_events.ingest(event, orjson.dumps(event))

    async def order(self, *, product: bool = True, category: Category = Category.MONTHLY, **given: object) -> int:
        """Add another player of the family, who owes $150; gives the order's id."""
        async with self.services.database.transaction() as conn:
            player_id = await add(
                conn,
                Player,
                tenant_id=self.books.tenant_id,
                parent_id=self.books.parent_id,
                first_name=f"Mia{next(_numbers)}",
                last_name="Reed",
                contract_status="signed",
            )
            product_id = None
            if product:
                name = f"{category} of {player_id}"
                product_id = await add(
                    conn, Product, tenant_id=self.books.tenant_id, category=category, name=name, price_cents=15000
                )
            values: dict[str, object] = {
                "tenant_id": self.books.tenant_id,
                "player_id": player_id,
                "parent_id": self.books.parent_id,
                "product_id": product_id,
                "amount_cents": 15000,
            }
            return await add(conn, Order, **(values | given))

    async def status(self, order_id: int | None = None) -> str:
        async with self.services.database.transaction() as conn:
            found = await conn.scalar(select(Order.status).where(Order.id == (order_id or self.books.order_id)))
        return str(found)

    async def link_status(self, order_id: int | None = None) -> tuple[str, str | None]:
        async with self.services.database.transaction() as conn:
            columns = (PaymentLink.status, PaymentLink.stripe_payment_link_id)
            found = select(*columns).where(PaymentLink.order_id == (order_id or self.books.order_id))
            row = (await conn.execute(found)).one()
        return row[0], row[1]

    async def compare(self) -> Comparison:
        return await self.services.reconciliation.compare(self.club)

    async def kinds(self) -> list[str]:
        return [each.kind.value for each in (await self.compare()).differences]

    async def repair(self) -> RepairReport:
        run_id = await self.services.reconciliation.keep(await self.compare())
        assert run_id is not None
        return await self.services.reconcile_desk.repair_all(self.club, run_id, "cli", lambda: None)


@pytest.fixture
async def desk(services: Services, stripe: StripeStandIn) -> Desk:
    async with services.database.transaction() as conn:
        books = await open_books(conn)
        return Desk(services, stripe, books, await club_by_id(conn, books.tenant_id))
