"""Pages from templates."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from babel.numbers import format_currency, get_currency_precision
from jinja2 import Environment, FileSystemLoader
from starlette.responses import HTMLResponse

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"


def money(amount: int, currency: str) -> str:
    """An amount in a currency's smallest unit, as people write it."""
    code = currency.upper()
    return format_currency(Decimal(amount).scaleb(-get_currency_precision(code)), code, locale="en_US")


def moment(seconds: int) -> str:
    """Seconds since 1970, as a time in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%d %b %H:%M:%S UTC")


_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters.update(money=money, moment=moment)


def render(template: str, status: int = 200, **values: object) -> HTMLResponse:
    """A page; nothing on it is fetched from anywhere."""
    text = _TEMPLATES.get_template(template).render(**values)
    return HTMLResponse(text, status, {"Content-Security-Policy": _POLICY, "Cache-Control": "no-store"})
