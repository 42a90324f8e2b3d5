"""Reading a request's body, never more of it than we want."""

from starlette.requests import Request

from web.errors import TooLargeError

MAX_BODY_BYTES = 1024 * 1024


async def read_body(request: Request, limit: int = MAX_BODY_BYTES) -> bytes:
    """Return the raw body. What `Content-Length` says is a hint only: it may lie or be absent.

    Raises:
        TooLargeError: beyond `limit` bytes.
        ClientDisconnect: where the sender went away before the end.
    """
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdecimal() and (len(announced) > 15 or int(announced) > limit):
        raise _too_large(limit)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise _too_large(limit)
    return bytes(body)


def _too_large(limit: int) -> TooLargeError:
    return TooLargeError(f"The body is longer than {limit:,} bytes.")
