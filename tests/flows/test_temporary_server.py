"""Prefect's temporary server is only a help: what keeps it from starting is named in good time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from prefect.server.api import server as prefect_server
from prefect.server.api.server import SubprocessASGIServer
from prefect.settings import PREFECT_HOME, temporary_settings

from flows import temporary_server
from flows.prefect_client import PrefectUnavailableError
from flows.temporary_server import start_temporary_server


def start(monkeypatch: pytest.MonkeyPatch, code: str, seconds: float) -> tuple[str, list[str], list[Any]]:
    """Start a server that runs this code instead: why it did not start, what was said, and the processes."""
    started: list[subprocess.Popen[bytes]] = []
    said: list[str] = []

    class Replaced(SubprocessASGIServer):
        _instances: dict[int | None, SubprocessASGIServer] = {}  # noqa: RUF012 - as in its base

        def _run_uvicorn_command(self) -> subprocess.Popen[bytes]:
            started.append(subprocess.Popen([sys.executable, "-S", "-c", code]))
            return started[-1]

    monkeypatch.setattr(prefect_server, "SubprocessASGIServer", Replaced)
    monkeypatch.setattr(temporary_server, "_QUIET_SECONDS", 0)
    with temporary_settings({PREFECT_HOME: Path.cwd()}), pytest.raises(PrefectUnavailableError) as raised:
        start_temporary_server(said.append, seconds)
    return str(raised.value), said, started


def test_a_server_that_never_answers_is_given_up_and_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    told, said, [process] = start(monkeypatch, "import time; time.sleep(600)", 0.5)
    assert told == "its temporary server did not start within 0 s"
    assert said == ["Starting a temporary Prefect server"]
    assert process.wait() != 0


def test_a_server_that_ends_at_once_is_not_started_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    told, _, started = start(monkeypatch, "raise SystemExit(3)", 600)
    assert told == "its temporary server does not start: prefect server start says why"
    assert all(process.wait() is not None for process in started)


def test_a_folder_that_can_not_be_written_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    home = Path("file")
    home.touch()
    with temporary_settings({PREFECT_HOME: home / "prefect"}), pytest.raises(PrefectUnavailableError) as raised:
        start_temporary_server(print)
    assert str(raised.value) == "the folder file/prefect can't be written: Not a directory"
