"""Small books of a made-up club, for tests that need some."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from sqlalchemy import insert
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection

from core.models import Order, Parent, Player, Product, Team, Tenant
from core.models.statuses import Category
from core.settings import Settings


def made_up_settings(data_dir: Path, **given: object) -> Settings:
    """Settings that read neither the environment's `.env` nor anybody's data folder."""
    values: dict[str, object] = {"sideline_data_dir": data_dir, "secret_key": "a made-up key for tests", **given}
    return Settings(_env_file=None, **values)  # type: ignore[arg-type,call-arg]


def database_settings(url: URL) -> dict[str, object]:
    return {"database_url": url.set(drivername="postgresql").render_as_string(hide_password=False)}


@dataclass(frozen=True, slots=True)
class Books:
    """One club, one family, one player who owes one monthly fee of $150."""

    tenant_id: int
    team_id: int
    parent_id: int
    player_id: int
    product_id: int
    order_id: int


async def add(conn: AsyncConnection, table: type, **values: object) -> int:
    new_id = await conn.scalar(insert(table).values(**values).returning(table.id))  # type: ignore[attr-defined]
    return int(new_id or 0)


async def open_books(conn: AsyncConnection, club: str = "River City FC", email: str = "pat@example.com") -> Books:
    tenant_id = await add(conn, Tenant, name=club)
    team_id = await add(conn, Team, tenant_id=tenant_id, name="U12 Blue")
    parent_id = await add(conn, Parent, tenant_id=tenant_id, first_name="Pat", last_name="Reed", email=email)
    player_id = await add(
        conn,
        Player,
        tenant_id=tenant_id,
        parent_id=parent_id,
        team_id=team_id,
        first_name="Jaxon",
        last_name="Reed",
        contract_status="signed",
        monthly_fee_cents=15000,
    )
    product_id = await add(
        conn,
        Product,
        tenant_id=tenant_id,
        category=Category.MONTHLY,
        name="Monthly fee, Dec 2026, $150",
        price_cents=15000,
        period="2026-12",
    )
    order_id = await add(
        conn,
        Order,
        tenant_id=tenant_id,
        player_id=player_id,
        parent_id=parent_id,
        product_id=product_id,
        description="Monthly fee, Dec 2026",
        amount_cents=15000,
        due_date=date(2026, 12, 1),
    )
    return Books(tenant_id, team_id, parent_id, player_id, product_id, order_id)
