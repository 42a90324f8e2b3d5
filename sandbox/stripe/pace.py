"""Stripe's rate limit on one endpoint (https://docs.stripe.com/rate-limits)."""

import time
from collections import defaultdict, deque
from collections.abc import Callable


class Pace:
    """Counts requests in the second that just passed.

    Args:
        per_second: how many requests an endpoint takes in any one second; None for no limit.
        monotonic: seconds from any origin, never going back.
    """

    def __init__(self, per_second: int | None, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.per_second = per_second
        self._monotonic = monotonic
        self._taken: defaultdict[str, deque[float]] = defaultdict(deque)

    def admits(self, endpoint: str) -> bool:
        """Whether one more request may go ahead now; counts it if so."""
        if self.per_second is None:
            return True
        taken, now = self._taken[endpoint], self._monotonic()
        while taken and now - taken[0] >= 1:
            taken.popleft()
        if len(taken) >= self.per_second:
            return False
        taken.append(now)
        return True
