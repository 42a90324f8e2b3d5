"""The tables of docs/benchmarks.md, and the page itself: a run replaces the tables that it measured."""

from collections.abc import Sequence
from pathlib import Path

from tests.bench.load import Timing

PAGE = Path(__file__).parent.parent.parent / "docs" / "benchmarks.md"
_HEADING = "## "


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table with a heading; the first column has no name."""
    lines = [f"{_HEADING}{title}", "", f"| | {' | '.join(head)} |", "|---" * (len(head) + 1) + "|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"


def timing_table(title: str, rows: Sequence[tuple[str, Timing]]) -> str:
    """Return a table of requests; the first row is the reference of the ratios."""
    reference = rows[0][1].per_second
    head = ("ratio", "a second", "p50 ms", "p95 ms", "p99 ms")
    return table(
        title,
        head,
        [
            (
                name,
                f"{timing.per_second / reference:.2f}",
                f"{timing.per_second:,.0f}",
                *(f"{timing.percentile(percent):.1f}" for percent in (50, 95, 99)),
            )
            for name, timing in rows
        ],
    )


def write(measured: str, page: Path = PAGE) -> None:
    """Put tables on the page, each in the place of the one with its title, new ones at the end."""
    head, sections = _sections(page.read_text(encoding="utf-8"))
    sections |= _sections(measured)[1]
    page.write_text("\n\n".join([head, *sections.values()]) + "\n", encoding="utf-8")


def _sections(text: str) -> tuple[str, dict[str, str]]:
    head, *parts = f"\n{text}".split(f"\n{_HEADING}")
    return head.strip(), {part.partition("\n")[0]: f"{_HEADING}{part.strip()}" for part in parts}
