import pytest

from bot.text import cut, cut_lines, escape, escape_sentence, mention

JOINER = "\u2060"


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("Jaxon Reed", "Jaxon Reed"),
        ("Zoë O'Brien", "Zoë O'Brien"),
        ("<!channel> & <b>", "&lt;!channel&gt; &amp; &lt;b&gt;"),
        ("two\nlines\tand\x00nothing", "two lines and nothing"),
        ("pat_reed@example.com", "pat_reed@example.com"),
        ("*bold*", f"{JOINER}*{JOINER}bold{JOINER}*{JOINER}"),
        ("_it_", f"{JOINER}_{JOINER}it{JOINER}_{JOINER}"),
        ("`x` ~y~", f"{JOINER}`{JOINER}x{JOINER}`{JOINER} {JOINER}~{JOINER}y{JOINER}~{JOINER}"),
    ],
)
def test_what_people_typed_is_shown_and_nothing_else(typed: str, shown: str) -> None:
    assert escape(typed) == shown


def test_cutting_keeps_the_limit() -> None:
    assert cut("x" * 75, 75) == "x" * 75
    assert cut("x" * 76, 75) == "x" * 74 + "…"


def test_only_whole_lines_are_cut_off() -> None:
    lines = [f"line {number} &amp;" for number in range(500)]
    shown = cut_lines(lines, 300)
    assert len(shown) <= 300
    assert shown.endswith("more")
    assert "line 0 &amp;" in shown


def test_people_are_mentioned_and_programs_named() -> None:
    assert mention("U0ADMIN") == "<@U0ADMIN>"
    assert mention("cli") == "the terminal"
    assert (
        escape_sentence("Approved by U0ADMIN. UNITED & U12 Blue", ["U0ADMIN"])
        == "Approved by <@U0ADMIN>. UNITED &amp; U12 Blue"
    )
