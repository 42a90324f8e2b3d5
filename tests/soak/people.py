"""What parents, coaches and admins do meanwhile. What a fault keeps from them they let be, as people do."""

import asyncio
import random
import re
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from json import JSONDecodeError

import httpx

from sandbox.sample import ADMIN, APPROVALS, COACH, GENERAL, PAYMENTS, TREASURER
from sandbox.slack import Message, NotPossibleError
from sandbox.stripe import NotPossibleError as NotPayableError
from sandbox.world import ADMIN_TOKEN, STRIPE_KEY, World
from tests.soak.postgres import Store
from tests.soak.processes import Fleet

PAY_LINK = re.compile(r'href="(http[^"]+/pay/[^"]+)"')
# What a person meets on a bad day, and lives with.
BAD_LUCK = (
    NotPossibleError,
    NotPayableError,
    TimeoutError,
    httpx.HTTPError,
    JSONDecodeError,
    KeyError,
    IndexError,
)

# How often somebody tries who meets it with a blast.
PATIENCE = 4

Act = Callable[[random.Random], Awaitable[None]]


class People:
    """Acts by name. Each is given the chance that decides its details."""

    def __init__(self, world: World, fleet: Fleet, store: Store, done: Counter[str]) -> None:
        self._world, self._fleet, self._store, self._done = world, fleet, store, done
        self.complaints: list[str] = []
        self.acts: dict[str, Act] = {
            "payments": self.payments,
            "clicks": self.clicks,
            "blast by Slack": self.blast_by_slack,
            "blast by HTTP": self.blast_by_http,
            "blast by terminal": self.blast_by_terminal,
            "failed mails again": self.retry_failed,
            "backfill": self.backfill,
            "re-sends": self.resends,
            "refund by button": self.refund_by_button,
        }

    async def act(self, name: str, rng: random.Random) -> None:
        """Do one of them, as far as it can be done today."""
        self._done[f"{name} tried"] += 1
        with suppress(*BAD_LUCK):
            await self.acts[name](rng)

    # --- parents ------------------------------------------------------------------------------------------------

    async def payments(self, rng: random.Random) -> None:
        """A burst of payments: by card and bank, twice over, given back, disputed, and of another program."""
        links = [link["id"] for link in self._world.stripe.payment_links.values() if link["active"]]
        chosen = rng.sample(links, min(len(links), rng.randint(4, 14)))
        await asyncio.gather(*(self._family_pays(link_id, random.Random(rng.random())) for link_id in chosen))
        if rng.random() < 0.3:
            await self._pay_elsewhere()

    async def _family_pays(self, link_id: str, rng: random.Random) -> None:
        await asyncio.sleep(rng.random())
        with suppress(NotPayableError):
            sessions = [await self._world.stripe.open_link(link_id) for _ in range(rng.choice((1, 1, 1, 1, 2)))]
            for session_id in sessions:
                await self._pay(session_id, rng)
                await asyncio.sleep(rng.random() * 0.2)

    async def _pay(self, session_id: str, rng: random.Random) -> None:
        stripe = self._world.stripe
        if rng.random() < 0.15:
            await stripe.pay(session_id, "card_declined")
        if rng.random() < 0.2:
            await stripe.pay(session_id, "bank_debit")
            self._done["bank debits"] += 1
            await asyncio.sleep(rng.random() * 2)
            await stripe.settle(session_id, succeed=rng.random() < 0.6)
        else:
            await stripe.pay(session_id, "card")
            self._done["card payments"] += 1
        with suppress(NotPayableError):
            await self._regret(str(stripe.sessions[session_id]["payment_intent"]), rng)

    async def _regret(self, intent_id: str, rng: random.Random) -> None:
        chance, stripe = rng.random(), self._world.stripe
        if chance < 0.12:
            amount = int(stripe.payment_intents[intent_id]["amount"])
            status = rng.choice(("succeeded", "succeeded", "pending", "failed"))
            refund_id = await stripe.refund(intent_id, rng.choice((None, amount // 2)), status)  # type: ignore[arg-type] # a literal
            self._done["refunds at Stripe"] += 1
            if status == "pending":
                await asyncio.sleep(rng.random())
                await stripe.settle_refund(refund_id, succeed=rng.random() < 0.5)
        elif chance < 0.16:
            dispute_id = await stripe.dispute(intent_id)
            self._done["disputes"] += 1
            await asyncio.sleep(rng.random())
            await stripe.close_dispute(dispute_id, rng.choice(("won", "lost")))

    async def _pay_elsewhere(self) -> None:
        """Somebody pays a link that was made by hand at Stripe: nothing in it says what for."""
        form = {
            "line_items[0][price_data][currency]": "usd",
            "line_items[0][price_data][unit_amount]": "17500",
            "line_items[0][price_data][product_data][name]": "December",
            "line_items[0][quantity]": "1",
        }
        async with httpx.AsyncClient(auth=(STRIPE_KEY, ""), trust_env=False) as client:
            answer = await client.post(f"{self._world.stripe.base_url}/v1/payment_links", data=form)
        if answer.is_success:
            link_id = str(answer.json()["id"])
            await self._world.stripe.pay(await self._world.stripe.open_link(link_id))
            await self._world.stripe.deactivate(link_id)
            self._done["payments without an order"] += 1

    async def clicks(self, rng: random.Random) -> None:
        """Parents press Pay in their mails, some twice at once."""
        mails = self._world.mailbox.messages
        chosen = [rng.choice(mails) for _ in range(rng.randint(2, 8))] if mails else []
        urls = [rng.choice(found) for mail in chosen if (found := PAY_LINK.findall(mail.html))]
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            asked = [client.get(url) for url in urls for _ in range(rng.choice((1, 2)))]
            self._done["clicks on pay links"] += len(asked)
            await asyncio.gather(*asked, return_exceptions=True)

    # --- the club -----------------------------------------------------------------------------------------------

    async def blast_by_slack(self, rng: random.Random) -> None:
        """An admin drafts a blast, and two people approve it at once; now and then a third stops it."""
        slack = self._world.slack
        before = len(slack.messages_in(APPROVALS))
        for _ in range(PATIENCE):
            with suppress(*BAD_LUCK):
                opened = await slack.command(ADMIN, GENERAL, "/blast")
                await slack.submit(ADMIN, await opened.view(within=3))
                break
            await self._breathe(rng)
        await slack.workspace.wait_until(lambda: len(slack.messages_in(APPROVALS)) > before, 5)
        for _ in range(PATIENCE):
            with suppress(*BAD_LUCK):
                if not await self._approve(rng):
                    break
            await self._breathe(rng)
        with suppress(*BAD_LUCK):
            await self._cancel_the_rest()

    async def _cancel_the_rest(self) -> None:
        """Cancel the drafts whose families were mailed since, as their answer says."""
        for message in self._world.slack.messages_in(APPROVALS):
            if _has(message, "blast_approve"):
                await self._world.slack.press(ADMIN, message.snapshot(), "blast_cancel", stale=True)

    async def _breathe(self, rng: random.Random) -> None:
        """Wait a moment, and then try what is behind the load balancer now."""
        await asyncio.sleep(rng.uniform(0.3, 1.0))
        self._world.slack.events_url = rng.choice(self._fleet.addresses) + "/slack/events"

    async def _approve(self, rng: random.Random) -> bool:
        """Approve whatever waits, and say whether anything did."""
        waiting = [m for m in self._world.slack.messages_in(APPROVALS) if _has(m, "blast_approve")]
        slack = self._world.slack
        for message in waiting:
            shown = message.snapshot()
            await asyncio.gather(
                slack.press(ADMIN, shown, "blast_approve", stale=True),
                slack.press(TREASURER, shown, "blast_approve", stale=True),
            )
            self._done["blasts approved by two at once"] += 1
        if waiting and rng.random() < 0.15:
            await asyncio.sleep(rng.random())
            await slack.press(TREASURER, waiting[-1], "blast_cancel")
        return bool(waiting)

    async def blast_by_http(self, rng: random.Random) -> None:
        """A script asks for a blast."""
        url = rng.choice([web.url for web in self._fleet.running if web.port]) + "/admin/email/outstanding-balance"
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            await client.post(url, headers={"Authorization": f"Bearer {ADMIN_TOKEN}"})

    async def blast_by_terminal(self, rng: random.Random) -> None:
        """Somebody starts a blast in a terminal, and may close it half way."""
        await self._command(rng, "blast", "outstanding", "--commit", "--json")

    async def retry_failed(self, rng: random.Random) -> None:
        """Two people press the button that sends the failed mails again."""
        done = [m for m in self._world.slack.messages_in(APPROVALS) if _has(m, "blast_retry_failed")]
        if not done:
            return
        shown = rng.choice(done).snapshot()
        await asyncio.gather(
            self._world.slack.press(ADMIN, shown, "blast_retry_failed", stale=True),
            self._world.slack.press(TREASURER, shown, "blast_retry_failed", stale=True),
        )

    async def backfill(self, rng: random.Random) -> None:
        """Somebody has the missing links minted, and may close the terminal half way."""
        await self._command(rng, "backfill", "payment-links", "--commit", "--json")

    async def resends(self, rng: random.Random) -> None:
        """Coaches have links mailed again; two of them think of the same player at once."""
        players = await self._store.rows("select first_name, last_name from players order by id")
        for player in rng.sample(players, rng.randint(1, 4)):
            typed = f"{player['first_name']} {player['last_name']}"
            users = (COACH, ADMIN) if rng.random() < 0.3 else (COACH,)
            await asyncio.gather(
                *(self._world.slack.command(user, GENERAL, "/resend", typed) for user in users),
                return_exceptions=True,
            )

    async def refund_by_button(self, rng: random.Random) -> None:
        """Two admins press the button that gives back what was paid twice."""
        offered = [m for m in self._world.slack.messages_in(PAYMENTS) if _has(m, "payment_refund")]
        if not offered:
            return
        shown = rng.choice(offered).snapshot()
        await asyncio.gather(
            self._world.slack.press(ADMIN, shown, "payment_refund", stale=True),
            self._world.slack.press(TREASURER, shown, "payment_refund", stale=True),
        )
        self._done["refunds by two at once"] += 1

    async def _command(self, rng: random.Random, *arguments: str) -> None:
        process = self._fleet.spawn(*arguments)
        if is_closed := rng.random() < 0.5:
            with suppress(TimeoutError):
                async with asyncio.timeout(rng.uniform(1.0, 5.0)):
                    await process.wait()
            if process.returncode is None:
                process.send_signal(rng.choice((signal.SIGKILL, signal.SIGTERM)))
                self._done["commands closed half way"] += 1
        code = await process.wait()
        if not is_closed and code not in (0, 1, 2):
            words = process.output()[-800:]
            self.complaints.append(f"`sideline {' '.join(arguments)}` ended with {code}: {words}")


def _has(message: Message, action_id: str) -> bool:
    elements = [e for block in message.blocks for e in (*block.get("elements", []), block.get("accessory", {}))]
    return any(element.get("action_id") == action_id for element in elements)
