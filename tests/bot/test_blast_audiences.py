"""First payments and tournaments as audiences of `/blast`, from the window to the mailbox."""

from datetime import date

import pytest
from sqlalchemy import func, select, update

from core.audiences import AudienceQuery
from core.club import Club as Tenant
from core.club import club_by_id
from core.models import Order, Player
from core.models.statuses import EmailType
from core.tournament_entries import Wanted, enter_tournament
from core.tournaments import add_tournament
from sandbox.slack import View
from tests.bot.conftest import ADMIN, APPROVALS, TREASURER, Club, add_family
from tests.bot.test_blast import opened, press
from tests.bot.test_player import words


@pytest.fixture
async def cup(club: Club) -> int:
    """A cup that the Blue team pays for; somebody of another team is in it too."""
    services, here = club.services, await tenant(club)
    async with services.database.transaction() as conn:
        made = await add_tournament(conn, here, "Harvest *Cup*", date(2027, 3, 6), {"U12 Blue": 9500}, actor="cli")
    await add_family(services, club.books, "No Team", "Max Teamless", status="paid")
    async with services.database.transaction() as conn:
        await conn.execute(update(Player).where(Player.last_name == "Teamless").values(team_id=None))
        everyone = Wanted(teams=("U12 Blue",), names=("Max Teamless",))
        await enter_tournament(conn, here, made.tournament_id, everyone, actor="cli")
    return made.tournament_id


async def tenant(club: Club) -> Tenant:
    async with club.services.database.transaction() as conn:
        return await club_by_id(conn, club.books.tenant_id)


async def chosen(club: Club, audience: str, expected: str) -> View:
    view = await opened(club)
    await club.slack.select(ADMIN, view, "blast_audience", audience)
    assert await club.slack.workspace.wait_until(lambda: expected in str(view.content), 30), str(view.content)
    return view


async def orders(club: Club) -> int:
    async with club.services.database.transaction() as conn:
        return int(await conn.scalar(select(func.count()).select_from(Order)) or 0)


async def test_a_tournament_is_mailed_to_who_is_in_it(club: Club, cup: int) -> None:
    before = await orders(club)
    view = await chosen(club, "Tournament: Harvest *Cup*", "*4 families* would get a mail, asking for *$475.00*")
    assert "in no team, so there is no fee: 1 player (Max Teamless)" in str(view.content)
    assert await orders(club) == before
    assert (await club.slack.submit(ADMIN, view)).errors == {}
    assert await orders(club) == before + 5
    await club.drain()
    message = await club.slack.wait_for_message(APPROVALS)
    asked = words(message)
    assert "Tournament fee blast" in asked
    assert "Everyone in Harvest" in asked
    assert "Max Teamless: in no team" in asked
    await press(club, message, "blast_approve", TREASURER)
    assert len(club.mailbox.messages) == 4
    siblings = next(mail for mail in club.mailbox.messages if mail.envelope_to == ("mia@example.com",))
    assert "tournament fee for Ana and Bo ($190.00)" in siblings.subject
    for body in (siblings.text, siblings.html):
        assert body.count("Harvest *Cup*, U12 Blue") >= 2
        assert body.count("/pay/") == 2


@pytest.mark.parametrize("skips", [False, True])
async def test_a_first_payment_leads_to_its_own_address(club: Club, skips: bool) -> None:
    async with club.services.database.transaction() as conn:
        await conn.execute(update(Order).values(status="canceled", product_id=None))
        await conn.execute(update(Player).values(contract_status="sent"))
        await conn.execute(
            update(Player)
            .where(Player.id == club.books.player_id)
            .values(contract_status="signed", contract_date=date(2026, 12, 16))
        )
    if skips:
        query = AudienceQuery(EmailType.FIRST_PAYMENT, skip_proration=True)
        await club.services.blasts.start(await tenant(club), query, note="", requested_by="cli")
        await club.drain()
    else:
        view = await chosen(club, "First payment", "*1 family* would get a mail, asking for *$77.42*")
        assert (await club.slack.submit(ADMIN, view)).errors == {}
        await club.drain()
        message = await club.slack.wait_for_message(APPROVALS)
        assert "signed, with the first month to pay" in words(message)
        await press(club, message, "blast_approve", TREASURER)
    (mail,) = club.mailbox.messages
    assert ("$150.00" if skips else "$77.42") in mail.subject
    for body in (mail.text, mail.html):
        assert "/checkout/first-payment?token=" in body
        assert f"prorate={'false' if skips else 'true'}" in body
        assert "/pay/" not in body
        assert ("Dec 16 to Dec 31: 16 of 31 days of $150.00" in body) is not skips
        assert ("$77.42" in body) is not skips


async def test_unsigned_contracts_leave_nobody_to_mail(club: Club, cup: int) -> None:
    view = await opened(club)
    async with club.services.database.transaction() as conn:
        await conn.execute(update(Player).values(contract_status="sent"))
    await club.slack.select(ADMIN, view, "blast_audience", "Tournament: Harvest *Cup*")
    assert await club.slack.workspace.wait_until(lambda: "Nobody would get a mail" in str(view.content), 30)
    assert "the contract is not signed: 5 players" in str(view.content)
    refused = await club.slack.submit(ADMIN, view)
    assert "Nobody in this audience" in refused.errors["blast_audience"]
