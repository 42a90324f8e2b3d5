"""Keeping under the limits of outside services, across all processes."""

import asyncio

from sqlalchemy import text

from core.database import Database

# One row a key holds when the next call may start. The update hands each caller a slot of its own.
_TAKE_SLOT = text("""
    insert into rate_slots as slot (key, next_at)
    values (:key, clock_timestamp() + make_interval(secs => :interval))
    on conflict (key) do update
        set next_at = greatest(slot.next_at, clock_timestamp()) + make_interval(secs => :interval)
    returning extract(epoch from next_at - make_interval(secs => :interval) - clock_timestamp())
""")


class Pacer:
    """Hands out the moments at which calls may start."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def wait(self, key: str, per_second: float) -> None:
        """Wait for the next free slot of `key`, of which there are `per_second`."""
        async with self._database.transaction() as conn:
            delay = await conn.scalar(_TAKE_SLOT, {"key": key, "interval": 1 / per_second})
        if delay is not None and delay > 0:
            await asyncio.sleep(float(delay))
