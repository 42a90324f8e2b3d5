"""The demo's story, played by itself: every step acts as people do and shows the evidence."""

import asyncio
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx

from cli.output import say
from core.errors import SidelineError
from sandbox.mailbox import Mail
from sandbox.sample import ADMIN, APPROVALS, COACH, GENERAL, OUTSIDER, PAYMENTS, TREASURER
from sandbox.slack import Message
from sandbox.world import STRIPE_KEY, World

PATIENCE_SECONDS = 20.0
PAY_LINK = re.compile(r'href="(http[^"]+/pay/[^"]+)"')


class Story:
    """Plays the main story against a running product. Any step that does not hold ends it with an error."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._steps = 0

    def tell(self, step: str, evidence: str) -> None:
        """Print a step that held, and what shows it."""
        self._steps += 1
        say(f"{self._steps:>2}. {step}")
        for line in evidence.splitlines():
            say(f"      {line}")

    def end(self) -> None:
        """Say that all of it held."""
        problems = self._world.slack.problems
        if problems:
            raise SidelineError(f"Slack would have complained: {'; '.join(problems)}")
        say(f"All {self._steps} steps held.")

    async def play(self) -> None:
        """Play it: look up, re-send, pay, hear of it, blast."""
        await self._outsiders_see_nothing()
        await self._look_up_and_resend()
        pay_url = self._pay_link_in_latest_mail()
        await self._pay(pay_url)
        await self._old_link_says_paid(pay_url)
        await self._copies_change_nothing()
        await self._unmatched_payment()
        await self._blast()

    async def _outsiders_see_nothing(self) -> None:
        done = await self._world.slack.command(OUTSIDER, GENERAL, "/player", "reed")
        self._check("Reed" not in done.text, "somebody who is not on the list saw a family")
        self.tell("Somebody who is not on the list asks for a player and sees nothing", _plain(done.messages[0]))

    async def _look_up_and_resend(self) -> None:
        slack = self._world.slack
        found = await slack.command(COACH, GENERAL, "/player", "jaxon reed")
        card = await found.message()
        self._check("Jaxon Reed" in found.text, "the coach did not find Jaxon Reed")
        self.tell(f"A coach types /player jaxon reed ({found.elapsed * 1000:.0f} ms)", _plain(card))
        sent = await slack.press(COACH, card, "resend_link", value=_first_value(card, "resend_link"))
        answer = await sent.message()
        await self._until(lambda: bool(self._world.mailbox.messages), "no mail came")
        mail = self._world.mailbox.messages[-1]
        evidence = f"{_plain(answer)}\nMail to {mail.envelope_to[0]}: {mail.subject}"
        self.tell("The coach presses Re-send link, and the parent gets a mail", evidence)

    def _pay_link_in_latest_mail(self) -> str:
        links = PAY_LINK.findall(self._world.mailbox.messages[-1].html)
        self._check(bool(links), "the mail holds no pay link")
        return str(links[0])

    async def _pay(self, pay_url: str) -> None:
        stripe, slack = self._world.stripe, self._world.slack
        async with httpx.AsyncClient() as client:
            answer = await client.get(pay_url)
        self._check(answer.status_code == httpx.codes.SEE_OTHER, f"the pay link answered {answer.status_code}")
        link = next(link for link in stripe.payment_links.values() if link["url"] == answer.headers["location"])
        await stripe.pay(await stripe.open_link(link["id"]), "card")
        await self._until(lambda: bool(self._posted(PAYMENTS)), "no notice came")
        await self._until(lambda: not stripe.payment_links[link["id"]]["active"], "the link stayed open")
        await self._until(lambda: len(self._receipts()) == 1, "no receipt came")
        self.tell(
            "The parent pays; the order is paid, the link closed, the channel told, and the parent gets a receipt",
            f"Stripe's link {link['id']} is closed\n#payments: {_plain(self._posted(PAYMENTS)[-1])}\n"
            f"Mail to {self._receipts()[0].envelope_to[0]}: {self._receipts()[0].subject}",
        )
        await slack.command(COACH, GENERAL, "/player", "jaxon reed")

    async def _old_link_says_paid(self, pay_url: str) -> None:
        async with httpx.AsyncClient() as client:
            answer = await client.get(pay_url)
        self._check(answer.status_code == httpx.codes.GONE, f"the old link answered {answer.status_code}")
        self.tell(
            "The link in the old mail leads to a page that says it is paid",
            f"{answer.status_code}: no payment page",
        )

    async def _copies_change_nothing(self) -> None:
        stripe = self._world.stripe
        event = next(e for e in stripe.events.values() if e["type"] == "checkout.session.completed")
        before = len(self._posted(PAYMENTS))
        answers = await stripe.deliver(event, times=100)
        codes = Counter(answer.status_code for answer in answers)
        await asyncio.sleep(0.5)
        self._check(len(self._posted(PAYMENTS)) == before, "a copy of the event was announced")
        forged = await stripe.deliver(event, secret="whsec_forged")  # noqa: S106 - that is the point
        self._check(forged[0].status_code == httpx.codes.BAD_REQUEST, "a forged event was taken")
        self.tell(
            "Stripe sends the event a hundred times more, and somebody forges it",
            f"{codes[200]} times 200 and nothing new; the forged one: {forged[0].status_code}",
        )

    async def _unmatched_payment(self) -> None:
        stripe, slack = self._world.stripe, self._world.slack
        before = len(self._posted(PAYMENTS))
        session_id = await stripe.open_link(await self._link_of_another_program())
        await stripe.pay(session_id, email="ana.silva@example.com", name="Ana Silva")
        await self._until(lambda: len(self._posted(PAYMENTS)) > before, "nobody was asked")
        question = self._posted(PAYMENTS)[-1]
        options = await slack.suggest(ADMIN, question, "payment_match", "")
        self._check(bool(options), "no likely order was offered")
        await slack.select(ADMIN, question, "payment_match", options[0])
        await self._until(lambda: "atched" in _plain(question), "the match did not show")
        await self._until(lambda: len(self._receipts()) == 2, "no receipt came for what was matched")
        self.tell(
            "A payment that matches nothing is put before people, and an admin picks the order", _plain(question)
        )

    async def _link_of_another_program(self) -> str:
        """Make a payment link as somebody would by hand on Stripe's dashboard: without our metadata."""
        form = {
            "line_items[0][price_data][currency]": "usd",
            "line_items[0][price_data][unit_amount]": "17500",
            "line_items[0][price_data][product_data][name]": "December",
            "line_items[0][quantity]": "1",
        }
        async with httpx.AsyncClient(auth=(STRIPE_KEY, "")) as client:
            answer = await client.post(f"{self._world.stripe.base_url}/v1/payment_links", data=form)
        return str(answer.json()["id"])

    async def _blast(self) -> None:
        slack, mailbox = self._world.slack, self._world.mailbox
        mailbox.messages.clear()
        opened = await slack.command(ADMIN, GENERAL, "/blast")
        modal = await opened.view()
        submitted = await slack.submit(ADMIN, modal, {})
        self._check(not submitted.errors, f"the modal complained: {submitted.errors}")
        await self._until(lambda: bool(self._posted(APPROVALS)), "no approval message came")
        approval = self._posted(APPROVALS)[-1]
        self.tell("An admin drafts a balance blast; the approvals channel is asked", _plain(approval))
        refused = await slack.press(COACH, approval, "blast_approve")
        self._check(not mailbox.messages, "a coach could approve")
        self.tell("A coach presses Approve and may not", _plain(await refused.message()))
        await asyncio.gather(
            slack.press(ADMIN, approval.snapshot(), "blast_approve", stale=True),
            slack.press(TREASURER, approval.snapshot(), "blast_approve", stale=True),
        )
        await self._until(
            lambda: "Done" in _plain(approval) or "done" in _plain(approval), "the blast did not end"
        )
        to = Counter(mail.envelope_to[0] for mail in mailbox.messages)
        self._check(bool(to) and max(to.values()) == 1, "a family got two mails")
        self.tell(
            "Two people press Approve at once; one wins, every family gets one mail",
            f"{len(to)} families, {sum(to.values())} mails\n{_plain(approval)}",
        )

    def _receipts(self) -> list[Mail]:
        return [mail for mail in self._world.mailbox.messages if "your receipt" in mail.subject]

    def _posted(self, channel: str) -> list[Message]:
        return [m for m in self._world.slack.messages if m.channel == channel and m.ephemeral_to is None]

    async def _until(self, condition: Callable[[], bool], otherwise: str) -> None:
        deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        while not condition():
            if asyncio.get_running_loop().time() > deadline:
                raise SidelineError(f"The story stopped: {otherwise}.")
            await asyncio.sleep(0.05)

    @staticmethod
    def _check(holds: bool, otherwise: str) -> None:
        if not holds:
            raise SidelineError(f"The story stopped: {otherwise}.")


def _plain(message: Message) -> str:
    """Return the words of a message, a line a block."""
    lines = [line for block in message.blocks for line in _words(block)]
    return "\n".join(lines or [message.text])


def _words(node: Any) -> list[str]:  # noqa: ANN401 - Block Kit's JSON
    if isinstance(node, list):
        return [line for part in node for line in _words(part)]
    if not isinstance(node, dict):
        return []
    if node.get("type") in {"mrkdwn", "plain_text"}:
        return [str(node["text"])]
    if node.get("type") == "actions":
        return [" ".join(f"[{' '.join(_words(element.get('text', {})))}]" for element in node["elements"])]
    return [line for key in ("text", "fields", "elements") for line in _words(node.get(key))]


def _first_value(message: Message, action_id: str) -> str | None:
    for block in message.blocks:
        for element in [*block.get("elements", []), block.get("accessory", {})]:
            if element.get("action_id") == action_id:
                value: str | None = element.get("value")
                return value
    return None
