"""The templates' engine, and the mails made with it. Pages are made in `core.pages` with the same engine.

The mails' style sheet is written into the templates' `style` attributes once, when the engine is built: mail
programs ignore style sheets, and doing it for each mail would cost more than everything else about it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import css_inline
from babel.dates import format_date
from jinja2 import BaseLoader, Environment, PackageLoader, StrictUndefined, Template, select_autoescape
from markupsafe import Markup, escape

from core.errors import InvalidInputError
from core.models.statuses import EmailType
from core.money import format_money

NOTE_LIMIT = 1000
SUBJECT_LIMIT = 78
_HEX_COLOR = re.compile(r"#[0-9a-fA-F]{6}")
_TAG = re.compile(r"\{%.*?%\}|\{#.*?#\}", re.DOTALL)
_HIDDEN_TAG = re.compile(r"<!--(\{%.*?%\}|\{#.*?#\})-->", re.DOTALL)


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two `#rrggbb` colors, from 1 to 21, as WCAG 2.2 defines it."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(color: str) -> float:
    channels = (int(color[start : start + 2], 16) / 255 for start in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@dataclass(frozen=True, slots=True)
class Brand:
    """How a club presents itself: its name, its color as `#rrggbb`, and the address that answers questions.

    Raises:
        InvalidInputError: where the color is anything else; it is put into style attributes.
    """

    club_name: str
    color: str
    reply_to: str | None

    def __post_init__(self) -> None:
        if not _HEX_COLOR.fullmatch(self.color):
            raise InvalidInputError(f"“{self.color}” is not a color; write it like #0b6e4f")

    @property
    def text_color(self) -> str:
        """Black or white, whichever reads better on the club's color; never less than 4.5 to 1."""
        return max("#ffffff", "#000000", key=lambda color: contrast(color, self.color))

    @property
    def edge_color(self) -> str:
        """An outline that shows where a button in the club's color ends on a white ground."""
        return self.color if contrast(self.color, "#ffffff") >= 3 else self.text_color


@dataclass(frozen=True, slots=True)
class MailItem:
    """One line of a mail: what is owed for whom, in cents, and where it is paid."""

    player_name: str
    description: str
    amount_cents: int
    due_date: date | None
    pay_url: str
    # Who pays it, where this guardian only gets a copy; else empty.
    usually_paid_by: str = ""


@dataclass(frozen=True, slots=True)
class FamilyMail:
    """What one mail tells one family. `note` is plain text that somebody of the club typed.

    Raises:
        InvalidInputError: where the note is longer than `NOTE_LIMIT` characters.
    """

    kind: EmailType
    brand: Brand
    currency: str
    greeting_name: str
    items: tuple[MailItem, ...]
    total_cents: int
    balance_url: str
    today: date
    note: str = ""

    def __post_init__(self) -> None:
        if len(self.note) > NOTE_LIMIT:
            raise InvalidInputError(f"A note has {NOTE_LIMIT:,} characters at most; this has {len(self.note):,}.")

    @property
    def first_names(self) -> tuple[str, ...]:
        """The players once each, in order, by first name; by whole name where first names are shared."""
        names = tuple(dict.fromkeys(one_line(item.player_name) for item in self.items))
        short = tuple(name.partition(" ")[0] for name in names)
        return short if len(set(short)) == len(names) else names


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptMail(FamilyMail):
    """What a receipt tells of one payment: `items` has what it was for, `total_cents` is what was paid (cents)."""

    paid_on: date
    # How, in words: `card`, `check 1041`.
    method: str
    # What is left to pay on the item in cents; negative where more came in than was owed.
    left_cents: int
    statement_url: str
    # Who paid, where this goes to the guardian who reads along; else empty.
    copy_of: str = ""


@dataclass(frozen=True, slots=True)
class RenderedMail:
    """A mail's words, in both forms."""

    subject: str
    html: str
    text: str


class MailRenderer:
    """Makes a family's mail from its data. One is enough for a process; it keeps no state."""

    def __init__(self, environment: Environment) -> None:
        self._templates: dict[str, tuple[Template, Template]] = {
            kind: (
                environment.get_template(f"mail/{kind}.html"),
                environment.get_template(f"mail/{kind}.txt"),
            )
            for kind in _SUBJECTS
        }

    def render(self, mail: FamilyMail) -> RenderedMail:
        """Return the mail's subject, HTML and plain text.

        Raises:
            KeyError: where there are no templates for the mail's kind.
        """
        html, text = self._templates[mail.kind]
        return RenderedMail(subject_of(mail), html.render(mail=mail), text.render(mail=mail))


def subject_of(mail: FamilyMail) -> str:
    """Return the subject: one line of at most `SUBJECT_LIMIT` characters, the amount always in it."""
    total = format_amount(mail.total_cents, mail.currency)
    names = mail.first_names
    count = f"{len(names)} players" if len(names) > 1 else "your player"
    club = one_line(mail.brand.club_name)
    shortest = f"{club[: SUBJECT_LIMIT // 3].rstrip()}…"
    for club_name, players in ((club, join_names(names)), (club, count), (shortest, count)):
        subject = f"{club_name}: {_SUBJECTS[mail.kind](total, players, len(mail.items))}"
        if len(subject) <= SUBJECT_LIMIT:
            break
    return subject


def _links(total: str, players: str, count: int) -> str:
    return f"your payment {'link' if count == 1 else 'links'} for {players} ({total})"


_SUBJECTS: dict[str, Callable[[str, str, int], str]] = {
    EmailType.FIRST_PAYMENT: lambda total, players, _: f"first payment for {players} ({total})",
    EmailType.TOURNAMENT_FEE: lambda total, players, _: f"tournament fee for {players} ({total})",
    EmailType.OUTSTANDING_BALANCE: lambda total, players, _: f"{total} due for {players}",
    EmailType.PAYMENT_LINK: _links,
    EmailType.RECEIPT: lambda total, players, _: f"your receipt for {players} ({total})",
}


def build_environment() -> Environment:
    """Build the engine: templates are found in the `templates` package, an undefined name is an error."""
    environment = Environment(
        loader=_MailInliner(PackageLoader("templates", "")),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters |= {
        "money": format_amount,
        "day": format_day,
        "due": due_words,
        "line": one_line,
        "lines": _keep_line_breaks,
        "names": join_names,
    }
    return environment


class _MailInliner(BaseLoader):
    """Loads templates, and writes `mail/mail.css` into the style attributes of the mails' HTML.

    The template language's tags are comments while the HTML is taken apart, as a table may hold no loose
    text; `var(--brand)` and its like become expressions, since mail programs know no custom properties.
    """

    def __init__(self, loader: PackageLoader) -> None:
        self._loader = loader

    def get_source(
        self, environment: Environment, template: str
    ) -> tuple[str, str | None, Callable[[], bool] | None]:
        source, filename, uptodate = self._loader.get_source(environment, template)
        if template.startswith("mail/") and template.endswith(".html"):
            css = self._loader.get_source(environment, "mail/mail.css")[0]
            source = _inline(source, css)
        return source, filename, uptodate


def _inline(source: str, css: str) -> str:
    hidden = _TAG.sub(r"<!--\g<0>-->", source)
    if "<html" in source:
        styled = css_inline.CSSInliner(extra_css=css, keep_at_rules=True).inline(hidden)
    else:
        styled = css_inline.inline_fragment(hidden, css)
    styled = _HIDDEN_TAG.sub(r"\1", styled)
    for name, expression in (
        ("--on-brand", "text_color"),
        ("--brand-edge", "edge_color"),
        ("--brand", "color"),
    ):
        styled = styled.replace(f"var({name})", f"{{{{ mail.brand.{expression} }}}}")
    return styled


@lru_cache(maxsize=4096)
def format_amount(cents: int, currency: str) -> str:
    """Return an amount as families read it; remembered, since a blast repeats the same few."""
    return format_money(cents, currency)


@lru_cache(maxsize=512)
def format_day(day: date) -> str:
    """Return a date as families read it, e.g. `Dec 1, 2026`."""
    return format_date(day, "medium", locale="en_US")


def due_words(due_date: date | None, today: date) -> str:
    """Return when something is due, in words that need no color; nothing where it has no date."""
    if due_date is None:
        return ""
    if due_date == today:
        return "Due today"
    return f"Overdue since {format_day(due_date)}" if due_date < today else f"Due {format_day(due_date)}"


def one_line(text: str) -> str:
    """Return text without line breaks or control characters, so that it can't start a line of its own."""
    line = " ".join(text.split())
    if line.isprintable():
        return line
    return "".join(char for char in line if char.isprintable() or ord(char) > 0x9F)


def join_names(names: tuple[str, ...]) -> str:
    """Return names as in a sentence: `Jaxon, Mia and Leo`."""
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def _keep_line_breaks(text: str) -> Markup:
    return Markup("<br>").join(escape(line) for line in text.strip().splitlines())
