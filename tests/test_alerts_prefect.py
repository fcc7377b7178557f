"""Alerts through a real Prefect server to a webhook on loopback."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.database import upgrade
from simulator import faults
from simulator.market import Market
from simulator.server import Simulator, serving
from tests import prefect_server
from tests.factories import a_body, an_endpoint
from tests.prefect_server import BIN, ask, until
from tests.webhook import receiving

MODEL = "acme/swift-1"
RULES = """
[[rule]]
name = "swift doubles"
on = "price"
models = ["acme/*"]
direction = "up"
threshold_pct = 50
hold_minutes = 0
rearm_minutes = 0
"""


class Collector:
    """Collects from a simulated OpenRouter that asks what a test wants, and tells the server of it."""

    def __init__(self, simulator: Simulator, base_url: str, api: str) -> None:
        here = Path.cwd()
        self._simulator = simulator
        self._environment = prefect_server.environment(
            here,
            DATABASE_URL=f"sqlite:///{here}/history.db",
            ARCHIVE_URL=f"{here}/archive",
            OPENROUTER_BASE_URL=base_url,
            REQUESTS_PER_SECOND="0",
            PREFECT_API_URL=api,
        )

    def run(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [BIN / "endpoint-history", *words],
            env=self._environment | variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def collect(self, prompt: str) -> None:
        body = a_body(an_endpoint(prompt=prompt, model_id=MODEL), model=MODEL)
        self._simulator.answers[MODEL] = faults.answer(200, body)
        done = self.run("collect", MODEL)
        assert done.returncode == 0, done.stderr


@pytest.fixture
def collector(prefect_api: str) -> Iterator[Collector]:
    upgrade("sqlite:///history.db")
    simulator = Simulator(Market(models=1))
    with serving(simulator) as base_url:
        yield Collector(simulator, base_url, prefect_api)


def automations(api: str) -> list[dict[str, Any]]:
    return [found for found in ask(api, "automations") if found["name"].startswith("endpoint-history: ")]


def test_an_alert_comes_once_returns_and_comes_again(prefect_api: str, collector: Collector) -> None:
    Path("alerts.toml").write_text(RULES)
    with receiving() as (url, came):
        for _ in range(2):
            done = collector.run("alerts", "install", ALERTS_WEBHOOK_URL=url)
            assert (done.returncode, done.stderr) == (0, "")
            assert "hunter2" not in done.stdout
        assert len(automations(prefect_api)) == 3
        collector.collect("0.000001")
        collector.collect("0.000003")
        collector.collect("0.000003")
        collector.collect("0.000001")
        load_old_moves(collector)
        collector.collect("0.000004")
        until(lambda: len(came) >= 3, 30)
    assert [(call["payload"]["kind"], call["payload"]["before"], call["payload"]["after"]) for call in came] == [
        ("fired", {"prompt": "0.000001"}, {"prompt": "0.000003"}),
        ("returned", {"prompt": "0.000003"}, {"prompt": "0.000001"}),
        ("fired", {"prompt": "0.000001"}, {"prompt": "0.000004"}),
    ]
    assert came[0]["event"] == "endpoint-history.alert.fired"
    assert came[0]["text"] == ("swift doubles: acme/swift-1 at North (north/fp8): prompt $1/M -> $3/M (+200 %)")


def load_old_moves(collector: Collector) -> None:
    for day, prompt in [(1, "0.000001"), (2, "0.000009"), (3, "0.000001")]:
        body = a_body(an_endpoint(prompt=prompt, model_id=MODEL), model=MODEL)
        Path(f"2026050{day}T000000Z.json").write_bytes(body)
    rules = ("--time", "name:%Y%m%dT%H%M%SZ", "--target", MODEL)
    done = collector.run("backfill", "files", *map(str, Path.cwd().glob("2026*.json")), *rules)
    assert done.returncode == 0, done.stderr
    tried = json.loads(collector.run("alerts", "test", "--days", "3000", "--json").stdout)
    assert [found["kind"] for found in tried["alerts"]] == ["fired", "returned", "fired", "returned"]
