"""What a run did and found, in numbers."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- soak: begin -->", "<!-- soak: end -->"


@dataclass(slots=True)
class Tally:
    """The numbers of a run."""

    seed: int
    rounds: int = 0
    seconds: float = 0.0
    # By name: what was done to the product, and what people and parents did meanwhile.
    faults: Counter[str] = field(default_factory=Counter)
    acts: Counter[str] = field(default_factory=Counter)
    # What was there in the end, and what the checker looked at.
    found: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    def line(self) -> str:
        """Return how far it is, in one line."""
        parts = [
            f"{self.rounds} rounds",
            f"{self.faults.total():,} faults",
            f"{self.found['mails accepted']:,} mails",
            f"{self.found['payments']:,} payments",
            f"{len(self.violations)} violations",
        ]
        return ", ".join(parts)

    def table(self) -> str:
        """Return all numbers as a page's table."""
        minutes = f"{self.seconds / 60:.0f} minutes"
        lines = [f"Seed {self.seed}, {minutes}: {self.line()}.", "", "| faults | times |", "|---|---|"]
        lines += [f"| {name} | {count:,} |" for name, count in sorted(self.faults.items())]
        lines += ["", "| what happened meanwhile, and what was found after | number |", "|---|---|"]
        lines += [f"| {name} | {count:,} |" for name, count in sorted((self.acts + self.found).items())]
        return "\n".join(lines)

    def write(self) -> None:
        """Put the numbers into the page, between its markers."""
        page = PAGE.read_text(encoding="utf-8")
        head, _, rest = page.partition(BEGIN)
        PAGE.write_text(f"{head}{BEGIN}\n{self.table()}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
