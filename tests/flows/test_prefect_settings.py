"""Settings of Prefect that can't be used: one line and exit code 2, whatever command needs Prefect."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from endpoint_history.monitoring.health import read_health
from endpoint_history.settings import Settings
from flows.schedules import read_schedules
from tests.support.factories import at
from tests.support.prefect_server import ROOT, environment

UNUSABLE = {
    "a missing CA file": ({"SSL_CERT_FILE": "/no/such.pem"}, "SSL_CERT_FILE can't be used: /no/such.pem: no such file"),
    "no number": (
        {"PREFECT_CLIENT_MAX_RETRIES": "often"},
        "ClientSettings max_retries Input should be a valid integer",
    ),
    "no address": ({"PREFECT_API_URL": "http://[::1"}, "Invalid IPv6 URL"),
}


@pytest.mark.slow_unless(words=[["serve"]], name=["a missing CA file"])
@pytest.mark.parametrize("name", UNUSABLE)
@pytest.mark.parametrize("words", [["serve"], ["alerts", "send-test"]], ids=" ".join)
def test_prefect_settings_of_no_use_are_one_line(
    tmp_path: Path, sqlite_template: Path, name: str, words: list[str]
) -> None:
    wrong, reason = UNUSABLE[name]
    url = f"sqlite:///{sqlite_template}"
    variables = environment(tmp_path, DATABASE_URL=url, PREFECT_API_URL="http://127.0.0.1:1/api") | wrong
    done = subprocess.run(
        [sys.executable, "-m", "endpoint_history", *words],
        env=variables | {"PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert done.stderr.startswith("endpoint-history: ")
    assert reason in done.stderr


def test_the_status_shows_no_password_of_the_prefect_server(
    tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{sqlite_template}")
    server = "http://somebody:secret-word@127.0.0.1:1/api"
    monkeypatch.setenv("PREFECT_API_URL", server)
    with temporary_settings({PREFECT_API_URL: server}):  # another test may have imported Prefect before
        problems = " ".join(read_health(Settings.read(), at(0), read_schedules).problems)
    assert "Prefect's server http://***@127.0.0.1:1/api can't be asked" in problems
    assert "secret-word" not in problems
