"""`sideline …`: every command, and what their errors look like."""

import signal
import sys
from types import FrameType

import structlog
import typer
from rich.console import Console
from sqlalchemy.exc import OperationalError

from cli import (
    billing,
    blasts,
    club,
    demo,
    exports,
    guardians,
    holds,
    importing,
    payments,
    player_fees,
    process,
    reconcile,
    reminders,
    repairs,
    setup,
    statements,
    tournaments,
)
from core.errors import SidelineError
from core.logs import configure_logging
from core.references import new_reference

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Billing for youth clubs, done from Slack. What imports, charges, mints, mails or repairs is a dry run "
    "unless --commit is given.",
)
setup.add_to(app)
process.add_to(app)
importing.add_to(app)
billing.add_to(app)
blasts.add_to(app)
tournaments.add_to(app)
club.add_to(app)
payments.add_to(app)
player_fees.add_to(app)
statements.add_to(app)
guardians.add_to(app)
reminders.add_to(app)
holds.add_to(app)
exports.add_to(app)
repairs.add_to(app)
reconcile.add_to(app)
demo.add_to(app)


def main() -> None:
    """Entry point of the console script."""
    # Without this a terminated command would leave the embedded PostgreSQL running.
    signal.signal(signal.SIGTERM, _exit_cleanly)
    configure_logging()
    try:
        app()
    except SidelineError as error:
        Console(stderr=True).print(str(error), markup=False, highlight=False, soft_wrap=True)
        sys.exit(2)
    except OperationalError as error:
        reason = str(error.orig or error).strip().splitlines()[0]
        message = f"DATABASE_URL: the database can't be reached: {reason}"
        Console(stderr=True).print(message, markup=False, highlight=False, soft_wrap=True)
        sys.exit(2)
    except Exception:  # noqa: BLE001 - the last door: a reference for people, the rest for the log
        reference = new_reference()
        structlog.get_logger(__name__).exception("command_failed", reference=reference)
        message = f"Something went wrong on our side. The log above has it under {reference}."
        Console(stderr=True).print(message, markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)


def _exit_cleanly(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(128 + signal.SIGTERM)
