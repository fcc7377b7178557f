"""A SQLite file that can't be used: every command says so in one line, and nothing else comes out."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import stamina

from endpoint_history.cli import app as cli
from simulator.market import Market
from simulator.server import Simulator, serving

MARKET = Market(models=2)
PATHS = MARKET.paths()
DATABASE = Path("data/history.db")
COMMANDS = [
    ("collect", "--no-prefect"),
    ("status",),
    ("maintain",),
    ("cheapest", "--model", PATHS[0], "--input-tokens", "1000", "--output-tokens", "500"),
    ("export", "exported"),
    ("site", "pages"),
    ("alerts", "test", "--days", "1"),
    ("backfill", "archive"),
    ("backfill", "archive", "--verify"),
    ("backfill", "archive", "--rebuild"),
    ("db", "upgrade"),
    ("db", "check"),
    ("db", "downgrade", "0009", "--yes"),
]


@contextlib.contextmanager
def no_database() -> Iterator[None]:
    DATABASE.write_text("Notes, and long enough to be taken for a database. " * 200)
    yield


@contextlib.contextmanager
def damaged() -> Iterator[None]:
    """All but the first page, which holds the schema's beginning."""
    size = DATABASE.stat().st_size
    with DATABASE.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (size - 4096))
    yield


@contextlib.contextmanager
def cut_short() -> Iterator[None]:
    os.truncate(DATABASE, DATABASE.stat().st_size // 2)
    yield


@contextlib.contextmanager
def held() -> Iterator[None]:
    with contextlib.closing(sqlite3.connect(DATABASE, isolation_level=None)) as connection:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")
        yield


@contextlib.contextmanager
def read_only_folder() -> Iterator[None]:
    """Nobody may write into it, and we are not the superuser."""
    if os.geteuid() != 0:
        pytest.skip("only the superuser can become somebody else")
    for folder in [Path.cwd(), *Path.cwd().rglob("*")]:
        os.chown(folder, 65_534, 65_534)
    DATABASE.chmod(0o444)
    DATABASE.parent.chmod(0o555)
    for parent in Path.cwd().parents[:-2]:
        parent.chmod(parent.stat().st_mode | 0o011)
    os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(0)


@contextlib.contextmanager
def a_folder() -> Iterator[None]:
    DATABASE.unlink()
    DATABASE.mkdir()
    yield


@contextlib.contextmanager
def a_file_above() -> Iterator[None]:
    shutil.rmtree("data")
    Path("data").write_text("")
    yield


FAULTS = [no_database, damaged, cut_short, held, read_only_folder, a_folder, a_file_above]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Run `endpoint-history WORDS` in this process; gives the exit code and what it said of errors."""
    monkeypatch.setattr("endpoint_history.database.engine._WAIT_SECONDS", 0.01)

    def run(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["endpoint-history", *words])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return int(end.value.code or 0), capsys.readouterr().err

    return run


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_what_is_wrong_with_the_file_is_one_line(
    fault: Callable[[], AbstractContextManager[None]],
    words: tuple[str, ...],
    run: Callable[..., tuple[int, str]],
    sqlite_template: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    DATABASE.parent.mkdir()
    shutil.copy(sqlite_template, DATABASE)
    Path("targets.toml").write_text(f"targets = {list(PATHS)}")
    Path("alerts.toml").write_text("")
    with serving(Simulator(MARKET)) as base_url, stamina.set_testing(True, attempts=1):
        monkeypatch.setenv("OPENROUTER_BASE_URL", base_url)
        monkeypatch.setenv("REQUESTS_PER_SECOND", "0")
        monkeypatch.setenv("ARCHIVE_URL", "archive")
        with fault():
            code, errors = run(*words)
    assert code in {1, 2}
    assert [line for line in errors.splitlines() if line.startswith("endpoint-history: ")] == [errors.splitlines()[-1]]
    assert "Traceback" not in errors
