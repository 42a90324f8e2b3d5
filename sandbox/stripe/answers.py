"""How answers are put on the wire, spoilt ones included."""

import json
from collections.abc import Mapping

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sandbox.stripe.books import Json


def json_answer(body: Json, status: int, headers: Mapping[str, str]) -> Response:
    """JSON as Stripe indents it."""
    text = json.dumps(body, indent=2, ensure_ascii=False)
    return Response(text, status, headers, media_type="application/json")


def garbage(headers: Mapping[str, str]) -> Response:
    """What a proxy that is out of order might say."""
    return Response("<html><body>upstream sent too big header", 200, headers, media_type="text/html")


class DroppedConnection(Response):
    """No answer at all: the connection is cut."""

    async def __call__(self, _scope: Scope, receive: Receive, _send: Send) -> None:
        """Cut the connection, which uvicorn keeps on the object that `receive` belongs to, and send nothing."""
        cycle = getattr(receive, "__self__", None)
        if cycle is None or not hasattr(cycle, "transport"):
            raise RuntimeError("only uvicorn's connections can be cut")
        cycle.transport.abort()
        while (await receive())["type"] != "http.disconnect":
            pass
