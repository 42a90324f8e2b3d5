from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL

from core.names import fold, name_words

TELLING = (
    "Zoë O'Brien-Łuk Ærøskøbing İstanbul ıI ẞß Œuvre Þór Đặng ﬁ ² Σίσυφος ΣΑΣ Ёлка Їжак Ґалаґан "
    "Արամ שָׁלוֹם مُحَمَّد 김민준 ガード 山田太郎 हिन्दी ไทย 🏀👩‍👧 ½ ´ ` ʻ ’ . _ <b>& \\ \t\n|!:*()"
)


@pytest.mark.parametrize(
    ("typed", "folded"),
    [
        ("  Zoë   O'Brien ", "zoe obrien"),
        ("Smith-Jones", "smith jones"),
        ("J.R. St. John", "jr st john"),
        ("Łukasz Đorđević", "lukasz dordevic"),
        ("Strauß ÆON Þór Œdipe", "strauss aeon thor oedipe"),
        ("DİYARBAKIR ı", "diyarbakir i"),
        ("Ni’Kye Ka`ai", "nikye kaai"),
        ("Jax 🏀 Reed", "jax reed"),
        ("ΣΊΣΥΦΟΣ", "σισυφοσ"),
        ("Ёлка", "елка"),
        ("🏀 & | ! : * \\ '", ""),
        ("a\x00b", "a b"),
    ],
)
def test_folding_keeps_words_and_drops_the_rest(typed: str, folded: str) -> None:
    assert fold(typed) == folded


def test_words_keep_their_order_and_are_bounded() -> None:
    assert name_words("Reed, Jaxon " + "x" * 500) == ["reed", "jaxon", "x" * 60]


Fold = Callable[[str], str]


@pytest.fixture
def sql_fold(database_url: URL) -> Iterator[Fold]:
    engine = create_engine(database_url)
    with engine.connect() as connection:
        yield lambda value: str(connection.scalar(text("select sideline_fold(:value)"), {"value": value}))
    engine.dispose()


# Characters that Unicode gained after Python's tables were made may decompose in one place only.
known_letters = st.characters(exclude_categories=["Cs", "Cn"], exclude_characters="\x00")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(known_letters, max_size=40) | st.text(st.sampled_from(TELLING), max_size=40))
def test_the_database_folds_in_the_same_way(sql_fold: Fold, typed: str) -> None:
    assert sql_fold(typed) == fold(typed)


def test_the_database_folds_every_known_letter_in_the_same_way(sql_fold: Fold) -> None:
    letters = [chr(code) for code in range(1, 0x3400) if not 0xD800 <= code < 0xE000]
    joined = "x".join(letters)
    assert sql_fold(joined) == fold(joined)
