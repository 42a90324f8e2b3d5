"""The log: one form for everything, and no secrets."""

import errno
import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from time import perf_counter

import pytest
import structlog

from core.logs import HIDDEN, configure_logging, hide_secrets, show_controls


@contextmanager
def logged() -> Iterator[list[str]]:
    """Give the lines that a fresh process would write, complete when the block has ended."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    lines: list[str] = []
    with redirect_stderr(io.StringIO()) as stderr:
        configure_logging()
        try:
            yield lines
        finally:
            structlog.reset_defaults()
            root.handlers[:] = handlers
            root.setLevel(level)
    lines += stderr.getvalue().splitlines()


def test_lines_are_json_with_what_is_known_of_the_request() -> None:
    with logged() as lines, structlog.contextvars.bound_contextvars(request_id="abc"):
        structlog.get_logger("web").warning("webhook_refused", bytes=3)
    line = json.loads(lines[-1])
    assert line.pop("timestamp")
    assert line == {
        "event": "webhook_refused",
        "bytes": 3,
        "request_id": "abc",
        "level": "warning",
        "logger": "web",
    }


def test_a_log_that_can_not_be_written_stops_nothing() -> None:
    class Full(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    with logged(), redirect_stderr(Full()) as stderr:
        structlog.get_logger("web").info("link_opened")
    assert stderr.getvalue() == ""


def test_whatever_strangers_send_can_be_logged() -> None:
    with logged() as lines:
        structlog.get_logger("web").warning("foreign_workspace_refused", team="T\ud800", number=2**70)
    line = json.loads(lines[-1])
    assert (line["team"], line["number"]) == ("T\ud800", 2**70)


def test_the_standard_librarys_log_has_the_same_form() -> None:
    with logged() as lines:
        logging.getLogger("some.library").info("Started on %s", "http://127.0.0.1:8000")
    line = json.loads(lines[-1])
    assert (line["event"], line["level"]) == ("Started on http://127.0.0.1:8000", "info")


def test_what_libraries_tell_of_requests_is_left_out() -> None:
    with logged() as lines:
        logging.getLogger("slack_bolt.AsyncApp").info("Invalid request signature detected (body: text=jaxon)")
    assert lines == []


def test_a_failure_shows_where_and_no_local_variable() -> None:
    def ask_stripe(private: str) -> None:
        raise ValueError("sk_test_abc123 was refused")

    with logged() as lines:
        try:
            ask_stripe("pat, elm street".upper())
        except ValueError:
            structlog.get_logger("web").exception("request_failed", reference="R-234567")
    line = json.loads(lines[-1])
    assert line["reference"] == "R-234567"
    assert "test_logs.py" in str(line["exception"])
    assert "sk_test_abc123" not in str(line)
    assert "PAT, ELM STREET" not in str(line)


@pytest.mark.parametrize(
    "text",
    [
        "sk_live_51Habc",
        "rk_test_9",
        "whsec_ab+/=",
        "xoxb-1-2-abc",
        "xapp-1-A-b",
        "postgresql://club:s3cret@db/x",
        "Bearer abc.def",
        "http://club.test/pay/WzEsMV0.abcdef",
        "http://club.test/checkout/first-payment?token=WzEsMSwxXQ.abcdef&prorate=true",
        "/balance/WzEsMV0.abcdef",
        "/statement/WzEsMV0.abcdef",
        "ya29.a0Ab_c-d",
    ],
)
def test_secrets_are_taken_out_of_any_text(text: str) -> None:
    hidden = hide_secrets(None, "info", {"event": f"before {text} after", "error": ValueError(text)})
    assert hidden["event"].count(HIDDEN) == 1
    assert hidden["event"].startswith("before ")
    assert hidden["event"].endswith(" after")
    assert HIDDEN in hidden["error"]


def test_secrets_are_known_by_their_names() -> None:
    hidden = hide_secrets(None, "info", {"event": "x", "signing_secret": "abc", "count": 3, "none": None})
    assert hidden == {"event": "x", "signing_secret": HIDDEN, "count": 3, "none": None}


def test_addresses_and_rows_that_the_database_refused_are_hidden() -> None:
    refused = "duplicate key\nDETAIL:  Key (last_name)=(Reed) already exists.\n[SQL: insert into parents]"
    event = hide_secrets(
        None, "", {"error": "no mailbox for Pat.Reed+club@mail.example.org", "exception": refused}
    )
    assert event["error"] == f"no mailbox for {HIDDEN}"
    assert event["exception"] == f"duplicate key\nDETAIL:  {HIDDEN}\n[SQL: insert into parents]"


def test_a_mails_own_id_stays_readable() -> None:
    assert hide_secrets(None, "", {"message_id": "<1.2@club.test>"}) == {"message_id": "<1.2@club.test>"}


def test_nothing_that_is_logged_can_begin_a_line_or_move_a_terminals_cursor() -> None:
    given = {"event": "a\n2026-11-21 [error] made up", "name": "\x1b[2J\u202e\u2028x", "exception": "one\n\x1btwo"}
    assert show_controls(None, "", given) == {
        "event": "a\\n2026-11-21 [error] made up",
        "name": "\\x1b[2J\\u202e\\u2028x",
        "exception": "one\n\\x1btwo",
    }


def test_long_text_is_looked_through_in_no_time() -> None:
    for text in ("a" * 200_000, "a@" * 100_000, "://" * 60_000, "a.b@c." * 50_000):
        started = perf_counter()
        hide_secrets(None, "", {"error": text})
        assert perf_counter() - started < 2
