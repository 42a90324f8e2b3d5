"""`/slack/install` and `/slack/oauth_redirect`: how another club's workspace gets the app."""

from fastapi import APIRouter, Depends
from slack_bolt.adapter.starlette.async_handler import to_async_bolt_request, to_starlette_response
from slack_bolt.oauth.async_oauth_flow import AsyncOAuthFlow
from starlette.requests import Request
from starlette.responses import Response

from core.errors import NotFoundError
from web.rate_limit import RateLimit


def slack_install_routes(flow: AsyncOAuthFlow | None, limit: RateLimit) -> APIRouter:
    """Return both routes; they answer 404 where workspaces can't install the app by themselves."""
    router = APIRouter(dependencies=[Depends(limit.check)])

    def known() -> AsyncOAuthFlow:
        if flow is None:
            raise NotFoundError("There is nothing here.")
        return flow

    @router.get("/slack/install", response_model=None)
    async def install(request: Request) -> Response:
        return to_starlette_response(await known().handle_installation(to_async_bolt_request(request, b"")))

    @router.get("/slack/oauth_redirect", response_model=None)
    async def oauth_redirect(request: Request) -> Response:
        return to_starlette_response(await known().handle_callback(to_async_bolt_request(request, b"")))

    return router
