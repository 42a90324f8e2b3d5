"""The API's front door: key, pace, faults, idempotency, parameters, then the resource."""

import asyncio
import base64
import binascii
import hmac
import re
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from sandbox.stripe.answers import DroppedConnection, garbage, json_answer
from sandbox.stripe.books import API_VERSION, Books, Json, new_id
from sandbox.stripe.calls import Call, Endpoint, RecordedRequest
from sandbox.stripe.errors import RefusedError
from sandbox.stripe.faults import Fault, Faults
from sandbox.stripe.forms import Form, parse_form
from sandbox.stripe.idempotency import Idempotency
from sandbox.stripe.listing import expanded
from sandbox.stripe.pace import Pace
from sandbox.stripe.parameters import check
from sandbox.stripe.routing import route
from sandbox.stripe.sessions import expire_the_old

FORM = "application/x-www-form-urlencoded"
_VERSION = re.compile(r"20\d\d-\d\d-\d\d(\.[a-z_]+)?(;.*)?\Z")
_OUT_OF_ORDER: Json = {"error": {"type": "api_error", "message": "Something went wrong on Stripe's end."}}


class Api:
    """Answers `/v1/…`.

    Args:
        books: what the resources act on.
        secret_key: the one key that opens it.
        pace: the rate limit of each endpoint.
    """

    def __init__(self, books: Books, secret_key: str, pace: Pace) -> None:
        self._books, self._key, self._pace = books, secret_key, pace
        self._idempotency = Idempotency(books.clock)
        self.faults = Faults()
        self.requests: list[RecordedRequest] = []

    async def handle(self, request: Request) -> Response:
        """Answer one request."""
        noted = RecordedRequest(
            request.method,
            request.url.path,
            idempotency_key=request.headers.get("idempotency-key") if request.method == "POST" else None,
            request_id=new_id("req_"),
        )
        self.requests.append(noted)
        headers = {
            "Request-Id": noted.request_id,
            "Stripe-Version": request.headers.get("stripe-version", API_VERSION),
        }
        if noted.idempotency_key is not None:
            headers["Idempotency-Key"] = noted.idempotency_key
        try:
            response = await self._admitted(request, noted, headers)
        except RefusedError as refusal:
            response = json_answer(refusal.body(), refusal.status, headers)
        noted.status = None if isinstance(response, DroppedConnection) else response.status_code
        return response

    async def _admitted(self, request: Request, noted: RecordedRequest, headers: dict[str, str]) -> Response:
        self._check_key(request.headers.get("authorization", ""))
        if not _VERSION.match(headers["Stripe-Version"]):
            raise RefusedError(f"Invalid Stripe API version: {headers['Stripe-Version']}")
        endpoint, object_id = route(noted.method, noted.path)
        if not self._pace.admits(f"{endpoint.method} {endpoint.path}"):
            headers["Stripe-Rate-Limited-Reason"] = "endpoint-rate"
            raise RefusedError("Request rate limit exceeded.", status=429, code="rate_limit")
        form = await _form(request)
        noted.params = dict(form)
        fault = self.faults.take(noted.path)
        if fault is None or fault.kind == "delay" or fault.executes:
            return await self._executed(endpoint, object_id, form, noted, headers, fault)
        return _spoilt(fault, headers)

    def _check_key(self, authorization: str) -> None:
        kind, _, given = authorization.partition(" ")
        if kind.lower() == "basic":
            try:
                given = base64.b64decode(given, validate=True).decode().removesuffix(":")
            except (binascii.Error, UnicodeDecodeError):
                given = ""
        if not given or kind.lower() not in {"basic", "bearer"}:
            raise RefusedError(
                "You did not provide an API key. Send it in the Authorization header, as Bearer or Basic.",
                status=401,
            )
        if not hmac.compare_digest(given.encode(), self._key.encode()):
            raise RefusedError(f"Invalid API Key provided: {given[:8]}****", status=401)

    async def _executed(
        self,
        endpoint: Endpoint,
        object_id: str,
        form: Form,
        noted: RecordedRequest,
        headers: dict[str, str],
        fault: Fault | None,
    ) -> Response:
        key = noted.idempotency_key
        saved = self._idempotency.begin(key, (noted.path, form), noted.request_id) if key is not None else None
        if saved is not None and saved.status is not None and saved.body is not None:
            noted.replayed = True
            headers |= {"Idempotent-Replayed": "true", "Original-Request": saved.request_id}
            return json_answer(saved.body, saved.status, headers)
        try:
            if fault is not None and fault.kind == "delay":
                await asyncio.sleep(fault.seconds)
            body, status = self._answer(endpoint, object_id, form, noted), 200
        except BaseException:
            if key is not None:
                self._idempotency.forget(key)
            raise
        if fault is not None and fault.kind == "server_error":
            body, status = _OUT_OF_ORDER, 500
        if saved is not None:
            saved.body, saved.status = body, status
        if fault is None or fault.kind in {"delay", "server_error"}:
            return json_answer(body, status, headers)
        return _spoilt(fault, headers)

    def _answer(self, endpoint: Endpoint, object_id: str, form: Form, noted: RecordedRequest) -> Json:
        params = check(endpoint.declared, form)
        noted.params = params
        expire_the_old(self._books)
        self._books.origin = {"id": noted.request_id, "idempotency_key": noted.idempotency_key}
        try:
            with self._books.all_or_nothing():
                answer = endpoint.answer(self._books, Call(noted.path, params, object_id))
                return expanded(self._books, answer, params.get("expand", []))
        finally:
            self._books.origin = {"id": None, "idempotency_key": None}


async def _form(request: Request) -> Form:
    encoded = request.url.query
    if request.method == "POST" and (body := await request.body()):
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != FORM:
            raise RefusedError(f"Invalid request (check that your POST content type is {FORM}).")
        try:
            encoded = "&".join(filter(None, (encoded, body.decode("ascii"))))
        except UnicodeDecodeError:
            raise RefusedError("Invalid request: the form is not percent-encoded.") from None
    return parse_form(encoded)


def _spoilt(fault: Fault, headers: Mapping[str, str]) -> Response:
    match fault.kind:
        case "rate_limit":
            refusal = RefusedError("Request rate limit exceeded.", status=429, code="rate_limit")
            return json_answer(refusal.body(), 429, {**headers, "Retry-After": f"{fault.seconds:g}"})
        case "server_error":
            return json_answer(_OUT_OF_ORDER, 500, headers)
        case "garbage":
            return garbage(headers)
        case "drop":
            return DroppedConnection()
        case "delay":
            raise ValueError("a delayed request keeps its own answer")
