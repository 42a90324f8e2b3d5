"""What the database itself keeps apart, also where a statement forgets whose rows it wants."""

import asyncio
from collections.abc import Iterator

import pytest
from sqlalchemy import create_engine, insert, select, text, update
from sqlalchemy.engine import URL, Engine
from sqlalchemy.exc import DBAPIError, IntegrityError

from core.database import Database
from core.errors import SettingsError
from core.job_tenants import _TENANT_OF, FOR_ALL_CLUBS, JobTenants
from core.jobs import TASKS
from core.models import Base, Order, Parent, Player, Tenant
from core.player_search import PlayerSearch
from core.schema_version import migrate
from core.tenancy import TENANT_ROLE, current_tenant, enter_tenant, tenant_scope
from tests.tenants.conftest import TwoClubs

# Why a table may be seen from every club's scope, or from none.
WITHOUT_POLICY = {
    "stripe_events": "stored before it is known whose it is; the bytes are out of reach",
    "stripe_refunds": "may be told before the payment; Stripe's ids and amounts alone",
    "stripe_disputes": "may be told before the payment; Stripe's ids and amounts alone",
    "rate_slots": "the pace is shared on purpose",
    "procrastinate_jobs": "the queue: ids, enqueued in a club's own transaction",
    "procrastinate_events": "the queue's own",
    "procrastinate_periodic_defers": "the queue's own",
    "procrastinate_workers": "the queue's own; no grant",
    "slack_bots": "every workspace's token, encrypted: no grant at all",
    "slack_installations": "every workspace's token, encrypted: no grant at all",
    "slack_oauth_states": "no grant at all",
    "alembic_version": "no grant at all",
}
NEVER_IN_SCOPE = ("slack_bots", "slack_installations", "slack_oauth_states", "alembic_version")


async def test_every_table_has_a_policy_or_a_reason(database: Database) -> None:
    async with database.transaction() as conn:
        rows = await conn.execute(
            text(
                """
                select c.relname, c.relrowsecurity and exists (
                    select from pg_policy p where p.polrelid = c.oid and p.polroles = array[:role::regrole::oid]
                )
                from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
            """.replace(":role", f"'{TENANT_ROLE}'")
            )
        )
        protected = {name: bool(is_protected) for name, is_protected in rows}
    assert {name for name, is_protected in protected.items() if not is_protected} == set(WITHOUT_POLICY)


def test_every_table_that_says_whose_it_is_is_protected() -> None:
    tables = {name for name, table in Base.metadata.tables.items() if "tenant_id" in table.c}
    assert not tables & set(WITHOUT_POLICY)


async def test_a_later_table_is_not_forgotten(database: Database) -> None:
    async with database.transaction() as conn:
        await conn.execute(text("create table later (id bigint)"))
    with tenant_scope(1):
        async with database.transaction() as conn:
            assert (await conn.execute(text("select * from later"))).all() == []


async def test_a_query_that_forgets_its_club_sees_one(two: TwoClubs) -> None:
    for tenant_id, name in ((two.here.tenant_id, "Zebedee"), (two.there.tenant_id, "Jaxon")):
        with tenant_scope(tenant_id):
            async with two.database.transaction() as conn:
                assert set(await conn.scalars(select(Order.tenant_id))) == {tenant_id}
                assert set(await conn.scalars(select(Player.first_name))) == {name}
                assert list(await conn.scalars(select(Tenant.id))) == [tenant_id]
            async with two.database.reading() as conn:
                assert set(await conn.scalars(select(Parent.tenant_id))) == {tenant_id}
    async with two.database.transaction() as conn:
        assert len(set(await conn.scalars(select(Order.tenant_id)))) == 2


@pytest.mark.parametrize("table", ["payments", "order_history", "checkout_attempts", "blast_recipients"])
async def test_what_belongs_through_another_table_is_kept_apart_too(two: TwoClubs, table: str) -> None:
    await two.fill()
    counts = []
    for tenant_id in (two.here.tenant_id, two.there.tenant_id, None):
        with tenant_scope(tenant_id):
            async with two.database.transaction() as conn:
                counts.append(await conn.scalar(text(f"select count(*) from {table}")))
    assert counts == [1, 1, 2]


async def test_nothing_of_the_other_clubs_can_be_changed(two: TwoClubs) -> None:
    with tenant_scope(two.here.tenant_id):
        async with two.database.transaction() as conn:
            changed = await conn.execute(update(Order).values(amount_cents=1))
            assert changed.rowcount == 1
            words = text("delete from name_words where tenant_id = :id")
            deleted = await conn.execute(words, {"id": two.there.tenant_id})
            assert deleted.rowcount == 0
        intruder = {"tenant_id": two.there.tenant_id, "first_name": "In", "last_name": "Truder"}
        async with two.database.transaction(keep=False) as conn:
            with pytest.raises(DBAPIError, match="row-level security"):
                await conn.execute(insert(Parent).values(**intruder))
    async with two.database.transaction() as conn:
        amount = await conn.scalar(select(Order.amount_cents).where(Order.tenant_id == two.there.tenant_id))
    assert amount == 15000


@pytest.mark.parametrize("table", NEVER_IN_SCOPE)
async def test_no_club_sees_tokens(two: TwoClubs, table: str) -> None:
    with tenant_scope(two.here.tenant_id), pytest.raises(DBAPIError, match="permission denied"):
        async with two.database.transaction() as conn:
            await conn.execute(text(f"select * from {table}"))


async def test_an_events_bytes_are_out_of_reach(two: TwoClubs) -> None:
    with tenant_scope(two.here.tenant_id), pytest.raises(DBAPIError, match="permission denied"):
        async with two.database.transaction() as conn:
            await conn.execute(text("select payload from stripe_events"))


async def test_the_search_finds_ones_own_with_its_index(two: TwoClubs) -> None:
    with tenant_scope(two.here.tenant_id):
        async with two.database.reading() as conn:
            result = await PlayerSearch().find(conn, two.here.tenant_id, "zebedee")
            assert [hit.player_id for hit in result.hits] == [two.here.player_id]
            # Asked for another club's by mistake, it finds nobody.
            assert (await PlayerSearch().find(conn, two.there.tenant_id, "jaxon")).hits == ()
            await conn.execute(text("set local enable_seqscan = off"))
            begins = "document @@ cast('jaxon' as tsquery)"
            plan = await conn.scalars(text(f"explain select player_id from searchable_players where {begins}"))
            assert any("ix_player_search_document" in line for line in plan)


async def test_a_scope_ends_with_its_transaction(two: TwoClubs) -> None:
    """Connections go back to a pool that everybody shares."""

    async def look(tenant_id: int | None) -> set[int]:
        with tenant_scope(tenant_id):
            async with two.database.reading() as conn:
                return set(await conn.scalars(select(Order.tenant_id)))

    here, there = two.here.tenant_id, two.there.tenant_id
    wanted = [here, there, None] * 40
    found = await asyncio.gather(*map(look, wanted))
    for tenant, each in zip(wanted, found, strict=True):
        assert each == ({tenant} if tenant else {here, there})
    with tenant_scope(here):
        async with two.database.transaction(keep=False) as conn:
            with pytest.raises(DBAPIError):
                await conn.execute(text("select 1 / 0"))
    assert await look(None) == {here, there}
    assert current_tenant() is None


def test_a_door_may_learn_it_on_the_way() -> None:
    with tenant_scope(None):
        enter_tenant(7)
        assert current_tenant() == 7
    assert current_tenant() is None


def test_every_task_says_whose_it_is() -> None:
    assert set(_TENANT_OF) | FOR_ALL_CLUBS >= set(TASKS)


async def test_a_job_is_its_rows_clubs(two: TwoClubs) -> None:
    await two.fill()
    tenants = JobTenants(two.database)
    for books in (two.here, two.there):
        ids = two.filled[books.tenant_id]
        for _ in range(2):
            assert await tenants.tenant_of("send_blast_mail", {"blast_id": ids["blast"]}) == books.tenant_id
        assert await tenants.tenant_of("send_receipts", {"payment_id": ids["payment"]}) == books.tenant_id
        assert await tenants.tenant_of("tell_person", {"tenant_id": books.tenant_id}) == books.tenant_id
    assert await tenants.tenant_of("send_mail", {"email_log_id": 12345}) is None
    assert await tenants.tenant_of("start_reminders", {}) is None


@pytest.fixture
def as_owner(postgres: tuple[URL, Engine]) -> Iterator[tuple[URL, Engine]]:
    """A database of an ordinary user who may make roles, as on a server of one's own."""
    url, admin = postgres
    with admin.connect() as conn:
        conn.execute(text("create role plain_owner login createrole"))
        conn.execute(text("create database owned owner plain_owner"))
    yield url.set(username="plain_owner", database="owned"), admin
    with admin.connect() as conn:
        conn.execute(text("drop database owned with (force)"))
        conn.execute(text(f"revoke {TENANT_ROLE} from plain_owner cascade"))
        conn.execute(text("drop owned by plain_owner"))
        conn.execute(text("drop role plain_owner"))


async def test_it_holds_for_an_ordinary_owner(as_owner: tuple[URL, Engine]) -> None:
    url, admin = as_owner
    with pytest.raises(SettingsError, match=f"grant {TENANT_ROLE} to plain_owner"):
        await asyncio.to_thread(migrate, url)
    with admin.connect() as conn:
        # What the message says, run by an administrator: the role is there already.
        conn.execute(text(f"grant {TENANT_ROLE} to plain_owner"))
    await asyncio.to_thread(migrate, url)
    database = Database(url)
    two = await TwoClubs.open(database)
    with tenant_scope(two.here.tenant_id):
        async with database.transaction() as conn:
            assert set(await conn.scalars(select(Order.tenant_id))) == {two.here.tenant_id}
    async with database.transaction() as conn:
        assert len(list(await conn.scalars(select(Order.tenant_id)))) == 2
    await database.close()
    await asyncio.to_thread(migrate, url, "base")
    engine = create_engine(url)
    with engine.connect() as conn:
        assert conn.scalar(text("select count(*) from pg_policy")) == 0
    engine.dispose()


async def test_a_constraint_is_still_one(two: TwoClubs) -> None:
    """What refers across clubs is refused below the policies, too."""
    with pytest.raises(IntegrityError):
        async with two.database.transaction() as conn:
            await conn.execute(
                update(Player).where(Player.id == two.here.player_id).values(parent_id=two.there.parent_id)
            )
