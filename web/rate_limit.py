"""How often one address may ask for what strangers can reach.

Each process counts for itself: it keeps one sender from taking the database and Stripe's rate away from the
families, and is no means of telling who somebody is. Requests of Stripe and Slack are signed and never limited.
"""

import ipaddress
import math

from starlette.requests import Request
from throttled import Throttled
from throttled.constants import RateLimiterType
from throttled.rate_limiter import per_min
from throttled.store import MemoryStore

from web.errors import TooManyRequestsError

# A page takes two or three requests, and a clubhouse's families share one address on payment day.
PER_MINUTE = 120
BURST = 120
# The address that was quiet for the longest is forgotten first; all of them take about 10 MB.
MOST_ADDRESSES = 20_000
# Whoever has an IPv6 connection has at least this much of it.
_IPV6_HOUSEHOLD = 64


class RateLimit:
    """Lets each address make `burst` requests at once, and `per_minute` in the long run."""

    def __init__(
        self, per_minute: int = PER_MINUTE, burst: int = BURST, most_addresses: int = MOST_ADDRESSES
    ) -> None:
        self._throttled = Throttled(
            using=RateLimiterType.GCRA.value,
            quota=per_min(per_minute, burst=burst),
            store=MemoryStore(options={"MAX_SIZE": most_addresses}),
        )

    async def check(self, request: Request) -> None:
        """Count a request (a FastAPI dependency).

        Raises:
            TooManyRequestsError: its address has asked too often; says after how many seconds it may again.
        """
        result = self._throttled.limit(sender_of(request))
        if result.limited:
            raise TooManyRequestsError(max(1, math.ceil(result.state.retry_after)))


def sender_of(request: Request) -> str:
    """Return whom a request counts for: an IPv4 address, or the network of an IPv6 household.

    It is the connection's other end or, behind one of `TRUSTED_PROXIES`, whom that names.
    """
    host = request.client.host if request.client else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address), _IPV6_HOUSEHOLD), strict=False))
