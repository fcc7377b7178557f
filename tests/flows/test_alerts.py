"""Alerts through a real Prefect server to a webhook on loopback."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from endpoint_history.database.engine import upgrade
from simulator import faults
from simulator.market import Market
from simulator.server import Simulator, serving
from tests.support import prefect_server
from tests.support.factories import a_body, an_endpoint
from tests.support.prefect_server import BIN, ask, until
from tests.support.webhook import receiving

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
# One process for all, as Prefect takes seconds to import: a line says what to run, a line tells how it ended.
WORKER = """
import asyncio, json, sys
from flows.automations import install_automations
from flows.backfill import backfill
from flows.collect import collect

for line in sys.stdin:
    what, given = json.loads(line)
    if what == "install":
        told = list(install_automations(**given))
    else:
        state = asyncio.run({"collect": collect, "backfill": backfill}[what](**given, return_state=True))
        told = [state.name, state.message]
    print(json.dumps(told), flush=True)
"""


class Worker:
    """Runs flows against a Prefect server, and a simulated OpenRouter that asks what a test wants."""

    def __init__(self, process: subprocess.Popen[str], simulator: Simulator) -> None:
        self._process = process
        self._simulator = simulator
        self._last = datetime.now(UTC)

    def run(self, what: str, **given: Any) -> list[str]:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps([what, given]) + "\n")
        self._process.stdin.flush()
        told: list[str] = json.loads(self._process.stdout.readline())
        return told

    def collect(self, prompt: str) -> None:
        # ObservationTimes have whole seconds, and one at a path in a second is all that counts.
        until(lambda: datetime.now(UTC).replace(microsecond=0) > self._last, 10)
        self._simulator.answers[MODEL] = faults.answer(200, body(prompt))
        assert self.run("collect", targets=[MODEL])[0] == "Completed"
        self._last = datetime.now(UTC)


def body(prompt: str) -> bytes:
    return a_body(an_endpoint(prompt=prompt, model_id=MODEL), model=MODEL)


@contextmanager
def working(api: str) -> Iterator[Worker]:
    upgrade("sqlite:///history.db")
    here = Path.cwd()
    own = {"DATABASE_URL": f"sqlite:///{here}/history.db", "ARCHIVE_URL": f"{here}/archive", "REQUESTS_PER_SECOND": "0"}
    simulator = Simulator(Market(models=1))
    with serving(simulator) as base_url:
        given = prefect_server.environment(here, **own, OPENROUTER_BASE_URL=base_url, PREFECT_API_URL=api)
        with subprocess.Popen(
            [sys.executable, "-c", WORKER], env=given, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            try:
                yield Worker(process, simulator)
            finally:
                process.kill()


@pytest.fixture
def worker(prefect_api: str) -> Iterator[Worker]:
    for found in ask(prefect_api, "automations"):  # those of another test, which may be paused
        httpx.delete(f"{prefect_api}/automations/{found['id']}").raise_for_status()
    with working(prefect_api) as worker:
        yield worker


def automations(api: str) -> list[str]:
    return [found["name"] for found in ask(api, "automations") if found["name"].startswith("endpoint-history: ")]


def events(api: str, since: datetime, name: str) -> list[dict[str, Any]]:
    named = {"event": {"name": [f"endpoint-history.{name}"]}, "occurred": {"since": since.isoformat()}, "order": "ASC"}
    return ask(api, "events", filter=named)


def test_an_alert_comes_once_returns_and_comes_again(prefect_api: str, worker: Worker) -> None:
    since = datetime.now(UTC)
    Path("alerts.toml").write_text(RULES)
    answers: list[int] = []
    with receiving(answers) as (url, came):
        for _ in range(2):
            told = worker.run("install", block=None, webhook_url=url, every=30)
            assert "hunter2" not in "".join(told)
        assert automations(prefect_api) == ["endpoint-history: no collect"]
        assert run("send-test", prefect_api).stdout == "Delivered to webhook/endpoint-history-alerts\n"
        assert came.pop()["event"] == "endpoint-history.alert.test"
        for prompt in ("0.000001", "0.000003", "0.000003"):
            worker.collect(prompt)
        answers += [503] * 4
        worker.collect("0.000001")
        assert "1 alert is not delivered, the first since " in run("status", prefect_api).stdout
        assert len(came) == 1
        backfill_old_moves(worker)
        worker.collect("0.000004")
        assert "not delivered" not in run("status", prefect_api).stdout
    assert [(call["payload"]["kind"], call["payload"]["before"], call["payload"]["after"]) for call in came] == [
        ("fired", {"prompt": "0.000001"}, {"prompt": "0.000003"}),
        ("fired", {"prompt": "0.000001"}, {"prompt": "0.000004"}),
        ("returned", {"prompt": "0.000003"}, {"prompt": "0.000001"}),
    ]
    assert came[0]["event"] == "endpoint-history.alert.fired"
    assert came[0]["text"] == "swift doubles: acme/swift-1 at North (north/fp8): prompt $1/M -> $3/M (+200 %)"
    told_plainly(prefect_api, since)


def run(command: str, api: str) -> subprocess.CompletedProcess[str]:
    """`endpoint-history COMMAND` in the folder of the test."""
    own = {"DATABASE_URL": "sqlite:///history.db", "ARCHIVE_URL": "archive"}
    given = prefect_server.environment(Path.cwd(), **own, PREFECT_API_URL=api)
    words = ["alerts", command] if command == "send-test" else [command]
    return subprocess.run(
        [str(BIN / "endpoint-history"), *words], env=given, capture_output=True, text=True, check=False
    )


def backfill_old_moves(worker: Worker) -> None:
    for day, prompt in [(1, "0.000001"), (2, "0.000009"), (3, "0.000001")]:
        Path(f"2026050{day}T000000Z.json").write_bytes(body(prompt))
    paths = [str(path) for path in sorted(Path.cwd().glob("2026*.json"))]
    done = worker.run("backfill", source="files", paths=paths, time="name:%Y%m%dT%H%M%SZ", target=MODEL)
    assert done[1].startswith("3 read, 3 new")


def told_plainly(api: str, since: datetime) -> None:
    """Every collect tells that it ended, and each change of a price by its stable name."""
    until(lambda: len(events(api, since, "collected")) == 5, 120)
    changes = events(api, since, "price.changed")
    assert [event["payload"]["prices"][0]["after"] for event in changes] == ["0.000003", "0.000001", "0.000004"]
    assert changes[0]["resource"]["prefect.resource.id"] == "endpoint-history.endpoint.acme/swift-1@north/fp8"
    assert {"endpoint-history.model.acme/swift-1", "endpoint-history.provider.North"} <= {
        resource["prefect.resource.id"] for resource in changes[0]["related"]
    }


@pytest.mark.slow
def test_who_was_paused_stays_so_and_slack_gets_a_block_of_its_own(prefect_api: str, worker: Worker) -> None:
    worker.run("install", block=None, webhook_url="https://hooks.slack.com/services/T0/B0/hunter2", every=30)
    [missing] = [found for found in ask(prefect_api, "automations") if found["name"] == "endpoint-history: no collect"]
    httpx.patch(f"{prefect_api}/automations/{missing['id']}", json={"enabled": False}).raise_for_status()
    old = {key: missing[key] for key in ("trigger", "actions")} | {"name": "endpoint-history: alerts"}
    httpx.post(f"{prefect_api}/automations/", json=old).raise_for_status()
    told = worker.run("install", block="slack-webhook/endpoint-history-alerts", webhook_url=None, every=10)
    assert told[0].split() == ["Updated", "'endpoint-history:", "no", "collect'"]
    assert told[1] == "Removed 'endpoint-history: alerts': collects send these themselves"
    found = {found["name"]: found for found in ask(prefect_api, "automations")}
    assert "endpoint-history: alerts" not in found
    assert found["endpoint-history: no collect"]["enabled"] is False
    assert found["endpoint-history: no collect"]["actions"][0]["type"] == "send-notification"
    assert found["endpoint-history: no collect"]["trigger"]["within"] == 1800
    assert found["endpoint-history: no collect"]["trigger"]["posture"] == "Proactive"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--block", "slack-webhook/nobody"), "the server has no block slack-webhook/nobody"),
        (("--block", "nothing"), "'nothing' is no TYPE/NAME"),
        (("--webhook-url", "hunter2"), "--webhook-url: expected an http or https address"),
    ],
)
def test_what_can_not_be_installed_is_told_in_one_line(prefect_api: str, words: tuple[str, ...], message: str) -> None:
    given = prefect_server.environment(Path.cwd(), PREFECT_API_URL=prefect_api)
    command = [str(BIN / "endpoint-history"), "alerts", "install", *words]
    done = subprocess.run(command, env=given, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert message in done.stderr
    assert "hunter2" not in done.stderr
