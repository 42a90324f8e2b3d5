"""What every command starts from: settings, a database at the right schema, services, the chosen club."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from sqlalchemy.engine import URL

from core.club import Club, choose_club
from core.database import Database, database_url
from core.schema_version import migrate
from core.services import Services, build_services
from core.settings import Settings, load_settings
from core.tenancy import tenant_scope

T = TypeVar("T")


def prepare_database(settings: Settings) -> URL:
    """Return the database's URL; the embedded one is brought to the newest schema, being ours alone."""
    url = database_url(settings)
    if settings.database_url is None:
        migrate(url)
    return url


@asynccontextmanager
async def opened_services() -> AsyncIterator[Services]:
    """Give everything a command needs, at a checked schema, and give it back afterwards.

    Raises:
        SettingsError, SchemaOutdatedError
    """
    settings = load_settings()
    services = build_services(settings, await asyncio.to_thread(prepare_database, settings))
    try:
        await services.database.check_schema()
        yield services
    finally:
        await services.close()


async def chosen_club(services: Services, name: str | None) -> Club:
    """Return the club that a command is about."""
    async with services.database.transaction() as conn:
        return await choose_club(conn, name)


def run_for_club(club_name: str | None, work: Callable[[Services, Club], Awaitable[T]]) -> T:
    """Run a command's work for its club in an event loop of its own."""

    async def run() -> T:
        async with opened_services() as services:
            club = await chosen_club(services, club_name)
            with tenant_scope(club.id):
                return await work(services, club)

    return asyncio.run(run())


def open_database(settings: Settings) -> Database:
    """Return the database alone, for commands that must work before the schema is there."""
    return Database(database_url(settings), pool_size=1)
