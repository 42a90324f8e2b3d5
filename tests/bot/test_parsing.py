import pytest

from bot.parsing import describes, is_full_name, likely_names, name_and_item
from bot.values import OrderValue, read_id
from core.errors import InvalidInputError


@pytest.mark.parametrize(
    ("typed", "readings"),
    [
        ("", []),
        ("jaxon", [("jaxon", "")]),
        ("jaxon reed dec", [("jaxon reed dec", ""), ("jaxon reed", "dec"), ("jaxon", "reed dec")]),
        ('"jaxon reed" dec', [("jaxon reed", "dec")]),
        ("“jaxon reed”", [("jaxon reed", "")]),
        ('"', [('"', "")]),
    ],
)
def test_a_name_and_an_item(typed: str, readings: list[tuple[str, str]]) -> None:
    assert list(name_and_item(typed)) == readings


@pytest.mark.parametrize(
    ("typed", "fits"),
    [
        ("", True),
        ("dec", True),
        ("December", True),
        ("fee dec", True),
        ("2026", True),
        ("nov", False),
        ("tournament", False),
    ],
)
def test_an_item_is_named_by_its_words(typed: str, fits: bool) -> None:
    assert describes(typed, "Monthly fee, Dec 2026") is fits


def test_a_full_name_however_written() -> None:
    assert is_full_name("REED  jaxon", "Jaxon", "Reed")
    assert is_full_name("zoe obrien", "Zoë", "O'Brien")
    assert not is_full_name("jaxon", "Jaxon", "Reed")


def test_names_in_a_message() -> None:
    assert likely_names("Can <@U123> ask how Jaxon Reed's mom pays?")[0] == "Jaxon Reed"
    assert "jaxon reed" in likely_names("how does jaxon reed pay")
    assert likely_names("") == []
    assert len(likely_names("A B " * 500)) <= 8


def test_values_of_buttons_come_back() -> None:
    assert OrderValue.decode(OrderValue(12, 34).encode()) == OrderValue(12, 34)


@pytest.mark.parametrize("value", ["", "x", "1", "1.", "-1.2", "1.2.3", "1.2; drop table", "9" * 40 + ".1", "٣.1"])
def test_values_that_are_not_ours_are_refused(value: str) -> None:
    with pytest.raises(InvalidInputError):
        OrderValue.decode(value)


@pytest.mark.parametrize("value", ["", "0", "x", "-1", "1.2", "9" * 40, "٣"])
def test_ids_that_are_not_ours_are_refused(value: str) -> None:
    with pytest.raises(InvalidInputError):
        read_id(value)
