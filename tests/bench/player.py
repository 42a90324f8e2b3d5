"""`/player` with the whole family card, in clubs of three sizes, against a no-op Bolt listener."""

import hashlib
import hmac
import time
import urllib.parse
from collections import Counter
from contextlib import ExitStack

from tests.bench.ground import database, fill
from tests.bench.load import Request
from tests.bench.servers import COACH, SIGNING_SECRET, TEAM
from tests.bench.serving import AT_ONCE, Contestant, in_turn, server
from tests.bench.tables import timing_table

LOOKUPS = 3000
SIZES = (1000, 100_000, 1_000_000)
PATH = "/slack/events"
NO_OPS = {
    "no_op_slack": "no-op Bolt listener, as its documentation sets it up",
    "bare_slack": "no-op Bolt listener, all left out that can be",
}


def lookups(names: list[tuple[str, str]]) -> list[Request]:
    """Signed `/player` commands for players spread over the whole club."""
    # Namesakes are answered with a list to pick from, and there are more of them in a larger club.
    once = [name for name, players in Counter(names).items() if players == 1]
    step = max(len(once) // LOOKUPS, 1)
    chosen = (once[::step] * (LOOKUPS // len(once[::step]) + 1))[:LOOKUPS]
    return [_signed(f"{first} {last}") for first, last in chosen]


def _signed(text: str) -> Request:
    form = {
        "command": "/player",
        "text": text,
        "team_id": TEAM,
        "user_id": COACH,
        "channel_id": "C0",
        "api_app_id": "A0",
        "trigger_id": "1.2.3",
        "response_url": "http://127.0.0.1:9/r",
    }
    body = urllib.parse.urlencode(form).encode()
    stamp = str(int(time.time()))
    digest = hmac.new(SIGNING_SECRET.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
    headers = {
        "X-Slack-Request-Timestamp": stamp,
        "X-Slack-Signature": f"v0={digest}",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    return Request(body, headers)


async def run() -> str:
    """Measure clubs of three sizes by turns; filling the largest takes minutes."""
    with ExitStack() as stack:
        grounds = [stack.enter_context(database()) for _ in SIZES]
        asked = [lookups(fill(url, players)) for players, (url, _) in zip(SIZES, grounds, strict=True)]
        contestants = [
            Contestant(words, asked[0], server(name, *grounds[0], PATH)) for name, words in NO_OPS.items()
        ]
        contestants += [
            Contestant(f"/player among {players:,}, whole card", requests, server("sideline", *ground, PATH))
            for players, requests, ground in zip(SIZES, asked, grounds, strict=True)
        ]
        return timing_table(f"/player, {AT_ONCE} at a time, one process", await in_turn(contestants))
