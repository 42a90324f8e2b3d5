"""What a parent sees on the family's page."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from core.balances import OwedItem, family_owes
from core.errors import NotFoundError
from core.family_card import PaidItem, paid_items
from core.models import Parent

PAYMENTS_SHOWN = 50


@dataclass(frozen=True, slots=True)
class FamilyPage:
    """Everything a family owes, and what it paid. Amounts in cents."""

    parent_id: int
    parent_name: str
    items: tuple[OwedItem, ...]
    paid: tuple[PaidItem, ...]


async def load_family_page(conn: AsyncConnection, tenant_id: int, parent_id: int) -> FamilyPage:
    """Return a family's page.

    Raises:
        NotFoundError: no such family in this club.
    """
    parent = (
        await conn.execute(
            select(Parent.first_name, Parent.last_name).where(
                Parent.id == parent_id, Parent.tenant_id == tenant_id
            )
        )
    ).one_or_none()
    if parent is None:
        raise NotFoundError("We don't know this family page.")
    return FamilyPage(
        parent_id=parent_id,
        parent_name=f"{parent.first_name} {parent.last_name}".strip(),
        items=tuple(await family_owes(conn, tenant_id, parent_id)),
        paid=await paid_items(conn, tenant_id, parent_id, PAYMENTS_SHOWN),
    )
