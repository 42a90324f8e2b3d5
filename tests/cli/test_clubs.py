"""`init`, `club set` and `club invite` where there are several clubs."""

from urllib.parse import urlsplit

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL

from tests.cli.test_commands import Run, last_json, run

__all__ = ["run"]

INSTALLABLE = {
    "SLACK_CLIENT_ID": "111.222",
    "SLACK_CLIENT_SECRET": "made-up",
    "SLACK_SIGNING_SECRET": "made-up",
    "PUBLIC_URL": "https://club.example.com",
}
OF_INVITES = "select i.tenant_id is null, t.name from club_invites i left join tenants t on t.id = i.tenant_id"


def rows(url: URL, statement: str) -> list[tuple[object, ...]]:
    engine = create_engine(url)
    with engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(text(statement))]
    engine.dispose()
    return found


def teams(url: URL) -> dict[object, object]:
    return dict(rows(url, "select name, slack_team_id from tenants"))  # type: ignore[arg-type]


def naming_lines(output: str) -> list[str]:
    return [line for line in output.splitlines() if "sideline club set" in line]


def test_with_a_second_club_the_first_is_told_to_name_its_workspace(run: Run, database_url: URL) -> None:
    assert naming_lines(run("init", "--club", "River City FC").stdout) == []
    second = run("init", "--club", "Second", "--slack-team", "T0SECOND")
    (line,) = naming_lines(second.stdout)
    assert "sideline club set --club 'River City FC' --slack-team T… --commit" in line
    assert "sideline club invite --club 'River City FC'" in line
    named = run("club", "set", "--club", "River City FC", "--slack-team", "T0RIVER", "--commit")
    assert named.returncode == 0, named.stderr
    assert teams(database_url) == {"River City FC": "T0RIVER", "Second": "T0SECOND"}
    assert naming_lines(run("init", "--club", "River City FC").stdout) == []


def test_a_second_club_without_a_workspace_is_told_too(run: Run) -> None:
    run("init", "--club", "River City FC", "--slack-team", "T0RIVER")
    (line,) = naming_lines(run("init", "--club", "Second").stdout)
    assert "sideline club invite --club Second" in line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("init", "--club", "Second", "--slack-team", "T0RIVER"), "T0RIVER is another club's Slack workspace"),
        (("init", "--club", "Third", "--slack-team", "T0RIVER"), "T0RIVER is another club's Slack workspace"),
        (
            ("club", "set", "--club", "Second", "--slack-team", "T0RIVER", "--commit"),
            "T0RIVER is another club's Slack workspace",
        ),
        (
            ("club", "set", "--club", "Second", "--slack-team", "T0RIVER"),
            "T0RIVER is another club's Slack workspace",
        ),
        (
            ("club", "set", "--club", "Second", "--stripe-account", "acct_test_1", "--commit"),
            "acct_test_1 is another club's Stripe account",
        ),
    ],
)
def test_what_another_club_has_is_one_line(
    run: Run, database_url: URL, arguments: tuple[str, ...], words: str
) -> None:
    run("init", "--club", "River City FC", "--slack-team", "T0RIVER")
    run("club", "set", "--stripe-account", "acct_test_1", "--commit")
    run("init", "--club", "Second")
    done = run(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert teams(database_url) == {"River City FC": "T0RIVER", "Second": None}


def test_an_invitation_is_a_link_for_a_club_or_for_a_new_one(run: Run, database_url: URL) -> None:
    run("init", "--club", "River City FC")
    for club in ((), ("--club", "river city fc")):
        done = run("club", "invite", *club, "--json", **INSTALLABLE)
        assert done.returncode == 0, done.stderr
        link = urlsplit(str(last_json(done)["url"]))
        assert (link.netloc, link.path) == ("club.example.com", "/slack/install")
        assert link.query.startswith("ticket=")
        assert link.geturl() in done.stdout
    assert rows(database_url, f"{OF_INVITES} order by i.id") == [(True, None), (False, "River City FC")]


def test_an_invitation_needs_an_app_and_a_club_that_is_there(run: Run, database_url: URL) -> None:
    run("init", "--club", "River City FC")
    for done, words in (
        (run("club", "invite"), "SLACK_CLIENT_ID"),
        (run("club", "invite", "--club", "Nobody", **INSTALLABLE), "River City FC"),
    ):
        assert done.returncode == 2
        assert words in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
    assert rows(database_url, "select 1 from club_invites") == []
