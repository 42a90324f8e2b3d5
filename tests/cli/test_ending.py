"""A process that was told to end ends, also where something never answers."""

import subprocess
import sys

import pytest

PROGRAM = """
import asyncio, time
from cli.ending import ending_in_time

async def work(deadline):
    {told}
    await asyncio.create_task(asyncio.sleep({work}), name="the work")

with ending_in_time(0.3) as deadline:
    asyncio.run(work(deadline))
time.sleep(0.6)
print("to the end")
"""


@pytest.mark.parametrize(
    ("told", "work", "code"),
    [("deadline.begin()", 30, 1), ("deadline.begin()", 0.1, 0), ("pass", 0.5, 0)],
    ids=["told, and stuck", "told, and done in time", "not told"],
)
def test_only_what_is_told_to_end_and_does_not_is_broken_off(told: str, work: float, code: int) -> None:
    program = PROGRAM.format(told=told, work=work)
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=False
    )
    assert ended.returncode == code
    assert ("to the end" in ended.stdout) == (code == 0)
    said = ended.stdout + ended.stderr
    assert ("broken_off" in said) == (code == 1)
    assert ("the work: sleep" in said) == (code == 1)
