"""Tournaments: added, entered, charged once a player, withdrawn, and mailed with each child's own fee."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection

from core.audiences import AudienceQuery
from core.backfill import BackfillReport
from core.club import Club, club_by_id
from core.errors import InvalidInputError, NotFoundError
from core.models import AuditLog, Blast, BlastRecipient, Order, Parent, PaymentLink, Player, Product, Team
from core.models.statuses import EmailType, PaymentMethod
from core.payments import Income, lock_order, record_payment, refresh_status
from core.services import Services, build_services
from core.tournament_billing import NO_FEE, NO_TEAM, NOT_SIGNED, TournamentBill, bill_tournament
from core.tournament_entries import EntryReport, Wanted, enter_tournament, withdraw_from_tournament
from core.tournaments import AddedTournament, add_tournament, list_tournaments
from sandbox.server import serve
from sandbox.stripe import Fault, StripeStandIn
from tests.books import Books, add, database_settings, made_up_settings, open_books
from tests.statements import counted

KEY = "sk_test_made_up"
DAY = date(2027, 3, 6)


@pytest.fixture
async def stripe() -> AsyncIterator[StripeStandIn]:
    stripe = StripeStandIn(secret_key=KEY, webhook_secret="whsec_made_up", auto_deliver=False)
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


async def player(
    conn: AsyncConnection,
    books: Books,
    name: str,
    team_id: int | None,
    parent_id: int | None = None,
    **given: object,
) -> int:
    first, _, last = name.partition(" ")
    if parent_id is None:
        email = f"{first}.{last}@example.com".lower()
        parent_id = await add(
            conn, Parent, tenant_id=books.tenant_id, first_name="Dana", last_name=last, email=email
        )
    values = {"contract_status": "signed", "monthly_fee_cents": 15000, "team_id": team_id} | given
    return await add(
        conn, Player, tenant_id=books.tenant_id, parent_id=parent_id, first_name=first, last_name=last, **values
    )


@dataclass(frozen=True)
class Cup:
    """A cup with two teams' fees. Jaxon (Blue) and his sister Ida (Gold) are in it, and so are four others."""

    club: Club
    books: Books
    gold_id: int
    id: int


@pytest.fixture
async def cup(services: Services) -> Cup:
    async with services.database.transaction() as conn:
        books = await open_books(conn)
        # Only tournaments are what these tests are about.
        await conn.execute(update(Order).values(status="canceled"))
        gold = await add(conn, Team, tenant_id=books.tenant_id, name="U10 Gold")
        red = await add(conn, Team, tenant_id=books.tenant_id, name="U14 Red")
        await player(conn, books, "Ida Reed", gold, books.parent_id)
        await player(conn, books, "Mia Lopez", red)
        await player(conn, books, "Ana Lopez", None)
        await player(conn, books, "Uma Wills", gold, contract_status="sent")
        await player(conn, books, "Bo Carter", books.team_id)
        club = await club_by_id(conn, books.tenant_id)
        fees = {"u12 blue": 9500, "U10 Gold": 7000}
        made = await add_tournament(conn, club, " Harvest  Cup ", DAY, fees, actor="cli")
        everyone = Wanted(names=("Ana Lopez",), teams=("U12 Blue", "U10 Gold", "u14 red"))
        await enter_tournament(conn, club, made.tournament_id, everyone, actor="cli")
    return Cup(club, books, gold, made.tournament_id)


async def add_again(services: Services, cup: Cup, fees: dict[str, int]) -> AddedTournament:
    async with services.database.transaction() as conn:
        return await add_tournament(conn, cup.club, "Harvest Cup", DAY, fees, actor="cli")


async def bill(services: Services, cup: Cup, *, keep: bool = True) -> TournamentBill:
    async with services.database.transaction(keep=keep) as conn:
        return await bill_tournament(conn, cup.club, cup.id)


async def mint(services: Services, cup: Cup) -> BackfillReport:
    missing = await services.tournament_minting.missing(cup.club, cup.id)
    return await services.tournament_minting.mint(cup.club, cup.id, missing, lambda: None)


async def enter(services: Services, cup: Cup, *names: str) -> EntryReport:
    async with services.database.transaction() as conn:
        return await enter_tournament(conn, cup.club, cup.id, Wanted(names=names), actor="cli")


async def withdraw(services: Services, cup: Cup, *names: str, team: str | None = None) -> EntryReport:
    wanted = Wanted(names=names, teams=(team,) if team else ())
    async with services.database.transaction() as conn:
        return await withdraw_from_tournament(conn, services.payment_links, cup.club, cup.id, wanted, actor="cli")


async def orders(services: Services, cup: Cup) -> list[tuple[str, str, int, str]]:
    async with services.database.transaction() as conn:
        rows = await conn.execute(
            select(Player.first_name, Order.description, Order.amount_cents, Order.status)
            .join(Player, Player.id == Order.player_id)
            .where(Order.description.like("Harvest%"))
            .order_by(Order.id)
        )
        return [tuple(row) for row in rows]  # type: ignore[misc]


async def pay(services: Services, cents: int, name: str) -> None:
    async with services.database.transaction() as conn:
        order_id = await conn.scalar(
            select(Order.id)
            .join(Player, Player.id == Order.player_id)
            .where(Player.first_name == name, Order.status == "pending")
        )
        order = await lock_order(conn, int(order_id or 0))
        assert order is not None
        await record_payment(conn, order, Income(cents, PaymentMethod.CASH, services.clock()))
        await refresh_status(conn, order, "cash")


async def test_one_product_a_team_with_the_teams_own_fee(services: Services, cup: Cup) -> None:
    async with services.database.transaction() as conn:
        products = await conn.execute(
            select(Product.name, Product.price_cents, Product.category).where(Product.category == "tournament")
        )
        assert sorted(tuple(row) for row in products) == [
            ("Harvest Cup, U10 Gold", 7000, "tournament"),
            ("Harvest Cup, U12 Blue", 9500, "tournament"),
        ]
        (listed,) = await list_tournaments(conn, cup.club.id)
    assert (listed.name, listed.starts_on, listed.committed) == ("Harvest Cup", DAY, 6)
    assert listed.fees == {"U10 Gold": 7000, "U12 Blue": 9500}


async def test_added_again_it_gets_the_missing_teams_only(services: Services, cup: Cup) -> None:
    again = await add_again(services, cup, {"U12 Blue": 9500, "U14 Red": 8000})
    assert again == AddedTournament(
        cup.id,
        is_new=False,
        name="Harvest Cup",
        teams_added=("U14 Red",),
        fees_changed=(),
        unchanged=("U12 Blue",),
    )
    same = await add_again(services, cup, {"U12 Blue": 9500, "U14 Red": 8000})
    assert (same.teams_added, same.unchanged) == ((), ("U12 Blue", "U14 Red"))


async def test_two_adding_at_once_make_one(services: Services, cup: Cup) -> None:
    async def add_one() -> int:
        async with services.database.transaction() as conn:
            fees = {"U12 Blue": 5000, "U10 Gold": 5000}
            return (await add_tournament(conn, cup.club, "Spring Cup", DAY, fees, actor="cli")).tournament_id

    assert len(set(await asyncio.gather(*(add_one() for _ in range(4))))) == 1
    async with services.database.transaction() as conn:
        made = select(func.count()).where(Product.name.like("Spring Cup%"))
        assert await conn.scalar(made) == 2


async def test_a_fee_changes_only_while_nobody_was_billed(services: Services, cup: Cup) -> None:
    assert (await add_again(services, cup, {"U12 Blue": 9900})).fees_changed == ("U12 Blue",)
    await bill(services, cup)
    with pytest.raises(InvalidInputError, match=r"U12 Blue was billed already.*\$80\.00") as refused:
        await add_again(services, cup, {"U12 Blue": 8000})
    assert "\n" not in str(refused.value)
    assert ("Jaxon", "Harvest Cup, U12 Blue", 9900, "pending") in await orders(services, cup)
    # The fee of a team that nobody plays for is free to change all the same.
    await add_again(services, cup, {"U14 Red": 8000})
    assert (await add_again(services, cup, {"U14 Red": 8100})).fees_changed == ("U14 Red",)


@pytest.mark.parametrize(
    ("name", "fees", "words"),
    [
        ("Harvest Cup", {"U99": 100}, "there are: U10 Gold, U12 Blue, U14 Red"),
        ("Harvest Cup", {"U12 Blue": 0}, "more than nothing"),
        ("Harvest Cup", {"U12 Blue": 100, "u12 blue": 200}, "named twice"),
        ("  ", {"U12 Blue": 100}, "--name"),
        ("x" * 101, {"U12 Blue": 100}, "shorten"),
    ],
)
async def test_what_is_not_meant_is_refused(
    name: str, fees: dict[str, int], words: str, services: Services, cup: Cup
) -> None:
    async with services.database.transaction() as conn:
        with pytest.raises(InvalidInputError, match=words):
            await add_tournament(conn, cup.club, name, DAY, fees, actor="cli")


async def test_names_that_do_not_fit_are_listed_and_the_others_go_in(services: Services, cup: Cup) -> None:
    async with services.database.transaction() as conn:
        for number in range(2):
            email = f"sam{number}@example.com"
            parent_id = await add(conn, Parent, tenant_id=cup.club.id, email=email)
            await player(conn, cup.books, "Sam Twin", cup.books.team_id, parent_id)
        await player(conn, cup.books, "Zoë O'Brien", cup.books.team_id)
    report = await enter(services, cup, "zoë  o'brien", "Sam Twin", "Nobody Here", "Jaxon Reed")
    assert [each.name for each in report.changed] == ["Zoë O'Brien"]
    assert report.unchanged == 1
    assert [problem.name for problem in report.problems] == ["Sam Twin", "Nobody Here"]
    assert "2 players are called that (U12 Blue, U12 Blue)" in report.problems[0].reason
    async with services.database.transaction() as conn:
        with pytest.raises(NotFoundError, match="tournament list"):
            await enter_tournament(conn, cup.club, cup.id + 1, Wanted(teams=("U12 Blue",)), actor="cli")
        unknown = await enter_tournament(conn, cup.club, cup.id, Wanted(teams=("U99",)), actor="cli")
    assert (unknown.problems[0].name, unknown.changed) == ("U99", ())


async def test_each_committed_player_is_charged_the_own_fee_once(services: Services, cup: Cup) -> None:
    rehearsed = await bill(services, cup, keep=False)
    assert await orders(services, cup) == []
    billed = await bill(services, cup)
    assert billed.total_cents == rehearsed.total_cents == 9500 + 9500 + 7000
    assert await orders(services, cup) == [
        ("Bo", "Harvest Cup, U12 Blue", 9500, "pending"),
        ("Ida", "Harvest Cup, U10 Gold", 7000, "pending"),
        ("Jaxon", "Harvest Cup, U12 Blue", 9500, "pending"),
    ]
    assert [(problem.player_name, problem.reason) for problem in billed.problems] == [
        ("Ana Lopez", NO_TEAM),
        ("Mia Lopez", NO_FEE),
        ("Uma Wills", NOT_SIGNED),
    ]
    again = await bill(services, cup)
    assert (again.charges, again.already_billed) == ((), 3)


async def test_billing_at_once_bills_once(services: Services, cup: Cup) -> None:
    made = await asyncio.gather(*(bill(services, cup) for _ in range(4)))
    assert sorted(len(each.charges) for each in made) == [0, 0, 0, 3]


async def test_who_changes_teams_is_not_billed_again(services: Services, cup: Cup) -> None:
    await bill(services, cup)
    async with services.database.transaction() as conn:
        await conn.execute(update(Player).where(Player.first_name == "Jaxon").values(team_id=cup.gold_id))
    assert (await bill(services, cup)).already_billed == 3


async def test_guardians_who_share_get_a_part_each(services: Services, cup: Cup) -> None:
    async with services.database.transaction() as conn:
        other = await add(conn, Parent, tenant_id=cup.club.id, first_name="Lee", email="lee@example.com")
        await conn.execute(
            update(Player)
            .where(Player.first_name == "Jaxon")
            .values(second_parent_id=other, second_share_percent=33)
        )
    billed = await bill(services, cup)
    assert sorted(c.amount_cents for c in billed.charges if c.player_name == "Jaxon Reed") == [3135, 6365]
    assert (await bill(services, cup)).already_billed == 3
    assert (await mint(services, cup)).created == 4
    report = await withdraw(services, cup, "Jaxon Reed")
    assert [each.name for each in report.changed] == ["Jaxon Reed"]
    assert [row[3] for row in await orders(services, cup) if row[0] == "Jaxon"] == ["canceled", "canceled"]


async def test_every_order_gets_its_own_link_and_keeps_the_address(
    services: Services, cup: Cup, stripe: StripeStandIn
) -> None:
    await bill(services, cup)
    assert stripe.requests == []
    assert (await mint(services, cup)).created == 3
    async with services.database.transaction() as conn:
        rows = (
            await conn.execute(
                select(Order.id, Order.stripe_checkout_url, PaymentLink.stripe_payment_link_url)
                .join(PaymentLink, PaymentLink.order_id == Order.id)
                .where(Order.status == "pending")
            )
        ).all()
    assert all(kept == minted is not None for _, kept, minted in rows)
    links = {link["metadata"]["order_id"]: link["url"] for link in stripe.payment_links.values()}
    assert links == {str(order_id): url for order_id, url, _ in rows}
    assert await mint(services, cup) == BackfillReport(0, 0, ())
    assert len(stripe.payment_links) == 3


async def test_a_link_that_fails_stops_nobody_and_is_made_next_time(
    services: Services, cup: Cup, stripe: StripeStandIn
) -> None:
    async with services.database.transaction() as conn:
        # Less than Stripe takes.
        await conn.execute(update(Product).where(Product.name == "Harvest Cup, U10 Gold").values(price_cents=1))
    await bill(services, cup)
    report = await mint(services, cup)
    assert report.created == 2
    assert [failure.missing.player_name for failure in report.failures] == ["Ida Reed"]
    async with services.database.transaction() as conn:
        await conn.execute(update(Order).where(Order.amount_cents == 1).values(amount_cents=7000))
    assert (await mint(services, cup)).created == 1
    assert await services.tournament_minting.missing(cup.club, cup.id) == []


async def test_a_crash_after_stripe_answered_is_mended_by_the_next_run(
    services: Services, cup: Cup, stripe: StripeStandIn
) -> None:
    await bill(services, cup)
    await mint(services, cup)
    async with services.database.transaction() as conn:
        await conn.execute(update(Order).values(stripe_checkout_url=None))
    stripe.faults.add(Fault("drop", executes=True))
    assert (await mint(services, cup)).created == 3
    assert len(stripe.payment_links) == 3


async def test_withdrawn_the_debt_and_the_link_go(services: Services, cup: Cup) -> None:
    await bill(services, cup)
    await mint(services, cup)
    report = await withdraw(services, cup, "Jaxon Reed", "Nobody Here", "Uma Wills")
    assert [each.name for each in report.changed] == ["Jaxon Reed", "Uma Wills"]
    assert [problem.name for problem in report.problems] == ["Nobody Here"]
    async with services.database.transaction() as conn:
        closing = await conn.scalars(text("select task_name from procrastinate_jobs"))
        assert list(closing) == ["close_link"]
        assert "tournament.withdraw" in list(await conn.scalars(select(AuditLog.action)))
    assert [row[3] for row in await orders(services, cup) if row[0] == "Jaxon"] == ["canceled"]
    twice = await withdraw(services, cup, "Jaxon Reed")
    assert (twice.changed, twice.problems[0].reason) == ((), "is not entered in this tournament")
    assert (await bill(services, cup)).already_billed == 2
    # Back in: charged anew, over an order and a link of its own.
    await enter(services, cup, "Jaxon Reed")
    assert [charge.player_name for charge in (await bill(services, cup)).charges] == ["Jaxon Reed"]
    assert (await mint(services, cup)).created == 1


async def test_what_was_paid_stays_paid_and_what_is_half_paid_stays_in(services: Services, cup: Cup) -> None:
    await bill(services, cup)
    await pay(services, 9500, "Jaxon")
    await pay(services, 4000, "Bo")
    report = await withdraw(services, cup, team="U12 Blue")
    assert [each.name for each in report.changed] == ["Jaxon Reed"]
    assert "refund" in report.notes[0].reason
    assert [(problem.name, "Part of this was paid" in problem.reason) for problem in report.problems] == [
        ("Bo Carter", True)
    ]
    assert {row[0]: row[3] for row in await orders(services, cup)} == {
        "Bo": "pending",
        "Ida": "pending",
        "Jaxon": "paid",
    }


async def test_withdrawing_while_billing_never_leaves_a_debt_of_somebody_out(services: Services, cup: Cup) -> None:
    await asyncio.gather(bill(services, cup), withdraw(services, cup, "Jaxon Reed"), bill(services, cup))
    owed = [row for row in await orders(services, cup) if row[0] == "Jaxon" and row[3] == "pending"]
    assert owed == []


async def test_a_blast_makes_the_orders_and_lists_each_childs_own_fee(services: Services, cup: Cup) -> None:
    query = AudienceQuery(EmailType.TOURNAMENT_FEE, tournament_id=cup.id)
    seen = await services.blasts.preview(cup.club, query)
    assert await orders(services, cup) == []
    totals = {recipient.parent_id: recipient.total_cents for recipient in seen.recipients}
    assert totals[cup.books.parent_id] == 9500 + 7000
    assert [skipped.words for skipped in seen.skipped] == [
        f"Ana Lopez: {NO_TEAM}",
        f"Mia Lopez: {NO_FEE}",
        f"Uma Wills: {NOT_SIGNED}",
    ]
    blast_id, audience = await services.blasts.draft(cup.club, query, note="", requested_by="U1")
    assert audience.total_cents == seen.total_cents
    async with services.database.transaction() as conn:
        statuses = await conn.scalars(select(BlastRecipient.status).where(BlastRecipient.blast_id == blast_id))
        assert sorted(statuses) == ["pending", "pending", "skipped", "skipped", "skipped"]
        assert await conn.scalar(select(Blast.audience)) == {"tournament_id": cup.id}


async def test_a_family_that_is_left_out_for_one_child_is_mailed_about_the_other(
    services: Services, cup: Cup
) -> None:
    async with services.database.transaction() as conn:
        await conn.execute(update(Player).where(Player.first_name == "Ida").values(team_id=None))
    query = AudienceQuery(EmailType.TOURNAMENT_FEE, tournament_id=cup.id)
    blast_id, audience = await services.blasts.draft(cup.club, query, note="", requested_by="U1")
    assert f"Ida Reed: {NO_TEAM}" in [skipped.words for skipped in audience.skipped]
    async with services.database.transaction() as conn:
        status = await conn.scalar(
            select(BlastRecipient.status).where(
                BlastRecipient.blast_id == blast_id, BlastRecipient.parent_id == cup.books.parent_id
            )
        )
    assert status == "pending"


async def test_a_test_mail_bills_that_family_only(services: Services, cup: Cup) -> None:
    query = AudienceQuery(EmailType.TOURNAMENT_FEE, tournament_id=cup.id, email="PAT@example.com")
    _, audience = await services.blasts.start(cup.club, query, note="", requested_by="cli")
    assert [recipient.parent_id for recipient in audience.recipients] == [cup.books.parent_id]
    assert {row[0] for row in await orders(services, cup)} == {"Jaxon", "Ida"}
    assert audience.skipped == []


async def test_a_big_tournament_costs_the_same_statements(services: Services, cup: Cup) -> None:
    costs = []
    for name, players in (("small", 3), ("big", 300)):
        async with services.database.transaction() as conn:
            team = await add(conn, Team, tenant_id=cup.club.id, name=name)
            await conn.execute(
                text(
                    "insert into players (tenant_id, parent_id, team_id, first_name, last_name, contract_status) "
                    "select :tenant, :parent, :team, 'P' || n, :name, 'signed' from generate_series(1, :players) n"
                ),
                {
                    "tenant": cup.club.id,
                    "parent": cup.books.parent_id,
                    "team": team,
                    "name": name,
                    "players": players,
                },
            )
            made = await add_tournament(conn, cup.club, name, DAY, {name: 5000}, actor="cli")
            with counted(services.database) as statements:
                await enter_tournament(conn, cup.club, made.tournament_id, Wanted(teams=(name,)), actor="cli")
                billed = await bill_tournament(conn, cup.club, made.tournament_id)
            assert len(billed.charges) == players
            costs.append(len(statements))
    assert costs[0] == costs[1] <= 10
