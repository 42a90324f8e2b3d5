"""What a failure looks like over HTTP: mapped once, as a page for people and as JSON for programs.

Expected failures carry their own sentence. Anything else is logged under a reference, and only that is shown.
"""

from collections.abc import Mapping

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from core.errors import (
    AlreadyDoneError,
    InvalidInputError,
    NotAllowedError,
    NotFoundError,
    NotPayableError,
    SchemaOutdatedError,
    SettingsError,
    SidelineError,
    SlackUnavailableError,
    StripeRefusedError,
    StripeUnavailableError,
)
from core.pages import ErrorPage, PageRenderer
from core.references import new_reference
from web.pages import page_response

log = structlog.get_logger(__name__)

RETRY_AFTER_SECONDS = 30


class UnauthorizedError(SidelineError):
    """The request does not show that it may."""


class TooLargeError(SidelineError):
    """The request's body is longer than we read."""


class TooSlowError(SidelineError):
    """The request's body did not arrive in time."""


class TooManyRequestsError(SidelineError):
    """An address has asked too often; it may again after `retry_after` seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"Too many requests from this address; try again in {retry_after} s.")
        self.retry_after = retry_after


# Where several fit, the first is meant.
STATUSES: Mapping[type[SidelineError], int] = {
    InvalidInputError: 400,
    UnauthorizedError: 401,
    NotAllowedError: 403,
    NotFoundError: 404,
    AlreadyDoneError: 409,
    NotPayableError: 410,
    TooSlowError: 408,
    TooLargeError: 413,
    TooManyRequestsError: 429,
    StripeRefusedError: 502,
    StripeUnavailableError: 503,
    SlackUnavailableError: 503,
    SettingsError: 503,
    SchemaOutdatedError: 503,
}

_HEADERS: Mapping[int, Mapping[str, str]] = {
    401: {"WWW-Authenticate": "Bearer"},
    # The rest of the body is not read, so the connection can't carry another request.
    408: {"Connection": "close"},
    413: {"Connection": "close"},
    503: {"Retry-After": str(RETRY_AFTER_SECONDS)},
}

_TITLES: Mapping[int, tuple[str, str]] = {
    404: ("We can't find this page", "Please check that you have the whole address, as it was in the mail."),
    405: ("That doesn't work here", "Please open the link from your mail again."),
    429: (
        "One moment, please",
        "Many pages were opened from your connection just now. Please try again in a minute; the link stays good.",
    ),
    502: (
        "We can't open the payment page",
        "Nothing was charged. Please tell your club, so that somebody can look into it.",
    ),
    503: (
        "The payment page is out of reach right now",
        "Nothing was charged. Please try again in a minute; the same link will work.",
    ),
}
_OUR_FAULT = (
    "Something went wrong on our side",
    "Nothing was charged here. Please try again in a few minutes; the same link will work.",
)


class ErrorAnswers:
    """Turns failures into answers."""

    def __init__(self, pages: PageRenderer) -> None:
        self._pages = pages

    def add_to(self, application: FastAPI) -> None:
        """Have the application answer failures this way; unexpected ones come from `RequestShell`."""
        application.add_exception_handler(SidelineError, self._expected)
        application.add_exception_handler(HTTPException, self._http)
        application.add_exception_handler(RequestValidationError, self._invalid_query)
        application.add_exception_handler(ClientDisconnect, self._gone)

    def unexpected(self, request: Request, error: Exception) -> Response:
        """Log what nobody foresaw, and show the reference it is logged under."""
        reference = new_reference()
        log.error("request_failed", reference=reference, exc_info=error)
        message = f"Something went wrong on our side; the log has it under {reference}."
        return self._answer(request, 500, message, reference)

    async def _expected(self, request: Request, error: Exception) -> Response:
        status = next((code for kind, code in STATUSES.items() if isinstance(error, kind)), 500)
        reference = None
        headers = {"Retry-After": str(error.retry_after)} if isinstance(error, TooManyRequestsError) else None
        if status >= 500:
            reference = new_reference()
            log.warning("request_not_served", reference=reference, status=status, error=str(error))
        return self._answer(request, status, str(error), reference, headers)

    async def _http(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - what it is registered for
        return self._answer(request, error.status_code, str(error.detail), None, error.headers or {})

    async def _invalid_query(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - what it is registered for
        first = error.errors()[0]
        name = first["loc"][-1]
        return self._answer(request, 400, f"{name}: {first['msg']}.", None)

    async def _gone(self, request: Request, _error: Exception) -> Response:
        return self._answer(request, 400, "The request broke off before its end.", None)

    def _answer(
        self,
        request: Request,
        status: int,
        message: str,
        reference: str | None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        headers = {**_HEADERS.get(status, {}), **(headers or {})}
        if wants_page(request):
            title, sentence = _TITLES.get(status, _OUR_FAULT)
            page = ErrorPage(brand=None, title=title, message=sentence, reference=reference)
            return page_response(self._pages.error(page), status, headers)
        body = {"error": message} if reference is None else {"error": message, "reference": reference}
        return JSONResponse(body, status, headers)


def wants_page(request: Request) -> bool:
    """Whether the answer is for a person's browser; anything else gets JSON."""
    if request.method not in {"GET", "HEAD"}:
        return False
    is_parents = request.url.path.startswith(("/pay/", "/balance/", "/statement/", "/checkout/"))
    return is_parents or "text/html" in request.headers.get("accept", "")
