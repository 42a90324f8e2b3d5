"""Reminders and holds, as an operator types them."""

import pytest
from sqlalchemy.engine import URL

from tests.cli.test_commands import Run, count, last_json, run
from tests.cli.test_season_commands import club

__all__ = ["club", "run"]

MAIL = {"SMTP_URL": "smtp://127.0.0.1:9", "MAIL_FROM": "River City FC <billing@club.test>"}


def test_rules_are_changed_once_and_only_when_meant(club: Run) -> None:
    wanted = (
        "reminders",
        "set",
        "--before",
        "7,3",
        "--weekdays",
        "mon-wed,sat",
        "--quiet",
        "21:00-07:30",
        "--json",
    )
    assert "becomes 3, 7" in club(*wanted).stdout
    assert last_json(club("reminders", "show", "--json"))["rules"]["days_before"] == [3]  # type: ignore[index]
    assert last_json(club(*wanted, "--commit"))["created"] == 4
    again = last_json(club(*wanted, "--commit"))
    assert (again["created"], again["skipped"]) == (0, 4)
    stored = last_json(club("reminders", "show", "--json"))["rules"]
    assert stored["weekdays"] == [1, 2, 3, 6]  # type: ignore[index]
    assert stored["quiet_until"] == "7:30"  # type: ignore[index]


def test_they_are_switched_on_previewed_and_off_again(club: Run) -> None:
    assert "SMTP_URL" in club("reminders", "on", "--commit").stderr
    free = ("reminders", "set", "--no-approval", "--weekdays", "mon-sun", "--commit")
    assert club(*free).returncode == 0
    assert last_json(club("reminders", "on", "--json", **MAIL))["is_on"] is True
    assert last_json(club("reminders", "show", "--json"))["is_on"] is False
    on = ("reminders", "on", "--commit", "--json")
    assert [last_json(club(*on, **MAIL))["created"] for _ in range(2)] == [1, 0]
    assert last_json(club("reminders", "preview", "--json"))["recipients"] == 0
    assert last_json(club("reminders", "off", "--commit", "--json"))["created"] == 1
    assert "Reminders are off" in club("reminders", "run", "--commit", **MAIL).stderr


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("set",), "Say what to change"),
        (("set", "--weekdays", "someday"), "no days of the week"),
        (("set", "--at", "25:00"), "no time of the day"),
        (("set", "--quiet", "all day"), "write them like 20:00-08:00"),
        (("set", "--at", "22:00"), "quiet hours"),
        (("preview", "--on", "2001-01-01"), "the next ones do on"),
    ],
)
def test_wrong_use_is_one_line(club: Run, arguments: tuple[str, ...], part: str) -> None:
    done = club("reminders", *arguments)
    assert done.returncode == 2
    assert part in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_hold_is_set_listed_and_lifted(club: Run, database_url: URL) -> None:
    hold = ("hold", "add", "--player", "Jaxon Reed", "--until", "2090-01-31", "--reason", "on a plan", "--json")
    assert last_json(club(*hold))["created"] == 1
    assert count(database_url, "family_holds") == 0
    assert [last_json(club(*hold, "--commit"))["created"] for _ in range(2)] == [1, 0]
    listed = club("hold", "list")
    assert "Pat Reed <pat@example.com> until 2090-01-31: on a plan" in listed.stdout
    lifted = club("hold", "lift", "--email", "PAT@example.com", "--commit")
    assert lifted.returncode == 0
    assert "no hold" in club("hold", "list").stdout or "0 family hold" in club("hold", "list").stdout
    late = club("hold", "lift", "--email", "pat@example.com", "--commit")
    assert (late.returncode, "already lifted" in late.stderr) == (2, True)
    assert "--player" in club("hold", "add", "--reason", "why").stderr
