"""Fees that several people charge at once: each is charged once, to the cent."""

from datetime import UTC, datetime

from sqlalchemy import update

from core.club import Club
from core.items import charge_item, new_item
from core.models import Player
from core.models.statuses import Category
from core.monthly_fees import bill_monthly
from core.order_import import import_orders
from core.order_rows import read_orders
from core.services import Services
from core.tokens import FirstPaymentToken
from tests.concurrency.interleave import Played, Work
from tests.concurrency.world import Family, Scene, World

CHARGED = """
    select o.player_id, o.amount_cents, p.category, o.status from orders o join products p on p.id = o.product_id
    where o.tenant_id = :club and o.id <> all(:before) order by o.player_id, o.id
"""


def billing(process: Services, club: Club, period: str) -> Work:
    async def bill() -> object:
        async with process.database.transaction() as conn:
            return await bill_monthly(conn, club, period)

    return bill


async def set_fee(world: World, family: Family, **values: object) -> None:
    async with world.first.database.transaction() as conn:
        fee = {"monthly_fee_cents": 10001, **values}
        await conn.execute(update(Player).where(Player.id == family.player_id).values(fee))


async def test_two_bill_runs_and_a_first_payments_click(world: World) -> None:
    one, two, three = world.processes
    first_day = datetime.now(UTC).date().replace(day=1)
    period = f"{first_day:%Y-%m}"

    async def scene() -> Scene:
        club, families = await world.club_of(3)
        one_payer, shared, clicked = families
        await set_fee(world, one_payer)
        await set_fee(world, shared, second_parent_id=one_payer.parent_id, second_share_percent=33)
        await set_fee(world, clicked, contract_date=first_day)
        token = FirstPaymentToken(club.id, clicked.player_id, clicked.parent_id, may_prorate=True)
        before = [family.order_id for family in families]

        async def check(played: Played) -> None:
            assert not played.errors
            charged = await world.rows(CHARGED, club=club.id, before=before)
            assert [(player_id, amount) for player_id, amount, _, _ in charged] == [
                (one_payer.player_id, 10001),
                (shared.player_id, 6701),
                (shared.player_id, 3300),
                (clicked.player_id, 10001),
            ]

        click: Work = lambda: three.first_payments.payable_url(token, prorate=True)  # noqa: E731 - a line of work
        return Scene((billing(one, club, period), billing(two, club, period), click), check)

    await world.rehearse(scene)


async def test_an_import_meets_billing_and_a_charge_of_the_same_things(world: World) -> None:
    one, two, three = world.processes

    async def scene() -> Scene:
        club, families = await world.club_of(3)
        names = dict(await world.rows("select id, first_name || ' ' || last_name from players"))
        rows = ["Player,Parent Email,Item,Category,Period,Amount,Status"]
        for family in families:
            await set_fee(world, family)
            who = f"{names[family.player_id]},{family.email}"
            rows += [f"{who},January,monthly,2027-01,100.01,pending", f"{who},Home jersey,jersey,,65,pending"]
        parsed = read_orders("\n".join(rows).encode(), club, datetime.now(UTC))
        before = [family.order_id for family in families]

        async def bring_in() -> object:
            async with two.database.transaction() as conn:
                return await import_orders(conn, club, parsed, actor="cli")

        async def charge() -> object:
            item = new_item("Home jersey", Category.JERSEY, 6500)
            players = [family.player_id for family in families]
            async with three.database.transaction() as conn:
                return await charge_item(conn, club, players, item, None, actor="U1")

        async def check(played: Played) -> None:
            assert not played.errors
            charged = await world.rows(CHARGED, club=club.id, before=before)
            assert sorted((player_id, amount) for player_id, amount, _, _ in charged) == sorted(
                (family.player_id, amount) for family in families for amount in (10001, 6500)
            )

        return Scene((billing(one, club, "2027-01"), bring_in, charge), check)

    await world.rehearse(scene)
