"""Reading a request's body, never more of it than we want."""

import asyncio

from starlette.requests import Request

from web.errors import TooLargeError, TooSlowError

MAX_BODY_BYTES = 1024 * 1024
# Stripe and Slack send theirs in one go, and give up on our answer about as soon.
BODY_SECONDS = 10.0


async def read_body(request: Request, limit: int = MAX_BODY_BYTES, seconds: float = BODY_SECONDS) -> bytes:
    """Return the raw body. What `Content-Length` says is a hint only: it may lie or be absent.

    Raises:
        TooLargeError: beyond `limit` bytes.
        TooSlowError: where it is not all there within `seconds`.
        ClientDisconnect: where the sender went away before the end.
    """
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdecimal() and (len(announced) > 15 or int(announced) > limit):
        raise _too_large(limit)
    try:
        async with asyncio.timeout(seconds):
            return await _read(request, limit)
    except TimeoutError:
        raise TooSlowError("The body did not arrive in time.") from None


async def _read(request: Request, limit: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise _too_large(limit)
    return bytes(body)


def _too_large(limit: int) -> TooLargeError:
    return TooLargeError(f"The body is longer than {limit:,} bytes.")
