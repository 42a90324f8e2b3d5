"""The audit of what we depend on: findings fail it, and a network that is away does not."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.server import serve

SCRIPT = Path(__file__).parents[2] / "scripts" / "audit.py"
LOCK = "\n".join(f"{name}==1.0 --hash=sha256:{'0' * 64}" for name in ("made-up-one", "made-up-two"))
FINDING = {
    "id": "MADE-UP-1",
    "aliases": ["CVE-0000-1"],
    "summary": "It counts wrong.",
    "affected": [
        {
            "package": {"ecosystem": "PyPI", "name": "made-up-two"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.1"}]}],
        }
    ],
}


def advisories(answer: Callable[[str], Awaitable[Response]]) -> FastAPI:
    """A stand-in for OSV (https://google.github.io/osv.dev/post-v1-query)."""
    app = FastAPI()

    @app.post("/v1/query", response_model=None)
    async def query(request: Request) -> Response:
        asked: dict[str, Any] = await request.json()
        return await answer(asked["package"]["name"])

    return app


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    file = tmp_path / "requirements.lock"
    file.write_text(LOCK)
    return file


async def audit(service: str, lock: Path, seconds: float = 30) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, SCRIPT, "--lock", lock, "--service", f"{service}/v1/query", "--seconds", str(seconds),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await process.communicate()
    return process.returncode, said.decode()


async def test_a_finding_fails_and_names_the_version_that_mends_it(lock: Path) -> None:
    async def one(name: str) -> Response:
        return JSONResponse({"vulns": [FINDING]} if name == "made-up-two" else {})

    async with serve(advisories(one)) as service:
        code, said = await audit(service, lock)
    assert code == 1
    assert "made-up-two 1.0: CVE-0000-1, MADE-UP-1 (fixed in: 1.1) It counts wrong." in said


async def test_without_a_network_it_says_so_in_one_line_and_passes(lock: Path) -> None:
    code, said = await audit("http://127.0.0.1:9", lock)
    assert code == 0
    assert said.startswith("Dependency audit skipped: 127.0.0.1 can't be reached")
    assert said.count("\n") == 1


async def test_a_service_that_is_silent_is_not_waited_for(lock: Path) -> None:
    async def silent(_: str) -> Response:
        await asyncio.Event().wait()
        raise AssertionError

    async with serve(advisories(silent)) as service:
        code, said = await audit(service, lock, seconds=2)
    assert code == 0, said
    assert said.startswith("Dependency audit skipped: http://127.0.0.1:")
    assert said.count("\n") == 1


@pytest.fixture
def odd_lock(lock: Path) -> Path:
    lock.write_text("made-up-one>=1.0")
    return lock


async def test_a_lock_that_cannot_be_read_fails(odd_lock: Path) -> None:
    async def nothing(_: str) -> Response:
        return JSONResponse({})

    async with serve(advisories(nothing)) as service:
        code, said = await audit(service, odd_lock)
    assert code == 2, said
    assert said.startswith("Dependency audit failed: ")
