"""`GET /static/pages.css`: the pages' one style sheet."""

import hashlib
from importlib.resources import files

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

# Short enough that a new look is seen soon; a browser that has it asks again by its ETag.
_MAX_AGE_SECONDS = 3600


def static_routes() -> APIRouter:
    """Return the route; the file is read once, and named by its content's hash."""
    router = APIRouter()
    style = files("templates").joinpath("pages/pages.css").read_bytes()
    etag = f'"{hashlib.sha256(style).hexdigest()[:32]}"'
    headers = {"Cache-Control": f"public, max-age={_MAX_AGE_SECONDS}", "ETag": etag}

    @router.api_route("/static/pages.css", methods=["GET", "HEAD"], response_model=None)
    async def pages_css(request: Request) -> Response:
        known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
        if etag in known or "*" in known:
            return Response(status_code=304, headers=headers)
        return Response(style, media_type="text/css", headers=headers)

    return router
