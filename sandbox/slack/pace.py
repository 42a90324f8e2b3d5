"""Slack's rate limits: tiers a method, and about one message a second a channel.

Follows Slack's "Rate limits" (docs.slack.dev/apis/web-api/rate-limits).
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

PER_MINUTE = {1: 1, 2: 20, 3: 50, 4: 100}


@dataclass(slots=True)
class _Bucket:
    left: float
    seen: float


class Pace:
    """Token buckets, filled by a monotonic clock.

    Args:
        posts_per_second: how many messages a second a channel takes in the long run.
        post_burst: how many messages a channel takes at once after a pause.
        tiers: whether the per-method tiers hold as well.
        monotonic: seconds from any origin, never going back.
    """

    def __init__(
        self,
        *,
        posts_per_second: float = 1.0,
        post_burst: int = 10,
        tiers: bool = True,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.posts_per_second, self.post_burst, self.tiers = posts_per_second, post_burst, tiers
        self._monotonic = monotonic
        self._buckets: dict[str, _Bucket] = {}

    def wait_for_method(self, method: str, tier: int | None) -> int:
        """Count a call of `method`; 0 when it may go ahead, else the seconds of its Retry-After."""
        if tier is None or not self.tiers:
            return 0
        return self._take(method, PER_MINUTE[tier], PER_MINUTE[tier] / 60)

    def wait_for_post(self, channel: str) -> int:
        """Count a message to `channel`; 0 when it may go ahead, else the seconds of its Retry-After."""
        return self._take(f"channel {channel}", self.post_burst, self.posts_per_second)

    def _take(self, name: str, burst: float, per_second: float) -> int:
        now = self._monotonic()
        bucket = self._buckets.setdefault(name, _Bucket(burst, now))
        bucket.left = min(burst, bucket.left + (now - bucket.seen) * per_second)
        bucket.seen = now
        if bucket.left >= 1:
            bucket.left -= 1
            return 0
        return max(1, math.ceil((1 - bucket.left) / per_second))
