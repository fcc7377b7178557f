"""Keys and passwords where something goes wrong that nobody foresaw: in no traceback, in nothing that Prefect keeps."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from simulator.market import Market
from simulator.server import Simulator, serving
from tests.support.prefect_server import ROOT, environment, kept

PATHS = Market(models=2).paths()
KEY = "sk-or-v1-fedcba9876543210"
BROKEN = """
from endpoint_history.cli import app as cli
from flows import prefect_client
prefect_client.set_defaults()
from endpoint_history.openrouter import client as fetch

async def broken(self, target):
    raise RuntimeError("nobody foresaw this")

fetch.Fetcher.fetch_endpoints = broken
cli.main()
"""


@pytest.fixture
def secrets(postgres_url: str, tmp_path: Path) -> Iterator[list[str]]:
    """The API key and the password of the database, which the settings hold."""
    password = sa.make_url(postgres_url).password
    assert isinstance(password, str)
    with serving(Simulator(Market(models=2))) as base_url:
        os.environ |= {
            "DATABASE_URL": postgres_url,
            "ARCHIVE_URL": str(tmp_path / "archive"),
            "OPENROUTER_BASE_URL": base_url,
            "OPENROUTER_API_KEY": KEY,
        }
        yield [KEY, password]


@pytest.mark.slow_unless(way=["--prefect"])
@pytest.mark.parametrize("way", ["--no-prefect", "--prefect"])
def test_an_error_nobody_foresaw_shows_no_secret(
    secrets: list[str], prefect_api: str, prefect_home: Path, tmp_path: Path, way: str
) -> None:
    variables = environment(tmp_path, PYTHONPATH=str(ROOT), PREFECT_API_URL=prefect_api)
    words = [sys.executable, "-c", BROKEN, "collect", way, *PATHS]
    done = subprocess.run(words, env=variables, capture_output=True, text=True, check=False, timeout=180)
    told, known = done.stdout + done.stderr, kept(prefect_home)
    assert done.returncode == 1
    assert "nobody foresaw this" in told
    assert "Traceback" not in told
    assert "nobody foresaw this" in known or way == "--no-prefect"
    assert [secret for secret in secrets if secret in told or secret in known] == []
