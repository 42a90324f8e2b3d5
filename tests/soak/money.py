"""The account of the money: Stripe's books beside ours, and what the channel was told of them."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from bot.notices import REPEATED, notice_text
from core.database import Database
from core.notice_facts import load_posted
from sandbox.sample import PAYMENTS
from sandbox.world import World
from tests.soak.postgres import Row, Store
from tests.soak.tally import Tally


@dataclass(slots=True)
class Expected:
    """What Stripe's books say of one order, in cents."""

    received: int = 0
    returned: int = 0
    is_processing: bool = False
    is_disputed: bool = False
    intents: list[str] = field(default_factory=list)

    def status(self, amount_cents: int) -> str:
        """What our order's status has to be."""
        if self.is_disputed:
            return "disputed"
        if self.received and self.received - self.returned >= amount_cents:
            return "paid"
        if self.returned:
            return "refunded" if self.returned >= self.received else "partially_refunded"
        return "processing" if self.is_processing else "pending"


class MoneyAccount:
    """Checks the money, and what the channel was told since the last time."""

    def __init__(self, world: World, store: Store, database: Database, tally: Tally) -> None:
        self._world, self._store, self._database, self._tally = world, store, database, tally
        self._calls, self._notice, self._counted = 0, 0, 0
        self._told, self._first, self._again = Counter[str](), Counter[str](), Counter[str]()

    async def check(self) -> list[str]:
        """Return everything that is not as it has to be."""
        problems = [*await self._check_ledger(), *await self._check_statuses(), *await self._check_told()]
        problems += await self._check_posts()
        return problems

    async def _check_ledger(self) -> list[str]:
        """Each payment, refund and lost dispute of Stripe's is in our books exactly once, over the same amount."""
        stripe = self._world.stripe
        theirs = Counter[tuple[str, int]]()
        taken = [intent for intent in stripe.payment_intents.values() if intent["status"] == "succeeded"]
        self._tally.found["payments"] += len(taken) - self._counted
        self._counted = len(taken)
        for intent in taken:
            theirs[intent["id"], intent["amount_received"]] += 1
        for refund in stripe.books.refunds.values():
            if refund["status"] == "succeeded" and _is_of_an_order(
                stripe.payment_intents[refund["payment_intent"]]
            ):
                theirs[refund["id"], -refund["amount"]] += 1
        for dispute in stripe.books.disputes.values():
            if dispute["status"] == "lost" and _is_of_an_order(stripe.payment_intents[dispute["payment_intent"]]):
                theirs[dispute["id"], -dispute["amount"]] += 1
        ours = Counter[tuple[str, int]]()
        for row in await self._store.rows("""
            select coalesce(stripe_refund_id, stripe_payment_intent_id) as id, amount_cents from payments
            union all select stripe_payment_intent_id, amount_cents from unmatched_payments
        """):
            ours[row["id"], row["amount_cents"]] += 1
        return [
            f"{stripe_id} over {cents} cents is in Stripe's books {theirs[stripe_id, cents]} time(s), "
            f"in ours {ours[stripe_id, cents]}"
            for stripe_id, cents in sorted(theirs.keys() | ours.keys())
            if theirs[stripe_id, cents] != ours[stripe_id, cents] and not self._is_put_back(stripe_id)
        ]

    def _is_put_back(self, stripe_id: str) -> bool:
        """A refund that failed after it was entered is entered a second time, as money that came back."""
        refund = self._world.stripe.books.refunds.get(stripe_id)
        return refund is not None and refund["status"] == "failed"

    async def _check_statuses(self) -> list[str]:
        expected = self._expected()
        rows = await self._store.rows("select id, amount_cents, status from orders where status <> 'canceled'")
        return [
            f"order {row['id']} is {row['status']}, by Stripe's books it has to be {wanted}: {expected[row['id']]}"
            for row in rows
            if (wanted := expected[row["id"]].status(row["amount_cents"])) != row["status"]
        ]

    def _expected(self) -> defaultdict[int, Expected]:
        stripe, expected = self._world.stripe, defaultdict[int, Expected](Expected)
        of_intent: dict[str, Expected] = {}
        for intent in stripe.payment_intents.values():
            if not _is_of_an_order(intent):
                continue
            order = of_intent[intent["id"]] = expected[int(intent["metadata"]["order_id"])]
            order.intents.append(intent["id"])
            order.received += intent["amount_received"]
            order.is_processing |= intent["status"] == "processing"
        for refund in stripe.books.refunds.values():
            if refund["status"] == "succeeded" and refund["payment_intent"] in of_intent:
                of_intent[refund["payment_intent"]].returned += refund["amount"]
        for dispute in stripe.books.disputes.values():
            if dispute["status"] != "won" and dispute["payment_intent"] in of_intent:
                of_intent[dispute["payment_intent"]].is_disputed = True
                of_intent[dispute["payment_intent"]].returned += dispute["amount"] * (dispute["status"] == "lost")
        return expected

    async def _check_told(self) -> list[str]:
        """Each payment and each refund that went through has a notice, and every notice was posted."""
        unsent = await self._store.rows("select id, kind, key, status, error from notices where status <> 'sent'")
        silent = await self._store.rows("""
            select 'payment' as what, p.id::text as id from payments p
            where p.stripe_refund_id is null and p.stripe_payment_intent_id is not null
                and (select count(*) from notices n where n.kind in ('payment', 'second_payment')
                    and (n.facts ->> 'payment_id')::bigint = p.id) <> 1
            union all
            select 'refund', r.id from stripe_refunds r
            join payments p on p.stripe_refund_id = r.id and p.amount_cents < 0
            where not exists (
                select from notices n where n.kind = 'refund' and n.facts ->> 'refund_id' = r.id
            )
        """)
        return [f"notice not posted: {row}" for row in unsent] + [
            f"{row['what']} {row['id']} is not announced exactly once" for row in silent
        ]

    async def _check_posts(self) -> list[str]:
        """What the channel got is these notices: each once, or again where it says so.

        Of the whole season, not of the round: a job that was taken over from a worker that only seemed dead may be
        over in the queue's eyes while that worker still waits for its turn at Slack, and repeats it in the next.
        """
        calls = self._world.slack.api_calls[self._calls :]
        self._calls = len(self._world.slack.api_calls)
        for call in calls:
            if (
                call.method == "chat.postMessage"
                and call.args.get("channel") == PAYMENTS
                and _is_done(call.answer)
            ):
                is_repeat = REPEATED in json.dumps(call.args)
                (self._again if is_repeat else self._first)[str(call.args["text"])] += 1
                self._tally.found["notices that say “Sent again”"] += is_repeat
        told = await self._new_notices()
        self._told += told
        self._tally.found["notices"] += told.total()
        return list(_compare(self._told, self._first, self._again))

    async def _new_notices(self) -> Counter[str]:
        rows = await self._store.rows("select id from notices where id > %(id)s order by id", id=self._notice)
        texts = Counter[str]()
        for row in rows:
            async with self._database.transaction() as conn:
                posted = await load_posted(conn, row["id"])
            if posted is not None:
                texts[notice_text(posted.view)] += 1
            self._notice = row["id"]
        return texts


def _compare(told: Counter[str], first: Counter[str], again: Counter[str]) -> Iterator[str]:
    for text in sorted(told.keys() | first.keys() | again.keys()):
        if first[text] > told[text] or first[text] + again[text] < told[text] or not told[text]:
            yield (
                f"the channel got “{text}” {first[text]} time(s), and {again[text]} more that say “Sent again”; "
                f"our books have {told[text]} such notice(s)"
            )


def _is_of_an_order(intent: Row) -> bool:
    return "order_id" in intent["metadata"]


def _is_done(answer: object) -> bool:
    return isinstance(answer, dict) and bool(answer.get("ok"))
