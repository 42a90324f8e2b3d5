"""What every benchmark stands on: a PostgreSQL as in real life, and a filled club."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL, Engine, make_url

from core.embedded_postgres import start_embedded, stop_embedded
from core.schema_version import migrate
from tests.core.made_up_names import made_up_players

CLUB = """
insert into tenants (name, slack_team_id) values ('Bench FC', 'T0BENCH');
insert into teams (tenant_id, name) select 1, 'Team ' || n from generate_series(1, 500) n;
insert into parents (tenant_id, first_name, last_name, email)
    select 1, 'Parent', 'No' || n, 'parent' || n || '@example.com' from generate_series(1, %(families)s) n;
insert into products (tenant_id, category, name, price_cents, period)
    values (1, 'monthly', 'Monthly fee, Dec 2026, $150', 15000, '2026-12');
"""
ORDERS = """
insert into orders (tenant_id, player_id, parent_id, product_id, amount_cents, due_date)
    select 1, id, parent_id, 1, 15000, '2026-12-01' from players;
insert into payment_links (tenant_id, player_id, parent_id, product_id, amount_cents, order_id,
        stripe_payment_link_id, stripe_payment_link_url)
    select 1, player_id, parent_id, 1, 15000, id, 'plink_' || id, 'https://buy.example/' || id from orders;
"""
# PostgreSQL's own default is for the smallest of machines; its documentation asks for a quarter of the memory.
SHARED_BUFFERS = "1GB"


@contextlib.contextmanager
def database() -> Iterator[tuple[URL, Path]]:
    """A PostgreSQL with its durability on, as in real life, at the newest schema; and its folder."""
    folder = Path(tempfile.mkdtemp(prefix="sideline-bench-"))
    url = make_url(start_embedded(folder)).set(drivername="postgresql+psycopg")
    with engine_of(url) as engine, engine.connect() as connection:
        connection.execute(text(f"alter system set shared_buffers = '{SHARED_BUFFERS}'"))
    stop_embedded(folder)
    start_embedded(folder)
    migrate(url)
    try:
        yield url, folder
    finally:
        stop_embedded(folder)
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def engine_of(url: URL) -> Iterator[Engine]:
    """Give a way to run statements, each on its own."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    try:
        yield engine
    finally:
        engine.dispose()


FILLED = ("tenants", "teams", "parents", "products", "players", "player_search", "orders", "payment_links")


def fill(url: URL, players: int, *, to_a_family: int = 1) -> list[tuple[str, str]]:
    """Make a club with so many players, each of whom owes one monthly fee and has a link; returns their names."""
    names = made_up_players(players, seed=1)
    with engine_of(url) as engine, engine.connect() as connection:
        cursor = connection.connection.cursor()
        cursor.execute(CLUB % {"families": -(-players // to_a_family)})
        with cursor.copy(
            "copy players (tenant_id, parent_id, team_id, first_name, last_name, contract_status) from stdin"
        ) as copy:
            for number, (first, last) in enumerate(names):
                # Two of a family have two names.
                place = number % to_a_family
                own = f"{first} {'ABCDEFGH'[place]}." if place else first
                copy.write_row((1, number // to_a_family + 1, number % 500 + 1, own, last, "signed"))
        cursor.execute(ORDERS)
        # Not those that are empty still: plans for a table that was empty when it was analyzed count on its
        # staying so, and in real life autovacuum looks at it again a minute later.
        connection.execute(text(f"vacuum analyze {', '.join(FILLED)}"))
        # What is still to be written then is not written while something is measured.
        connection.execute(text("checkpoint"))
    return names
