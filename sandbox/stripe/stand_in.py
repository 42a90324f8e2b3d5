"""A local stand-in of Stripe that refuses what the real one refuses."""

from collections.abc import Callable, Sequence
from datetime import datetime

from starlette.applications import Starlette
from starlette.routing import Route

from sandbox.stripe.acting import Acting
from sandbox.stripe.api import Api
from sandbox.stripe.books import Books, Json, utcnow
from sandbox.stripe.calls import RecordedRequest
from sandbox.stripe.courier import PAUSES_SECONDS, Courier
from sandbox.stripe.dashboard import Dashboard
from sandbox.stripe.faults import Faults
from sandbox.stripe.pace import Pace
from sandbox.stripe.pages import Pages

PER_SECOND = 25


class StripeStandIn(Acting):
    """One account with one webhook.

    Serve `app` somewhere and set `base_url` to that address; the product then gets it as Stripe's. Amounts are in
    cents, times in UTC.

    Args:
        secret_key: the key that opens the API.
        webhook_secret: signs what is sent to the webhook.
        webhook_url: where events go; None for nowhere. May be set later.
        clock: the time that everything goes by, except the rate limit.
        auto_deliver: whether events are delivered by themselves, in the background and with retries.
        max_per_second: how many requests an endpoint takes in a second; None for no limit.
        retry_pauses: seconds to wait before each further try to deliver.
    """

    def __init__(
        self,
        *,
        secret_key: str,
        webhook_secret: str,
        webhook_url: str | None = None,
        clock: Callable[[], datetime] = utcnow,
        auto_deliver: bool = True,
        max_per_second: int | None = PER_SECOND,
        retry_pauses: Sequence[float] = PAUSES_SECONDS,
    ) -> None:
        super().__init__(Books(clock), Courier(webhook_url, webhook_secret, clock, retry_pauses))
        self.auto_deliver = auto_deliver
        self.books.on_event = self._on_event
        self._api = Api(self.books, secret_key, Pace(max_per_second))
        self.app = Starlette(
            routes=[
                Route("/v1/{rest:path}", self._api.handle, methods=["GET", "POST", "DELETE"]),
                *Pages(self).routes(),
                *Dashboard(self).routes(),
            ]
        )

    @property
    def base_url(self) -> str:
        """Where `app` is served, without a slash at the end; links and sessions lead there."""
        return self.books.base_url

    @base_url.setter
    def base_url(self, address: str) -> None:
        self.books.base_url = address.rstrip("/")

    @property
    def requests(self) -> list[RecordedRequest]:
        """Every request to the API, oldest first."""
        return self._api.requests

    @property
    def faults(self) -> Faults:
        """What the next requests to the API go through."""
        return self._api.faults

    def _on_event(self, event: Json) -> None:
        if self.auto_deliver:
            self._courier.post(event)
