"""A process that was told to end ends, also where something never answers."""

import subprocess
import sys

import pytest

PROGRAM = """
import time
from cli.ending import ending_in_time

with ending_in_time(0.3) as deadline:
    {told}
    time.sleep({work})
time.sleep(0.6)
print("to the end")
"""


@pytest.mark.parametrize(
    ("told", "work", "code"),
    [("deadline.start()", 30, 1), ("deadline.start()", 0.1, 0), ("pass", 0.5, 0)],
    ids=["told, and stuck", "told, and done in time", "not told"],
)
def test_only_what_is_told_to_end_and_does_not_is_broken_off(told: str, work: float, code: int) -> None:
    program = PROGRAM.format(told=told, work=work)
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=False
    )
    assert ended.returncode == code
    assert ("to the end" in ended.stdout) == (code == 0)
    assert ("broken_off" in ended.stdout + ended.stderr) == (code == 1)
