"""Decisions about mails that meet their sending: one person wins, and nobody is mailed twice."""

from collections import Counter
from datetime import UTC, datetime, timedelta

from sqlalchemy import text, update

from core.audiences import AudienceQuery
from core.club import Club, club_by_id
from core.holds import set_hold
from core.models import Order, Tenant
from core.models.statuses import EmailType
from core.reminder_rules import change_rules, switch
from core.services import Services
from tests.concurrency.interleave import Played, Work
from tests.concurrency.world import Family, Scene, World

EVERYONE = AudienceQuery(EmailType.OUTSTANDING_BALANCE)
RECIPIENTS = "select parent_id, status, error from blast_recipients where blast_id = :blast_id order by parent_id"
OF_BLAST = "select status from blasts where id = :blast_id"
DECIDED = "select action from audit_log where subject = :subject and action <> 'blast.draft' order by id"


async def drafted(world: World, club: Club) -> int:
    blast_id, _ = await world.first.blasts.draft(club, EVERYONE, note="", requested_by="U1")
    return blast_id


def mails(world: World, families: list[Family]) -> Counter[str]:
    """Return how many mails each family got."""
    addresses = {family.email for family in families}
    return Counter(mail.envelope_to[0] for mail in world.mailbox.messages if mail.envelope_to[0] in addresses)


async def check_mailed(world: World, blast_id: int, families: list[Family]) -> None:
    """Make sure that each family was mailed once or left out, and that the blast is over."""
    recipients = await world.rows(RECIPIENTS, blast_id=blast_id)
    sent = {parent_id for parent_id, status, _ in recipients if status == "sent"}
    assert {status for _, status, _ in recipients} <= {"sent", "skipped"}, recipients
    assert mails(world, families) == {family.email: 1 for family in families if family.parent_id in sent}


async def test_two_approvers_and_one_who_cancels(world: World) -> None:
    one, two, three = world.processes

    async def scene() -> Scene:
        club, families = await world.club_of(3)
        blast_id = await drafted(world, club)

        async def check(played: Played) -> None:
            first, second, canceled = [not isinstance(result, Exception) for result in played.results]
            assert first + second + canceled >= 1
            assert first + second <= 1
            actions = await world.rows(DECIDED, subject=f"blast:{blast_id}")
            assert actions == [("blast.approve",)] * (first + second) + [("blast.cancel",)] * canceled
            status = "canceled" if canceled else "done"
            assert await world.rows(OF_BLAST, blast_id=blast_id) == [(status,)]
            await check_mailed(world, blast_id, families)
            assert len(mails(world, families)) == (0 if canceled else 3)

        return Scene(
            (
                lambda: one.blasts.approve(club, blast_id, "U2"),
                lambda: two.blasts.approve(club, blast_id, "U3"),
                lambda: three.blasts.cancel(club, blast_id, "U4"),
            ),
            check,
        )

    await world.rehearse(scene)


async def test_two_drafts_for_the_same_families_are_approved_at_once(world: World) -> None:
    one, two, three = world.processes

    async def scene() -> Scene:
        club, families = await world.club_of(3)
        first, second = await drafted(world, club), await drafted(world, club)

        async def check(played: Played) -> None:
            won = [not isinstance(result, Exception) for result in played.results]
            assert sum(won) == 1, played.results
            decided = [await world.rows(DECIDED, subject=f"blast:{blast_id}") for blast_id in (first, second)]
            assert sorted(decided) == [[], [("blast.approve",)]]
            assert mails(world, families) == {family.email: 1 for family in families}
            statuses = [await world.rows(OF_BLAST, blast_id=blast_id) for blast_id in (first, second)]
            assert sorted(statuses) == [[("done",)], [("draft",)]]

        return Scene(
            (
                lambda: one.blasts.approve(club, first, "U2"),
                lambda: two.blasts.approve(club, second, "U3"),
                lambda: three.blasts.approve(club, second, "U4"),
            ),
            check,
        )

    await world.rehearse(scene)


async def test_a_blast_is_canceled_while_two_workers_send_it_and_both_have_one_mail(world: World) -> None:
    one, two, three = world.processes

    async def scene() -> Scene:
        club, families = await world.club_of(3)
        blast_id = await drafted(world, club)
        await one.blasts.approve(club, blast_id, "U2")
        first, second, third = [family.parent_id for family in families]

        def sending(process: Services, *parents: int) -> Work:
            async def send() -> None:
                for parent_id in parents:
                    await process.blast_sender.send(blast_id, parent_id)

            return send

        async def check(played: Played) -> None:
            (status,) = (await world.rows(OF_BLAST, blast_id=blast_id))[0]
            assert status == ("done" if played.errors else "canceled")
            recipients = await world.rows(RECIPIENTS, blast_id=blast_id)
            # Both workers had the second family: one may have taken the other for dead, and says so.
            by_parent = {parent_id: status for parent_id, status, _ in recipients}
            assert by_parent[second] in {"sent", "skipped"}, recipients
            await check_mailed(world, blast_id, families)

        works = (sending(one, first, second), sending(two, second, third))
        return Scene((*works, lambda: three.blasts.cancel(club, blast_id, "U3")), check)

    await world.rehearse(scene)


async def remind(world: World, club: Club, families: list[Family]) -> Club:
    """Switch on reminders, of which those of what was due yesterday are due now: it is noon at the club."""
    now = datetime.now(UTC)
    ahead = 12 - now.hour
    here = now + timedelta(hours=ahead)
    async with world.first.database.transaction() as conn:
        zone = f"Etc/GMT{-ahead:+d}" if ahead else "Etc/GMT"
        await conn.execute(update(Tenant).where(Tenant.id == club.id).values(time_zone=zone))
        club = await club_by_id(conn, club.id)
        wanted = {"needs_approval": False, "weekdays": tuple(range(1, 8))}
        await change_rules(conn, club, wanted, actor="U1")
        await switch(conn, club, on=True, actor="U1", now=now - timedelta(days=1))
        due = {"due_date": here.date() - timedelta(days=1)}
        ids = [family.order_id for family in families]
        await conn.execute(update(Order).where(Order.id.in_(ids)).values(due))
    return club


async def test_a_hold_is_set_and_a_link_sent_again_while_reminders_go_out(world: World) -> None:
    one, two, three = world.processes

    async def scene() -> Scene:
        club, families = await world.club_of(2)
        club = await remind(world, club, families)
        held, mailed = families
        over = set[str]()
        over_before: set[str] = set()

        async def send_reminders() -> None:
            await one.reminders.run_due(club.id)
            over_before.update(over)
            async with one.database.reading() as conn:
                blasts = list(
                    await conn.scalars(text("select id from blasts where tenant_id = :id"), {"id": club.id})
                )
            for blast_id in blasts:
                for family in families:
                    await one.blast_sender.send(blast_id, family.parent_id)

        async def hold() -> None:
            async with two.database.transaction() as conn:
                await set_hold(conn, club, held.parent_id, None, "Talking", actor="U1", now=datetime.now(UTC))
            over.add("hold")

        async def resend() -> None:
            await three.outbox.resend(club, (mailed.order_id,), "U2")
            over.add("resend")

        async def check(played: Played) -> None:
            assert not played.errors
            counts = mails(world, families)
            of_reminders = await world.rows(
                "select r.parent_id, r.status, r.error from blast_recipients r join blasts b on b.id = r.blast_id"
                " where b.tenant_id = :club",
                club=club.id,
            )
            reminded = {parent_id for parent_id, status, _ in of_reminders if status == "sent"}
            assert {status for _, status, _ in of_reminders} <= {"sent", "skipped"}
            assert counts[held.email] == (held.parent_id in reminded)
            assert counts[mailed.email] == 1 + (mailed.parent_id in reminded)
            if "hold" in over_before:
                assert held.parent_id not in reminded
            if "resend" in over_before:
                assert mailed.parent_id not in reminded

        return Scene((send_reminders, hold, resend), check)

    await world.rehearse(scene)
