from pathlib import Path

import pytest
from pydantic import SecretStr

from core.database import database_url
from core.errors import SettingsError
from core.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def test_everything_has_a_default() -> None:
    settings = load_settings()
    assert settings.database_url is None
    assert settings.port == 8000
    assert settings.slack_admins == ()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PUBLIC_URL", "example.com", "https://"),
        ("DATABASE_URL", "mysql://x", "postgresql://"),
        ("DATABASE_URL", "postgresql://u:p@h/d", "SECRET_KEY"),
        ("SMTP_URL", "http://mail", "smtp://"),
        ("SMTP_URL", "smtp://mail:25", "MAIL_FROM"),
        ("GMAIL_SERVICE_ACCOUNT_FILE", "key.json", "MAIL_FROM"),
        ("GMAIL_API_BASE", "gmail", "GMAIL_API_BASE"),
        ("SLACK_BOT_TOKEN", "xoxb-1", "SLACK_SIGNING_SECRET"),
        ("SLACK_API_BASE_URL", "slack.com", "SLACK_API_BASE_URL"),
    ],
)
def test_a_bad_setting_is_named_in_one_line(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as error:
        load_settings()
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_mail_goes_one_way_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMTP_URL", "smtp://mail:25")
    monkeypatch.setenv("GMAIL_SERVICE_ACCOUNT_FILE", "key.json")
    monkeypatch.setenv("MAIL_FROM", "billing@club.example")
    with pytest.raises(SettingsError, match=r"^SMTP_URL: set either this or GMAIL_SERVICE_ACCOUNT_FILE"):
        load_settings()


def test_lists_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_ADMINS", "U1, U2 ,,S3")
    assert load_settings().slack_admins == ("U1", "U2", "S3")


def test_a_dotenv_file_is_read(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SLACK_PAYMENTS_CHANNEL=C1\n")
    settings = load_settings()
    assert settings.slack_payments_channel == "C1"
    assert settings.approvals_channel == "C1"


def test_the_port_follows_a_public_address_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUBLIC_URL", "http://127.0.0.1:9123/")
    assert load_settings().port == 9123
    assert load_settings().base_url == "http://127.0.0.1:9123"
    monkeypatch.setenv("PUBLIC_URL", "https://pay.club.example:8443")
    assert load_settings().port == 8000


def test_a_signing_key_is_made_once_and_kept_private(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SIDELINE_DATA_DIR", str(tmp_path / "data"))
    first = load_settings().signing_key
    assert len(first) > 40
    assert load_settings().signing_key == first
    assert (tmp_path / "data" / "secret_key").stat().st_mode & 0o077 == 0


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIPE_SECRET_KEY", "sk_test_hidden")
    assert "hidden" not in repr(load_settings())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SLACK_ADMINS", "bob"),
        ("SLACK_COACHES", "U0123ABCD, @casey"),
        ("SLACK_PAYMENTS_CHANNEL", "#payments"),
        ("STRIPE_SECRET_KEY", "pk_test_made_up"),
    ],
)
def test_what_cannot_be_right_is_named(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=rf"^{name}: "):
        load_settings()


def test_a_database_server_that_is_lost_is_noticed_soon_unless_told_otherwise() -> None:
    given = "postgresql://club@db.example.com/club?tcp_user_timeout=60000&sslmode=require"
    url = database_url(Settings(database_url=given, secret_key=SecretStr("a made-up key")))
    assert url.drivername == "postgresql+psycopg"
    assert url.query["keepalives_idle"] == "10"
    assert url.query["tcp_user_timeout"] == "60000"
    assert url.query["sslmode"] == "require"
