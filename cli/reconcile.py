"""`sideline reconcile`: our books beside Stripe's."""

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from cli.output import AsJson, ClubName, Commit, finish, progress_bar, say, say_list
from cli.runtime import run_for_club
from core.club import Club
from core.reconcile import LONGEST_DAYS, Comparison
from core.reconcile_desk import RepairReport
from core.reconcile_findings import in_words, looked_at_in_words
from core.services import Services

ACTOR = "cli"


@dataclass(frozen=True, slots=True)
class _Done:
    comparison: Comparison
    # None in a dry run.
    report: RepairReport | None


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    app.command("reconcile")(reconcile)


def reconcile(
    since: Annotated[
        int, typer.Option("--since", help=f"How many days to look back, at most {LONGEST_DAYS}.")
    ] = LONGEST_DAYS,
    club: ClubName = None,
    commit: Commit = False,
    as_json: AsJson = False,
) -> None:
    """Compare the club's books with Stripe's; with --commit, repair what differs."""

    async def work(services: Services, chosen: Club) -> _Done:
        with progress_bar("Comparing with Stripe", None):
            comparison = await services.reconciliation.compare(chosen, days=since)
        run_id = await services.reconciliation.keep(comparison) if commit else None
        if run_id is None:
            return _Done(comparison, None)
        with progress_bar("Repairing", len(comparison.differences)) as progress:
            task = progress.task_ids[0]
            report = await services.reconcile_desk.repair_all(
                chosen, run_id, ACTOR, lambda: progress.advance(task)
            )
        return _Done(comparison, report)

    done = run_for_club(club, work)
    differences, looked_at = done.comparison.differences, done.comparison.looked_at
    say(looked_at_in_words(looked_at, len(differences)))
    say_list((in_words(each.kind, each.facts) for each in differences), all_of_them=True)
    if never := looked_at["never_minted"]:
        say(f"{never} owed item(s) never had a link, which is no difference; `backfill payment-links` mints them.")
    if done.report is not None and differences:
        say(f"Repaired {done.report.repaired}; {done.report.gone} had gone by itself.")
        if done.report.failures:
            say(f"{len(done.report.failures)} failed; run this again to go on with them:")
            say_list((_failure_line(each) for each in _failures(done.report)), all_of_them=True)
    result = _result(done)
    finish(result, commit=commit, as_json=as_json, failed=int(result["failed"]))


def _result(done: _Done) -> dict[str, Any]:
    report, differences = done.report, done.comparison.differences
    return {
        "created": len(differences) if report is None else report.repaired,
        "skipped": 0 if report is None else report.gone,
        "failed": 0 if report is None else len(report.failures),
        "looked_at": done.comparison.looked_at,
        "differences": [{"kind": each.kind, "key": each.key, **each.facts} for each in differences],
        "failures": [] if report is None else _failures(report),
    }


def _failures(report: RepairReport) -> list[dict[str, str]]:
    return [
        {"kind": each.finding.kind, "key": each.finding.key, "reason": each.reason} for each in report.failures
    ]


def _failure_line(failure: dict[str, str]) -> str:
    return f"{failure['kind']} {failure['key']}: {failure['reason']}"
