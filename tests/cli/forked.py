"""`sideline …` in a process of its own that doesn't pay for starting Python and importing everything each time.

A fork server that has imported the program forks one process per command: what it does to its environment, its
signals and its event loop stays its own, as at a prompt.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from multiprocessing import get_context
from pathlib import Path
from subprocess import CompletedProcess, TimeoutExpired

_context = get_context("forkserver")
_context.set_forkserver_preload(["cli.app"])


def run_command(
    arguments: Sequence[str], environment: Mapping[str, str], folder: Path, *, timeout: float = 60
) -> CompletedProcess[str]:
    """Run a command to its end; what it printed is read back from files in `folder`.

    Raises:
        TimeoutExpired: it was killed after so many seconds.
    """
    out, err = folder / ".stdout", folder / ".stderr"
    process = _context.Process(target=_run, args=(list(arguments), dict(environment), folder, out, err))
    process.start()
    process.join(timeout)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise TimeoutExpired(list(arguments), timeout)
    return CompletedProcess(list(arguments), process.exitcode, out.read_text(), err.read_text())


def _run(arguments: list[str], environment: dict[str, str], folder: Path, out: Path, err: Path) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    for path, stream in ((out, sys.stdout), (err, sys.stderr)):
        with path.open("wb") as file:
            os.dup2(file.fileno(), stream.fileno())
    sys.argv = ["sideline", *arguments]
    from cli.app import main  # noqa: PLC0415 - the fork server has it; the tests' own process doesn't need it

    main()
