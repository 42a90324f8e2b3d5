"""Money that comes in from several sides at once, and orders that change while it does."""

from core.manual_payments import HandPayment
from core.models.statuses import PaymentMethod
from tests.concurrency.interleave import OneSwitch, Played, Shuffled
from tests.concurrency.world import Scene, World


async def test_two_payments_of_one_order_and_a_copy_of_the_first(world: World) -> None:
    one, two, three = world.processes

    async def scene() -> Scene:
        family = await world.family()
        link_id = await world.mint(family.order_id)
        sessions = [await world.stripe.open_link(link_id) for _ in range(2)]
        known = set(world.stripe.events)
        for session_id in sessions:
            await world.stripe.pay(session_id)
        first, second = [
            event
            for event_id, event in world.stripe.events.items()
            if event_id not in known and event["type"] == "checkout.session.completed"
        ]

        async def check(_: Played) -> None:
            assert await world.paid(family.order_id) == [15000, 15000]
            assert await world.status(family.order_id) == "paid"
            kinds = await world.rows(
                "select kind from notices where facts ->> 'order_id' = :order_id order by kind",
                order_id=str(family.order_id),
            )
            assert kinds == [("payment",), ("second_payment",)]

        works = (world.telling(one, first), world.telling(two, second), world.telling(three, first))
        return Scene(works, check, [family.order_id])

    await world.rehearse(scene)


async def test_a_card_payment_meets_cash_for_the_same_order(world: World) -> None:
    one, two, _ = world.processes

    async def scene() -> Scene:
        family = await world.family()
        events = await world.pay(await world.mint(family.order_id))
        cash = HandPayment(family.order_id, 15000, PaymentMethod.CASH)

        async def check(played: Played) -> None:
            refused = len(played.errors)
            assert await world.paid(family.order_id) == [15000] * (2 - refused)
            assert await world.status(family.order_id) == "paid"

        return Scene(
            (
                world.telling(one, *events),
                lambda: two.manual_payments.record(world.club, cash, "U1"),
            ),
            check,
            [family.order_id],
        )

    await world.rehearse(scene)


async def test_an_amount_changes_while_the_order_is_paid_and_its_link_clicked(world: World) -> None:
    one, two, three = world.processes

    async def scene() -> Scene:
        family = await world.family()
        events = await world.pay(await world.mint(family.order_id))
        order_id = family.order_id

        async def check(_: Played) -> None:
            (amount,) = await world.paid(order_id)
            assert amount == 15000
            balance = await world.balance(order_id)
            assert await world.status(order_id) == ("paid" if balance <= 0 else "pending")
            assert [link["active"] for link in world.open_links(order_id)] in ([], [True])

        return Scene(
            (
                world.telling(one, *events),
                lambda: two.order_changes.change_amount(world.club, order_id, 18000, "Extra training", "U1"),
                lambda: three.payment_links.payable_url(world.club.id, order_id),
            ),
            check,
            [family.order_id],
        )

    # The link over the new amount stayed open when part of it had been paid through the old one.
    await world.rehearse(scene, OneSwitch(0, 0), Shuffled(4))
