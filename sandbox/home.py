"""The demo's one address: a guided story, and a bar that leads to Slack, the mailbox and Stripe."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from jinja2 import Environment, FileSystemLoader
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route

from sandbox.mailbox import Mailbox

_TEMPLATES = Environment(loader=FileSystemLoader(Path(__file__).parent / "home_templates"), autoescape=True)
ROOMS = {"slack": "Slack", "mailbox": "Mailbox", "stripe": "Stripe"}


class Served(Protocol):
    """A stand-in that is served at an address of its own."""

    @property
    def base_url(self) -> str:
        """That address, without a slash at the end."""


def home_app(slack: Served, stripe: Served, mailbox: Mailbox) -> Starlette:
    """An ASGI application: the story at `/`, each stand-in under the bar at `/see/…`, the mailbox at `/mailbox/`.

    Slack and Stripe stay at their own addresses, since their API clients use absolute paths.
    """

    def addresses() -> Mapping[str, str]:
        return {
            "slack": f"{slack.base_url}/",
            "mailbox": "/mailbox/",
            "stripe": f"{stripe.base_url}/dashboard",
        }

    async def story(_request: Request) -> Response:
        return HTMLResponse(_TEMPLATES.get_template("story.html").render(rooms=ROOMS, here=""))

    async def see(request: Request) -> Response:
        room = request.path_params["room"]
        if room not in ROOMS:
            raise HTTPException(404, "There is Slack, the mailbox, and Stripe.")
        values = {"rooms": ROOMS, "here": room, "address": addresses()[room]}
        return HTMLResponse(_TEMPLATES.get_template("room.html").render(values))

    return Starlette(routes=[Route("/", story), Route("/see/{room}", see), Mount("/mailbox", mailbox.app)])
