"""Checks each setting against the real thing."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from slack_sdk.errors import SlackClientError
from slack_sdk.web.async_client import AsyncWebClient
from sqlalchemy.exc import OperationalError, ProgrammingError

from bot.manifest import BOT_SCOPES
from cli.runtime import prepare_database
from core.club import all_clubs
from core.errors import SidelineError
from core.services import Services, build_services
from core.settings import Settings

PATIENCE_SECONDS = 20
SAFE_KEY_LENGTH = 24


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's report."""

    subject: str
    is_fine: bool
    words: str


Check = Callable[[Services], Awaitable[str]]


async def diagnose(settings: Settings) -> list[Finding]:
    """Check everything; one failing check doesn't stop the others."""
    services = build_services(settings, await asyncio.to_thread(prepare_database, settings))
    try:
        return [await _finding(subject, check, services) for subject, check in CHECKS.items()]
    finally:
        await services.close()


async def _finding(subject: str, check: Check, services: Services) -> Finding:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return Finding(subject, is_fine=True, words=await check(services))
    except TimeoutError:
        return Finding(subject, is_fine=False, words=f"no answer within {PATIENCE_SECONDS} s")
    except (SidelineError, SlackClientError, OSError) as error:
        return Finding(subject, is_fine=False, words=" ".join(str(error).split()))
    except ProgrammingError:
        return Finding(subject, is_fine=False, words="the database's schema is not ready; see above")
    except Exception as error:  # noqa: BLE001 - a doctor reports whatever ails, and goes on
        return Finding(
            subject, is_fine=False, words=f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        )


async def _database(services: Services) -> str:
    try:
        await services.database.check_schema()
    except OperationalError as error:
        raise SidelineError(f"can't be reached: {str(error.orig or error).strip().splitlines()[0]}") from None
    async with services.database.transaction() as conn:
        clubs = await all_clubs(conn)
    where = "embedded" if services.settings.database_url is None else services.database.url.host or "own server"
    if not clubs:
        raise SidelineError('reachable, but there is no club yet: run `sideline init --club "Your club"`')
    return f"{where}, schema up to date, {', '.join(club.name for club in clubs)}"


async def _slack(services: Services) -> str:
    settings = services.settings
    if settings.slack_bot_token is None:
        raise SidelineError("SLACK_BOT_TOKEN is not set, so Slack is off")
    base_url = settings.slack_api_base_url.rstrip("/") + "/"
    client = AsyncWebClient(settings.slack_bot_token.get_secret_value(), base_url=base_url)
    answer = await client.auth_test()
    granted = set(answer.headers.get("x-oauth-scopes", "").replace(" ", "").split(","))
    missing = sorted(set(BOT_SCOPES) - granted)
    if missing:
        raise SidelineError(f"the token lacks {', '.join(missing)}; reinstall the app from the manifest")
    if not settings.slack_payments_channel:
        raise SidelineError("SLACK_PAYMENTS_CHANNEL is not set, so payments would go unannounced")
    return f"{answer['team']} ({answer['team_id']}) as {answer['user']}, all scopes"


async def _people(services: Services) -> str:
    admins, coaches = services.settings.slack_admins, services.settings.slack_coaches
    if not admins:
        raise SidelineError("SLACK_ADMINS is empty, so nobody can approve anything")
    return f"{len(admins)} in SLACK_ADMINS, {len(coaches)} in SLACK_COACHES"


async def _stripe(services: Services) -> str:
    if services.gateway is None:
        raise SidelineError("STRIPE_SECRET_KEY is not set, so no link can be made")
    account = await services.gateway.account()
    return f"{account.name} ({account.id}), {'live' if account.is_live else 'test'} mode"


async def _webhook(services: Services) -> str:
    secrets = services.settings.stripe_webhook_secret
    if not secrets:
        raise SidelineError("STRIPE_WEBHOOK_SECRET is not set, so payments would never be heard of")
    if not all(secret.startswith("whsec_") for secret in secrets):
        raise SidelineError("STRIPE_WEBHOOK_SECRET should start with whsec_, as Stripe's signing secrets do")
    return f"{len(secrets)} signing secret(s); point Stripe at {services.settings.base_url}/webhooks/stripe"


async def _mail(services: Services) -> str:
    if not services.mailer.is_on:
        raise SidelineError("SMTP_URL (or GMAIL_SERVICE_ACCOUNT_FILE) and MAIL_FROM are not set, so mail is off")
    await services.mailer.check()
    by_gmail = services.settings.gmail_service_account_file is not None
    return f"{'Gmail takes it' if by_gmail else 'logged in'}, sending as {services.settings.mail_from}"


async def _admin_api(services: Services) -> str:
    if not services.settings.admin_api_token:
        raise SidelineError("ADMIN_API_TOKEN is not set, so the admin endpoints answer 503")
    return f"{len(services.settings.admin_api_token)} token(s)"


async def _public_url(services: Services) -> str:
    url, key = services.settings.public_url, services.settings.stripe_secret_key
    is_live = key is not None and "_live_" in key.get_secret_value()
    if is_live and not url.startswith("https://"):
        raise SidelineError(f"PUBLIC_URL is {url}; families need an https:// address")
    if min(map(len, services.settings.signing_keys)) < SAFE_KEY_LENGTH:
        raise SidelineError(f"SECRET_KEY is short; make it {SAFE_KEY_LENGTH} random characters or more")
    return url


CHECKS: dict[str, Check] = {
    "Database": _database,
    "Public address": _public_url,
    "Slack": _slack,
    "People": _people,
    "Stripe": _stripe,
    "Stripe webhook": _webhook,
    "Mail": _mail,
    "Admin endpoints": _admin_api,
}
