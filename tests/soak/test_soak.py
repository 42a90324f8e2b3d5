"""A few rounds of the fault suite; `make soak` plays many more."""

import pytest

from tests.soak.campaign import soak
from tests.soak.season import SHORT
from tests.soak.tally import Tally

ROUNDS = 2


async def test_a_few_rounds_break_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    tally = Tally(seed=136)
    with capsys.disabled():  # the processes write to files of their own
        await soak(tally, range(ROUNDS), SHORT, faults=100, say=lambda _: None)
    assert tally.violations == []
    assert tally.rounds == ROUNDS
    assert tally.faults.total() > ROUNDS
    assert tally.found["payments"] > 0
    assert tally.found["mails accepted"] > 0
