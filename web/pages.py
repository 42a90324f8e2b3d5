"""Answers that are pages, with the headers that keep them private and harmless."""

from collections.abc import Mapping

from starlette.responses import HTMLResponse, Response

# https://www.w3.org/TR/CSP3/: a page of ours loads its own style sheet and nothing else, and runs nothing.
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; "
    "form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)
# The address itself is the key to the page: it must not reach a cache or another site.
PRIVATE: Mapping[str, str] = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


def page_response(html: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a page; it is never cached, framed, or told to the site that is visited next."""
    return HTMLResponse(html, status, {**PRIVATE, "Content-Security-Policy": POLICY, **(headers or {})})
