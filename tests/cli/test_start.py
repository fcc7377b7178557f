"""A command imports what it uses when it runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from endpoint_history.database.engine import upgrade
from tests.support.prefect_server import ROOT

HEAVY = "aiohttp alembic fsspec httpx jinja2 numpy pandas prefect pyarrow pydantic_settings sqlalchemy stamina"
PROGRAM = """
import sys
from endpoint_history.__main__ import main
try:
    main()
finally:
    print("imported:", *sys.modules, file=sys.stderr)
"""


def imported_by(*words: str) -> set[str]:
    """Return which of the packages that take long to import are imported by `endpoint-history WORDS`."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        env=environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return set(HEAVY.split()).intersection(done.stderr.rpartition("imported:")[2].split())


@pytest.mark.parametrize("words", ["--help", "collect --help", "cheapest --help", "export --help", "--version"])
def test_showing_help_imports_no_heavy_package(words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert not imported_by(*words.split())


def test_status_imports_no_package_that_it_does_not_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    upgrade("sqlite:///data/history.db")
    assert imported_by("status") == {"fsspec", "pydantic_settings", "sqlalchemy"}
