"""The smallest Django project with dj-stripe's webhook: `python -m tests.bench.dj_stripe_site PORT`.

It runs in an environment of its own, so it imports nothing of the product. The database is in `BENCH_DATABASE`.
Stripe's answers are made up here: what is measured is dj-stripe without its calls to Stripe.
"""

import json
import os
import sys
from collections.abc import Mapping
from urllib.parse import urlsplit

import django
import stripe
import uvicorn
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.management import call_command
from django.urls import include, path
from psycopg.conninfo import conninfo_to_dict

SECRET = "whsec_bench"
ENDPOINT = "00000000-0000-4000-8000-000000000001"

_given = conninfo_to_dict(os.environ["BENCH_DATABASE"])
settings.configure(
    SECRET_KEY="a made-up key for benchmarks",
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    # Says how long an answer is, which whoever measures reads.
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "djstripe"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": _given["dbname"],
            "USER": _given.get("user", ""),
            "PASSWORD": _given.get("password", ""),
            "HOST": _given.get("host", ""),
            "PORT": _given.get("port", ""),
            # Under ASGI each request has a thread of its own, and a connection kept for it is never used again.
            "OPTIONS": {"pool": {"min_size": 4, "max_size": 16}},
        }
    },
    # The tables as they are now, without the way there, which takes a minute.
    MIGRATION_MODULES={"auth": None, "contenttypes": None, "djstripe": None},
    STRIPE_LIVE_MODE=False,
    STRIPE_TEST_SECRET_KEY="sk_test_" + 24 * "0",
    DJSTRIPE_FOREIGN_KEY_TO_FIELD="id",
    LOGGING_CONFIG=None,
)
django.setup()

urlpatterns = [path("", include("djstripe.urls", namespace="djstripe"))]


class MadeUpStripe(stripe.HTTPClient):
    """Answers at once: an account, or a session without an intent, which saves dj-stripe a second object."""

    name = "made-up"

    def request(
        self,
        method: str,  # noqa: ARG002 - the shape of a client
        url: str,
        headers: Mapping[str, str] | None,  # noqa: ARG002 - the same
        post_data: object = None,  # noqa: ARG002 - the same
        *,
        _usage: list[str] | None = None,
    ) -> tuple[str, int, Mapping[str, str]]:
        """Answer one request."""
        *_, kind, name = urlsplit(url).path.split("/")
        answer: dict[str, object] = {"id": "acct_test_bench", "object": "account", "settings": {}}
        if kind == "sessions":
            answer = {"id": name, "object": "checkout.session", "payment_intent": None, "livemode": False}
        return json.dumps(answer), 200, {}


def main() -> None:
    """Make the tables and the endpoint, then serve until told to stop."""
    from djstripe.models import WebhookEndpoint  # noqa: PLC0415 - only once Django is set up

    stripe.default_http_client = MadeUpStripe()
    call_command("migrate", run_syncdb=True, verbosity=0)
    WebhookEndpoint.objects.create(
        id="we_test_bench",
        djstripe_uuid=ENDPOINT,
        secret=SECRET,
        url="http://127.0.0.1/",
        enabled_events=["*"],
        livemode=False,
        status="enabled",
    )
    uvicorn.run(get_asgi_application(), port=int(sys.argv[1]), log_level="error", access_log=False, lifespan="off")


if __name__ == "__main__":
    main()
