"""A real Prefect server for tests, in a folder of its own."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import httpx

from tests.support.postgres import free_port

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
T = TypeVar("T")


@contextmanager
def server(home: Path) -> Iterator[str]:
    """Start a server, with the settings that the project ships; yields the URL of its API. Its id is in `pid`."""
    port = free_port()
    api = f"http://127.0.0.1:{port}/api"
    command = [str(BIN / "prefect"), "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with (home / "server.log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment(home), stdout=log, stderr=log, start_new_session=True
        )
    (home / "pid").write_text(str(process.pid))
    try:
        until(lambda: answered(api), 90)
        yield api
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def deploy(api: str, home: Path) -> None:
    """Deploy all that is shipped, with its schedules, and resume what a test has paused."""
    deploy_only(api, home)
    resume(api)


def deploy_only(api: str, home: Path) -> None:
    """Deploy all that is shipped, as its users do."""
    for words in (
        ("work-pool", "create", "endpoint-history", "--type", "process", "--overwrite"),
        ("--no-prompt", "deploy", "--all"),
    ):
        done = subprocess.run(
            [BIN / "prefect", *words],
            cwd=ROOT, env=environment(home, PREFECT_API_URL=api), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr


def pause(api: str) -> None:
    """Let no schedule begin a run: a worker of a test would take it, were it due just then."""
    for deployment in ask(api, "deployments"):
        httpx.post(f"{api}/deployments/{deployment['id']}/pause_deployment").raise_for_status()


def resume(api: str) -> None:
    """Let all schedules begin runs again."""
    for deployment in ask(api, "deployments"):
        httpx.post(f"{api}/deployments/{deployment['id']}/resume_deployment").raise_for_status()
        for schedule in deployment["schedules"]:
            if not schedule["active"]:  # deploying a paused deployment pauses its schedules instead
                update(f"{api}/deployments/{deployment['id']}/schedules/{schedule['id']}", active=True)


def update(url: str, **fields: Any) -> None:
    """Change these fields of one thing of Prefect's API."""
    httpx.patch(url, json=fields, timeout=30).raise_for_status()


def environment(home: Path, **more: str) -> dict[str, str]:
    """The environment of a command that talks to this server, or to none."""
    return {**os.environ, "PREFECT_HOME": str(home), "HOME": str(home), "PREFECT_LOGGING_LEVEL": "WARNING", **more}


def until(found: Callable[[], T | None], seconds: float) -> T:
    """Ask until there is an answer. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := found():
            return answer
        time.sleep(0.1)
    raise TimeoutError(f"nothing came within {seconds} s")


def ask(api: str, path: str, **question: Any) -> list[dict[str, Any]]:
    """The answer to a filter question of Prefect's API."""
    response = httpx.post(f"{api}/{path}/filter", json=question, timeout=30)
    response.raise_for_status()
    answer = response.json()
    return list(answer["events"] if isinstance(answer, dict) else answer)


def kept(home: Path) -> str:
    """All that the server of this folder keeps: runs, states, parameters, logs, artifacts, events."""
    with closing(sqlite3.connect(f"file:{home}/prefect.db?mode=ro", uri=True)) as connection:
        return "\n".join(connection.iterdump())


def answered(api: str) -> bool:
    """Whether a server answers there."""
    try:
        return httpx.get(f"{api}/health", timeout=2).is_success
    except httpx.HTTPError:
        return False
