"""The product's settings: environment variables and a `.env` file, checked before anything starts."""

import re
import secrets
from functools import cached_property
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import platformdirs
from pydantic import AfterValidator, BeforeValidator, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from core.errors import SettingsError


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _starts_with(*schemes: str) -> AfterValidator:
    def check(value: str) -> str:
        if not value.startswith(schemes) or not urlsplit(value).netloc:
            expected = " or ".join(f"{scheme}…" for scheme in schemes)
            message = f"should look like {expected}"
            raise ValueError(message)
        return value

    return AfterValidator(check)


def _blank_is_unset(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


def _secret_starts_with(*prefixes: str) -> AfterValidator:
    def check(value: SecretStr) -> SecretStr:
        if not value.get_secret_value().startswith(prefixes):
            message = "should start with " + " or ".join(prefixes)
            raise ValueError(message)
        return value

    return AfterValidator(check)


def _are_people(value: tuple[str, ...]) -> tuple[str, ...]:
    for entry in value:
        if not _PERSON.match(entry):
            message = f"“{entry}” is no member's or user group's id; those look like U0123ABCD or S0123ABCD"
            raise ValueError(message)
    return value


def _are_networks(value: tuple[str, ...]) -> tuple[str, ...]:
    for entry in value:
        try:
            ip_network(entry)
        except ValueError:
            message = f"“{entry}” is no address or network of a proxy; those look like 10.0.0.7 or 10.0.0.0/8"
            raise ValueError(message) from None
    return value


def _is_channel(value: str | None) -> str | None:
    if value is not None and not _CHANNEL.match(value):
        message = f"“{value}” is no channel's id; those look like C0123ABCD (at the end of the channel's details)"
        raise ValueError(message)
    return value


def _no_publishable_key(value: SecretStr | None) -> SecretStr | None:
    if value is not None and value.get_secret_value().startswith("pk_"):
        message = "that is the publishable key; the secret key starts with sk_ (or rk_, where restricted)"
        raise ValueError(message)
    return value


_PERSON = re.compile(r"[UWS][A-Z0-9]+\Z")
_CHANNEL = re.compile(r"[CGD][A-Z0-9]+\Z")
CommaSeparated = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
Blankable = BeforeValidator(_blank_is_unset)
Networks = Annotated[tuple[str, ...], NoDecode, AfterValidator(_are_networks), BeforeValidator(_split)]
People = Annotated[tuple[str, ...], NoDecode, AfterValidator(_are_people), BeforeValidator(_split)]
Channel = Annotated[str | None, AfterValidator(_is_channel), Blankable]


def default_data_dir() -> Path:
    """Return the platform's user data folder.

    Where that has a space in it (macOS), a folder in the home directory: the embedded PostgreSQL can't be
    started from a path with spaces.
    """
    folder = platformdirs.user_data_path("sideline")
    return Path.home() / ".sideline" if " " in str(folder) else folder


class Settings(BaseSettings):
    """Every setting, by its public name in lower case. See the README's table."""

    model_config = SettingsConfigDict(env_file=".env", env_file_encoding="utf-8", extra="ignore")

    database_url: Annotated[str | None, Blankable] = None
    sideline_data_dir: Path = default_data_dir()
    public_url: Annotated[str, _starts_with("http://", "https://")] = "http://127.0.0.1:8000"
    secret_key: Annotated[SecretStr | None, Blankable] = None
    trusted_proxies: Networks = ("127.0.0.1", "::1")
    admin_api_token: CommaSeparated = ()

    stripe_secret_key: Annotated[SecretStr | None, AfterValidator(_no_publishable_key), Blankable] = None
    stripe_api_base: Annotated[str | None, Blankable] = None
    stripe_webhook_secret: CommaSeparated = ()

    slack_bot_token: Annotated[SecretStr | None, Blankable] = None
    slack_signing_secret: Annotated[SecretStr | None, Blankable] = None
    slack_app_token: Annotated[SecretStr | None, Blankable] = None
    slack_client_id: Annotated[str | None, Blankable] = None
    slack_client_secret: Annotated[SecretStr | None, Blankable] = None
    slack_api_base_url: Annotated[str, _starts_with("http://", "https://")] = "https://slack.com/api/"
    slack_payments_channel: Channel = None
    slack_approvals_channel: Channel = None
    slack_admins: People = ()
    slack_coaches: People = ()

    smtp_url: Annotated[SecretStr | None, Blankable] = None
    gmail_service_account_file: Annotated[Path | None, Blankable] = None
    gmail_api_base: Annotated[str, _starts_with("http://", "https://")] = "https://gmail.googleapis.com"
    mail_from: Annotated[str | None, Blankable] = None

    sentry_dsn: Annotated[SecretStr | None, Blankable] = None
    otel_exporter_otlp_endpoint: Annotated[str | None, Blankable] = None

    @model_validator(mode="after")
    def _belongs_together(self) -> "Settings":
        if self.database_url is not None:
            self._check_database_url(self.database_url)
            if self.secret_key is None:
                raise ValueError(
                    "SECRET_KEY: needed with DATABASE_URL; any long random text, the same on every machine"
                )
        if self.slack_bot_token and not (self.slack_signing_secret or self.slack_app_token):
            raise ValueError(
                "SLACK_SIGNING_SECRET: needed with SLACK_BOT_TOKEN; see the Slack app's Basic Information"
            )
        self._check_install()
        self._check_mail()
        return self

    def _check_install(self) -> None:
        if (self.slack_client_id is None) != (self.slack_client_secret is None):
            missing = "SLACK_CLIENT_ID" if self.slack_client_id is None else "SLACK_CLIENT_SECRET"
            raise ValueError(f"{missing}: both or neither; see the Slack app's Basic Information")
        if self.slack_client_id and not (self.slack_signing_secret or self.slack_app_token):
            raise ValueError(
                "SLACK_SIGNING_SECRET: needed with SLACK_CLIENT_ID; see the Slack app's Basic Information"
            )

    def _check_mail(self) -> None:
        if self.smtp_url and self.gmail_service_account_file:
            raise ValueError("SMTP_URL: set either this or GMAIL_SERVICE_ACCOUNT_FILE, not both")
        if self.gmail_service_account_file and not self.mail_from:
            raise ValueError(
                "MAIL_FROM: needed with GMAIL_SERVICE_ACCOUNT_FILE; the Workspace user to send as, "
                'like "Club <billing@club.example>"'
            )
        if self.smtp_url:
            if not self.smtp_url.get_secret_value().startswith(("smtp://", "smtps://")):
                raise ValueError(
                    "SMTP_URL: should look like smtp://user:password@host:587 or smtps://user:password@host"
                )
            if not self.mail_from:
                raise ValueError('MAIL_FROM: needed with SMTP_URL; should look like "Club <billing@club.example>"')

    @staticmethod
    def _check_database_url(url: str) -> None:
        if not url.startswith(("postgresql://", "postgres://", "postgresql+psycopg://")):
            raise ValueError("DATABASE_URL: should look like postgresql://user:password@host/database")

    @property
    def base_url(self) -> str:
        """`PUBLIC_URL` without a slash at its end."""
        return self.public_url.rstrip("/")

    @property
    def is_slack_on(self) -> bool:
        """Whether there is a bot token, or workspaces may bring their own by installing the app."""
        return self.slack_bot_token is not None or self.slack_client_id is not None

    @property
    def approvals_channel(self) -> str | None:
        """Where blasts are approved: the payments channel unless told otherwise."""
        return self.slack_approvals_channel or self.slack_payments_channel

    @property
    def port(self) -> int:
        """The port to listen on by default: `PUBLIC_URL`'s own where that is this machine, else 8000."""
        url = urlsplit(self.public_url)
        is_local = url.hostname in {"127.0.0.1", "localhost", "::1"}
        return (url.port if is_local else None) or 8000

    @cached_property
    def signing_keys(self) -> tuple[str, ...]:
        """The keys in `SECRET_KEY`, the one to sign and encrypt with first; the others are still read.

        A key with commas in it goes on as it is: it stays the last to be read.
        """
        given = self.signing_key
        keys = tuple(part.strip() for part in given.split(",") if part.strip())
        return keys if len(keys) == 1 and keys[0] == given else (*keys, given)

    @cached_property
    def signing_key(self) -> str:
        """What `SECRET_KEY` holds or, where it is unset, a key generated once into the data folder."""
        if self.secret_key is not None:
            return self.secret_key.get_secret_value()
        file = self.sideline_data_dir / "secret_key"
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            with file.open("x", encoding="ascii") as new:
                file.chmod(0o600)
                new.write(secrets.token_urlsafe(48))
        except FileExistsError:
            pass  # made by an earlier start, or by another process just now
        return file.read_text(encoding="ascii").strip()


def load_settings() -> Settings:
    """Read the settings.

    Raises:
        SettingsError: naming the setting and what it should look like, in one line.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"]).upper()
        text = first["msg"].removeprefix("Value error, ")
        raise SettingsError(f"{name}: {text}" if name else text) from None
