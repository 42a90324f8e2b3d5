"""The page of promises: each test that it names exists, and each promise names one."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "security.md"
NAMED = re.compile(r"`([a-z_/]+\.py)::(test_\w+)`")


def test_every_test_that_the_page_names_exists() -> None:
    named = NAMED.findall(PAGE.read_text())
    assert len(named) > 40
    missing = [f"{file}::{name}" for file, name in named if name not in names_in(TESTS / file)]
    assert missing == []


def test_every_promise_of_the_page_names_a_test() -> None:
    rows = [
        line for line in PAGE.read_text().splitlines() if re.match(r"\| (?!it never|somebody… \| is met)", line)
    ]
    assert len(rows) > 25
    assert [row for row in rows if not NAMED.search(row)] == []


def names_in(file: Path) -> set[str]:
    tree = ast.parse(file.read_text()) if file.exists() else ast.Module([], [])
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds)}
