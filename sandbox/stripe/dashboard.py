"""What the club's treasurer would see at Stripe: payments, links, events, and buttons to make things happen."""

from itertools import islice

import httpx
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sandbox.stripe.acting import Acting
from sandbox.stripe.books import Json
from sandbox.stripe.errors import NotPossibleError
from sandbox.stripe.pages import SEE_OTHER, field
from sandbox.stripe.rendering import render
from sandbox.stripe.sessions import expire_the_old

SHOWN = 50
COPIES = 3


class Dashboard:
    """The dashboard of one stand-in."""

    def __init__(self, stripe: Acting) -> None:
        self._stripe = stripe

    def routes(self) -> list[Route]:
        """Its addresses."""
        return [
            Route("/", self._home, methods=["GET"]),
            Route("/dashboard", self._show, methods=["GET"]),
            Route("/dashboard/{action}", self._act, methods=["POST"]),
        ]

    async def _home(self, _request: Request) -> Response:
        return RedirectResponse("/dashboard", SEE_OTHER)

    async def _show(self, request: Request) -> Response:
        books = self._stripe.books
        expire_the_old(books)
        newest = [
            list(islice(reversed(table.values()), SHOWN))
            for table in (books.payment_intents, books.payment_links, books.events)
        ]
        intents, links, events = newest
        return render(
            "dashboard.html",
            notice=request.query_params.get("notice", "")[:300],
            payments=[self._payment(intent) for intent in intents],
            links=[(link, books.line_items[link["id"]]) for link in links],
            events=[(event, self._stripe.attempts(event["id"])) for event in events],
            has_webhook=self._stripe.webhook_url is not None,
        )

    def _payment(self, intent: Json) -> Json:
        books = self._stripe.books
        session = next((s for s in books.sessions.values() if s["payment_intent"] == intent["id"]), None)
        items = books.line_items[session["id"]] if session else []
        disputes = [each for each in books.disputes.values() if each["payment_intent"] == intent["id"]]
        return {
            "intent": intent,
            "session": session,
            "charge": books.charges.get(intent["latest_charge"] or ""),
            "names": ", ".join(item["description"] for item in items) or "not completed",
            "open_dispute": next((each for each in disputes if each["status"] not in {"won", "lost"}), None),
        }

    async def _act(self, request: Request) -> Response:
        form = await request.form()
        subject, detail = field(form, "id"), field(form, "detail")
        try:
            notice = await self._done(request.path_params["action"], subject, detail)
        except (NotPossibleError, ValueError) as error:
            notice = str(error)
        except httpx.TransportError:
            notice = "The webhook didn't answer."
        target = httpx.URL("/dashboard", params={"notice": notice})
        return RedirectResponse(str(target), SEE_OTHER)

    async def _done(self, action: str, subject: str, detail: str) -> str:
        match action:
            case "refund":
                await self._stripe.refund(subject)
                return "Refunded."
            case "dispute":
                await self._stripe.dispute(subject)
                return "The payer's bank opened a dispute."
            case "close-dispute":
                await self._stripe.close_dispute(subject, "won" if detail == "won" else "lost")
                return "The bank has decided."
            case "settle":
                await self._stripe.settle(subject, succeed=detail == "succeed")
                return "The bank has answered."
            case "deliver":
                responses = await self._stripe.deliver(subject, times=COPIES if detail == "copies" else 1)
                return "Delivered; answered with " + ", ".join(str(each.status_code) for each in responses) + "."
            case _:
                raise NotPossibleError("There is no such button.")
