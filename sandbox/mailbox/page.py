"""The page of the mailbox: a list, and one mail with its HTML in a frame that can do nothing."""

import re
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from sandbox.mailbox.mail import Mail

_TEMPLATES = Environment(loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True)
_FRAME_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data: http: https:; font-src data:; "
    "sandbox allow-popups allow-popups-to-escape-sandbox"
)
_HEAD = re.compile(r"<head[^>]*>", re.IGNORECASE)


def _in_new_tabs(html: str) -> str:
    """The mail's HTML with its links opening in new tabs, since the frame itself may go nowhere."""
    base = '<base target="_blank">'
    if head := _HEAD.search(html):
        return html[: head.end()] + base + html[head.end() :]
    return base + html


def mailbox_page(messages: Sequence[Mail]) -> Starlette:
    """An ASGI application that shows these messages; it sees those that come later too."""

    def render(request: Request, template: str, **values: object) -> HTMLResponse:
        root = request.scope.get("root_path", "")
        return HTMLResponse(_TEMPLATES.get_template(template).render(root=root, **values))

    def find(request: Request) -> Mail:
        number: int = request.path_params["number"]
        if not 1 <= number <= len(messages):
            raise HTTPException(404, "There is no such mail.")
        mail: Mail = messages[number - 1]
        return mail

    async def index(request: Request) -> Response:
        return render(request, "index.html", mails=list(enumerate(messages, start=1))[::-1])

    async def show(request: Request) -> Response:
        mail = find(request)
        return render(request, "mail.html", mail=mail, number=request.path_params["number"])

    async def frame(request: Request) -> Response:
        headers = {"Content-Security-Policy": _FRAME_POLICY, "Referrer-Policy": "no-referrer"}
        return HTMLResponse(_in_new_tabs(find(request).html), headers=headers)

    return Starlette(
        routes=[
            Route("/", index),
            Route("/mail/{number:int}", show),
            Route("/mail/{number:int}/html", frame),
        ]
    )
