"""How commands report: a few lines for people, and one JSON object for scripts."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Commit = Annotated[bool, typer.Option("--commit", help="Really do it. Without this nothing is written or sent.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line.")]
ClubName = Annotated[str | None, typer.Option("--club", help="Which club, where there are several.")]

LISTED = 20


def say(text: str) -> None:
    """Print a line for people; names are printed as typed, never read as markup."""
    Console(highlight=False).print(text, markup=False, soft_wrap=True)


def say_list(lines: Iterable[str], *, all_of_them: bool = False) -> None:
    """Print an indented list; a long one is cut unless all of it matters."""
    rows = list(lines)
    shown = rows if all_of_them else rows[:LISTED]
    for row in shown:
        say(f"  {row}")
    if len(rows) > len(shown):
        say(f"  … and {len(rows) - len(shown)} more")


def finish(result: dict[str, Any], *, commit: bool, as_json: bool, failed: int = 0) -> None:
    """End a command: remind of a dry run, print the JSON, exit with 1 where something failed."""
    if not commit:
        say("This was a dry run: nothing was written or sent. Add --commit to do it.")
    if as_json:
        print_json({**result, "committed": commit})
    if failed:
        raise typer.Exit(1)


def print_json(result: dict[str, Any]) -> None:
    """Print the one JSON object that scripts read."""
    typer.echo(json.dumps(result, ensure_ascii=False))


@contextmanager
def progress_bar(title: str, total: int | None) -> Iterator[Progress]:
    """Show a progress bar on a terminal; elsewhere nothing. Advance it with `progress.advance(task)`.

    Where the total is not known (None) it only moves.
    """
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        progress.add_task(title, total=total)
        yield progress
