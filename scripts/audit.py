"""Asks OSV (https://osv.dev) whether a locked dependency has a known vulnerability, for `make check`.

Findings end it with 1. Where nobody can be asked (no network, or a service that is away), it says so in one line
and ends with 0: a check that fails on a train is switched off. A lock that can't be read ends it with 2.
"""

import argparse
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

SERVICE = "https://api.osv.dev/v1/query"
LOCK = Path(__file__).parent.parent / "requirements.lock"
# What says that it is the service's fault, in what pip-audit prints before it gives up.
_UNANSWERED = ("ServiceError", "requests.exceptions", "ConnectionError", "your network may be blocking")


class Unanswered(Exception):  # noqa: N818 - it is no error that the network is away
    """Nobody could be asked; the message says why."""


def main() -> int:
    """Ask, and say what came out; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--lock", type=Path, default=LOCK, help="the locked dependencies")
    parser.add_argument("--service", default=SERVICE, help="where to ask")
    parser.add_argument("--seconds", type=float, default=90.0, help="for how long in all")
    given = parser.parse_args()
    try:
        reach(given.service, within=min(5.0, given.seconds))
        report = ask(given.lock, given.service, within=given.seconds)
    except Unanswered as why:
        print(f"Dependency audit skipped: {why}.")
        return 0
    except ValueError as error:
        print(f"Dependency audit failed: {error}", file=sys.stderr)
        return 2
    found = list(findings(report))
    for line in found:
        print(line)
    looked_at = len(report["dependencies"])
    print(f"Dependency audit: {len(found) or 'no'} known vulnerabilities in {looked_at} locked packages.")
    return 1 if found else 0


def reach(service: str, *, within: float) -> None:
    """See whether the service can be reached, so that its absence costs seconds and not minutes.

    Raises:
        Unanswered
    """
    address = urlsplit(service)
    port = address.port or (443 if address.scheme == "https" else 80)
    try:
        socket.create_connection((address.hostname or "", port), timeout=within).close()
    except OSError as error:
        raise Unanswered(f"{address.hostname} can't be reached ({error.strerror or error})") from None


def ask(lock: Path, service: str, *, within: float) -> dict[str, Any]:
    """Return pip-audit's report on the locked versions; nothing is installed or resolved for it.

    Raises:
        Unanswered
        ValueError: where the lock can't be read.
    """
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(lock), "--require-hashes", "--disable-pip"]
    command += ["--vulnerability-service", "osv", "--osv-url", service, "--timeout", "10"]
    command += ["--format", "json", "--progress-spinner", "off"]
    try:
        # All of it is ours: this Python, this lock.
        done = subprocess.run(command, capture_output=True, text=True, timeout=within, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        raise Unanswered(f"{service} did not answer everything within {within:.0f} s") from None
    try:
        report: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        last = (done.stderr.strip().splitlines() or ["no answer"])[-1]
        if any(sign in done.stderr for sign in _UNANSWERED):
            raise Unanswered(f"{service} could not be asked ({last})") from None
        raise ValueError(last) from None
    if not report["dependencies"]:
        raise ValueError(f"there is nothing in {lock}")
    return report


def findings(report: dict[str, Any]) -> Iterator[str]:
    """Give a line for each vulnerability."""
    for dependency in report["dependencies"]:
        for found in dependency.get("vulns", []):
            fixed = ", ".join(found["fix_versions"]) or "none yet"
            names = ", ".join([found["id"], *found["aliases"]])
            package = f"{dependency['name']} {dependency['version']}"
            yield f"{package}: {names} (fixed in: {fixed}) {found['description'][:200]}"


if __name__ == "__main__":
    sys.exit(main())
