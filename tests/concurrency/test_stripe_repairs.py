"""Repairs of what Stripe and the books differ in, while both go on changing."""

from datetime import date

from sqlalchemy import insert, select

from core.models import Order, Team, Tournament, TournamentProduct
from core.services import Services
from tests.books import add
from tests.concurrency.interleave import OneSwitch, Played, Work
from tests.concurrency.world import Scene, World

SHARE = 0.34


async def test_a_reconciliation_meets_the_webhooks_that_it_missed(world: World) -> None:
    one, two, three = world.processes

    async def scene() -> Scene:
        families = [await world.family() for _ in range(2)]
        events = [await world.pay(await world.mint(family.order_id)) for family in families]

        async def reconcile() -> None:
            run_id = await one.reconciliation.keep(await one.reconciliation.compare(world.club))
            await one.reconcile_desk.repair_all(world.club, run_id or 0, "cli", lambda: None)

        async def check(_: Played) -> None:
            for family in families:
                assert await world.paid(family.order_id) == [15000]
                assert await world.status(family.order_id) == "paid"
                told = await world.rows(
                    "select kind from notices where facts ->> 'order_id' = :id", id=str(family.order_id)
                )
                assert told == [("payment",)]

        works = (reconcile, world.telling(two, *events[0]), world.telling(three, *events[1]))
        return Scene(works, check, [family.order_id for family in families])

    await world.rehearse(scene, share=SHARE)


async def test_two_regenerate_a_tournaments_links_and_somebody_clicks(world: World) -> None:
    one, two, three = world.processes

    async def scene() -> Scene:
        families = [await world.family() for _ in range(2)]
        orders = [family.order_id for family in families]
        await world.mint(orders[0])
        async with world.first.database.transaction() as conn:
            tenant_id = world.club.id
            cup = await add(
                conn, Tournament, tenant_id=tenant_id, name=f"Cup {orders[0]}", starts_on=date(2027, 1, 9)
            )
            for family in families:
                team_id = await add(conn, Team, tenant_id=tenant_id, name=f"Team {family.parent_id}")
                entered = {"tournament_id": cup, "team_id": team_id, "product_id": family.product_id}
                await conn.execute(insert(TournamentProduct).values(tenant_id=tenant_id, **entered))

        def regenerating(process: Services) -> Work:
            async def regenerate() -> list[str]:
                links = process.tournament_links
                verdicts = await links.inspect(await links.find(world.club, cup), lambda: None, force=True)
                return [each.reason for each in await links.apply(world.club, verdicts, lambda: None)]

            return regenerate

        async def check(_: Played) -> None:
            for order_id in orders:
                (link,) = world.open_links(order_id)
                async with world.first.database.reading() as conn:
                    stored = await conn.scalar(select(Order.stripe_checkout_url).where(Order.id == order_id))
                assert stored == link["url"]

        works = (
            regenerating(one),
            regenerating(two),
            lambda: three.payment_links.payable_url(world.club.id, orders[0]),
        )
        return Scene(works, check, orders)

    # The address that the first kept was one that the second had replaced meanwhile.
    await world.rehearse(scene, OneSwitch(1, 27), share=SHARE)


async def test_a_refund_is_asked_for_twice_while_another_payment_comes_in(world: World) -> None:
    one, two, three = world.processes

    async def scene() -> Scene:
        family = await world.family()
        link_id = await world.mint(family.order_id)
        sessions = [await world.stripe.open_link(link_id) for _ in range(3)]
        for session_id in sessions:
            await world.stripe.pay(session_id)
        paid = [
            event
            for event in world.stripe.events.values()
            if event["type"] == "checkout.session.completed" and event["data"]["object"]["id"] in sessions
        ]
        await world.telling(world.first, *paid[:2])()
        ((payment_id,),) = await world.rows(
            "select max(id) from payments where order_id = :order_id", order_id=family.order_id
        )
        known = set(world.stripe.events)

        async def check(played: Played) -> None:
            first, second, _ = [not isinstance(result, Exception) for result in played.results]
            assert first + second == 1
            refunds = [event for event_id, event in world.stripe.events.items() if event_id not in known]
            await world.telling(world.first, *refunds)()
            assert await world.paid(family.order_id) == [-15000, 15000, 15000, 15000]
            assert await world.status(family.order_id) == "paid"

        works = (
            lambda: one.refunds.request(world.club, payment_id, "U1"),
            lambda: two.refunds.request(world.club, payment_id, "U2"),
            world.telling(three, paid[2]),
        )
        return Scene(works, check, [family.order_id])

    await world.rehearse(scene, share=SHARE)
