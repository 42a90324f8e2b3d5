"""Refuses migrations that would stop a busy club: run by `make check`, exits 1 where one would.

The migrations that are newer than `RELEASED` are run on an empty database, and the SQL that they really send, with
its transactions, is given to squawk (https://squawkhq.com), which knows what locks a table or breaks the version
that is still running. A migration that must do so all the same is listed in `ALLOWED` with the reason.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, event
from sqlalchemy.engine import make_url

from core.embedded_postgres import start_embedded, stop_embedded
from core.schema_version import alembic_config

# The newest migration that was made before anybody had data; from then on, none may stop a club.
RELEASED = "0004"
# A migration and a rule, and why it may.
ALLOWED: Mapping[tuple[str, str], str] = {
    ("0005", "constraint-missing-not-valid"): "of `tenants`, which has a row a club",
    ("0005", "disallowed-unique-constraint"): "of `tenants`, which has a row a club",
}
# squawk's rules about taste, or about what this project has decided otherwise, and why.
LEFT_OUT: Mapping[str, str] = {
    "prefer-robust-stmts": "Alembic runs each migration once, in a transaction",
    "prefer-text-field": "the models' types are SQLAlchemy's to write",
    "prefer-identity": "the models decide",
    "prefer-bigint-over-int": "the models decide",
    "prefer-bigint-over-smallint": "the models decide",
    "prefer-timestamptz": "the models decide, and Slack's own tables have none",
    "ban-drop-table": "tables of a version that is gone may go",
}
# What changes nothing, and Alembic's own note of where it is.
_NO_CHANGE = re.compile(r"\s*(select|show|savepoint|release)\b|.*\balembic_version\b", re.IGNORECASE | re.DOTALL)
_FINDING = re.compile(
    r"^(?P<file>[^:\n]+):(?P<line>\d+):\d+: (?P<level>\w+): (?P<rule>[\w-]+) (?P<words>.*)$", re.MULTILINE
)


def main() -> int:
    """Run the newer migrations on a database of their own, and have them checked."""
    folder = Path(tempfile.mkdtemp(prefix="sideline-migrations-"))
    try:
        url = make_url(start_embedded(folder)).set(drivername="postgresql+psycopg")
        findings = check(alembic_config(url), after=RELEASED)
        stop_embedded(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for finding in findings:
        print(finding)
    print("Migrations: none of them stops a club." if not findings else "Make them harmless (docs/deploy.md).")
    return 1 if findings else 0


def check(config: Config, *, after: str) -> list[str]:
    """Return what is wrong with the migrations after a revision, one line each; they are run on the way.

    The configuration's database is at `after` or before it.
    """
    command.upgrade(config, after)
    newer = [script.revision for script in ScriptDirectory.from_config(config).iterate_revisions("head", after)]
    findings: list[str] = []
    for revision in reversed(newer):
        with recorded() as statements:
            command.upgrade(config, revision)
        findings += _lint(revision, sql_of(statements))
    return findings


Statement = tuple[str, bool]


@contextmanager
def recorded() -> Iterator[list[Statement]]:
    """Give every statement that is sent to any database inside, and whether it was in a transaction."""
    statements: list[Statement] = []

    class Recording(psycopg.Cursor[Any]):
        def execute(self, query: Any, *given: Any, **options: Any) -> "Recording":  # noqa: ANN401 - psycopg's own
            statements.append((str(query), not self.connection.autocommit))
            super().execute(query, *given, **options)
            return self

    def record(connection: psycopg.Connection[Any], _record: object) -> None:
        connection.cursor_factory = Recording

    event.listen(Engine, "connect", record)
    try:
        yield statements
    finally:
        event.remove(Engine, "connect", record)


def sql_of(statements: list[Statement]) -> str:
    """Return statements as a script, with its transactions written out."""
    lines: list[str] = []
    is_open = False
    for statement, in_transaction in statements:
        if _NO_CHANGE.match(statement):
            continue
        if in_transaction != is_open and not statement.lower().startswith("set "):
            lines.append("begin;" if in_transaction else "commit;")
            is_open = in_transaction
        lines.append(statement.strip().rstrip(";") + ";")
    return "\n".join([*lines, "commit;"] if is_open else lines)


def _lint(revision: str, sql: str) -> list[str]:
    linter = Path(sys.executable).with_name("squawk")
    rules = ",".join(LEFT_OUT)
    options = ["--reporter", "Gcc", "--pg-version", "15.0", "--exclude", rules, "--stdin-filepath", revision]
    done = subprocess.run([linter, *options], input=sql, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603 - our own linter
    found = [match for match in _FINDING.finditer(done.stdout) if (revision, match["rule"]) not in ALLOWED]
    if done.returncode and not _FINDING.search(done.stdout):
        return [f"migration {revision}: squawk could not read it: {(done.stdout + done.stderr).strip()}"]
    lines = sql.splitlines()
    return [
        f"migration {match['file']}: {match['rule']}: {match['words']} [{lines[int(match['line'])].strip()[:100]}]"
        for match in found
    ]


if __name__ == "__main__":
    sys.exit(main())
