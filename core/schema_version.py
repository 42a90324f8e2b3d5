"""Migrations: which revision this program needs, and bringing a database to it."""

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.engine import URL

# Found as a package, not by the working directory: they travel inside the wheel.
_MIGRATIONS = Path(__file__).parent.parent / "migrations"


def alembic_config(url: URL | None = None) -> Config:
    """Return Alembic's configuration for the migrations that came with this program."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["url"] = url
    return config


@cache
def head_revision() -> str:
    """Return the newest revision's id."""
    head = ScriptDirectory.from_config(alembic_config()).get_current_head()
    if head is None:  # pragma: no cover - the package always holds migrations
        raise RuntimeError("no migrations found")
    return head


def is_behind(found: str | None) -> bool:
    """Say whether a database's revision is older than what this program needs.

    A newer one is no obstacle: while an upgrade is being rolled out, the version before runs on the new schema
    (docs/deploy.md). Revisions are numbers of one length.
    """
    return found is None or found < head_revision()


def migrate(url: URL, revision: str = "head") -> None:
    """Bring the database at `url` to `revision`, up or down.

    Blocking; safe to run on several machines at once.
    """
    config = alembic_config(url)
    if revision == "base" or revision.startswith("-"):
        command.downgrade(config, revision)
    else:
        command.upgrade(config, revision)
