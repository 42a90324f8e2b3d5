"""What a parent sees: a link's address, the payment page and what comes after."""

import re
from collections.abc import Awaitable, Callable
from typing import get_args
from urllib.parse import quote

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sandbox.stripe.acting import Acting
from sandbox.stripe.books import Json
from sandbox.stripe.errors import NotPossibleError
from sandbox.stripe.payments import Method
from sandbox.stripe.rendering import render
from sandbox.stripe.sessions import expire_the_old

_REFERENCE = re.compile(r"[A-Za-z0-9_-]{1,200}\Z")
SEE_OTHER = 303


def field(form: FormData, name: str) -> str:
    """A field's text; empty when it isn't there or is a file."""
    value = form.get(name)
    return value.strip() if isinstance(value, str) else ""


class Pages:
    """The pages of one stand-in."""

    def __init__(self, stripe: Acting) -> None:
        self._stripe = stripe

    def routes(self) -> list[Route]:
        """Their addresses."""
        return [
            Route("/pay/{link}", _kindly(self._visit_link), methods=["GET"]),
            Route("/c/{session}", _kindly(self._show), methods=["GET"]),
            Route("/c/{session}", _kindly(self._pay), methods=["POST"]),
            Route("/c/{session}/settle", _kindly(self._settle), methods=["POST"]),
        ]

    async def _visit_link(self, request: Request) -> Response:
        link = self._stripe.payment_links.get(request.path_params["link"])
        if link is None:
            return render(
                "notice.html", 404, title="Nothing here", text="There is no payment link at this address."
            )
        reference = request.query_params.get("client_reference_id", "")
        try:
            session_id = await self._stripe.open_link(
                link["id"],
                # A reference of other characters is dropped, as Stripe does.
                client_reference_id=reference if _REFERENCE.match(reference) else None,
                prefilled_email=request.query_params.get("prefilled_email"),
            )
        except NotPossibleError as error:
            return render("notice.html", title="This link is closed", text=str(error))
        return RedirectResponse(self._stripe.sessions[session_id]["url"], SEE_OTHER)

    async def _show(self, request: Request) -> Response:
        return self._page(request)

    def _page(self, request: Request, *, declined: bool = False) -> Response:
        expire_the_old(self._stripe.books)
        session = self._stripe.sessions.get(request.path_params["session"])
        if session is None:
            return render("notice.html", 404, title="Nothing here", text="There is no payment at this address.")
        if session["status"] == "expired":
            text = "This page has expired. Nothing was charged. Please open your payment link again."
            return render("notice.html", title="This page has expired", text=text)
        values: Json = {
            "session": session,
            "items": self._stripe.books.line_items[session["id"]],
            "email": session["customer_email"] or (session["customer_details"] or {}).get("email") or "",
            "intent": self._stripe.payment_intents.get(session["payment_intent"] or ""),
        }
        if session["status"] == "complete":
            return render("thanks.html", **values, message=self._thanks(session))
        return render("checkout.html", 402 if declined else 200, **values, declined=declined)

    def _thanks(self, session: Json) -> str | None:
        link = self._stripe.payment_links.get(session["payment_link"] or "")
        confirmation = (link["after_completion"].get("hosted_confirmation") if link else None) or {}
        message: str | None = confirmation.get("custom_message")
        return message

    async def _pay(self, request: Request) -> Response:
        form = await request.form()
        method = field(form, "method")
        session_id: str = request.path_params["session"]
        chosen: Method | None = next((each for each in get_args(Method) if each == method), None)
        if chosen is None:
            return render(
                "notice.html", 400, title="Choose how to pay", text="Please go back and choose how to pay."
            )
        await self._stripe.pay(
            session_id, chosen, email=field(form, "email") or None, name=field(form, "name") or "Pat Parent"
        )
        session = self._stripe.sessions[session_id]
        if session["status"] == "open":
            return self._page(request, declined=True)
        if session["success_url"]:
            after = session["success_url"].replace("{CHECKOUT_SESSION_ID}", quote(session_id))
            return RedirectResponse(after, SEE_OTHER)
        return RedirectResponse(f"/c/{session_id}", SEE_OTHER)

    async def _settle(self, request: Request) -> Response:
        form = await request.form()
        session_id = request.path_params["session"]
        await self._stripe.settle(session_id, succeed=field(form, "outcome") == "succeed")
        return RedirectResponse(f"/c/{session_id}", SEE_OTHER)


def _kindly(answer: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Turn what isn't possible any more into a page that says so."""

    async def answered(request: Request) -> Response:
        try:
            return await answer(request)
        except NotPossibleError as error:
            return render("notice.html", 409, title="That isn't possible now", text=str(error))

    return answered
