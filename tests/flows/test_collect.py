"""The flow as Prefect runs it: on a server, on a temporary one, under a worker, and when the server dies."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from aiohttp import web

from endpoint_history.database.engine import upgrade
from flows import collect as collect_flow
from models.tables import observations
from simulator import faults
from simulator.market import Market
from simulator.server import Simulator, serving
from tests.support import prefect_server
from tests.support.collecting import count, is_told_by_its_archive
from tests.support.factories import a_body, an_endpoint, at
from tests.support.prefect_server import BIN, ROOT, answered, ask, until

MARKET = Market(models=120)
PATHS = MARKET.paths()
URL = "sqlite:///history.db"
AWAY = "http://bob:hunter2@127.0.0.1:9/api?token=sesame"


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    upgrade(URL)
    Path("targets.toml").write_text(f"targets = {PATHS}")
    simulator = Simulator(MARKET, clock=lambda: at(0))
    with serving(simulator) as base_url:
        os.environ["OPENROUTER_BASE_URL"] = base_url
        yield simulator


def command(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `endpoint-history WORDS`, or `prefect WORDS`, as a process of its own in the folder of the test."""
    name, *rest = words
    return subprocess.run(
        [BIN / name, *rest],
        cwd=ROOT if name == "prefect" else Path.cwd(),
        env=environment(**variables),
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )


def environment(**variables: str) -> dict[str, str]:
    here = Path.cwd()
    own = {
        "DATABASE_URL": f"sqlite:///{here}/history.db",
        "ARCHIVE_URL": f"{here}/archive",
        "TARGETS_FILE": f"{here}/targets.toml",
        "REQUESTS_PER_SECOND": "0",
    }
    given = prefect_server.environment(here, **own, **variables)
    del given["PREFECT_LOGGING_LEVEL"]
    return given


def runs_named(api: str, prefix: str, *, deployed: bool = False) -> list[dict[str, Any]]:
    runs = ask(api, "flow_runs", flow_runs={"deployment_id": {"is_null_": not deployed}})
    return [run for run in runs if run["name"].startswith(prefix)]


def changes(api: str, since: datetime) -> list[dict[str, Any]]:
    named = {"event": {"name": ["endpoint-history.changed"]}, "occurred": {"since": since.isoformat()}}
    return ask(api, "events", filter=named)


def test_a_server_shows_the_run_its_batches_and_its_outcome(prefect_api: str, simulator: Simulator) -> None:
    simulator.answers[PATHS[3]] = faults.KINDS["html"]
    done = command("endpoint-history", "collect", PREFECT_API_URL=prefect_api)
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1].startswith(f"{len(PATHS)} of {len(PATHS)} targets asked")
    (run,) = runs_named(prefect_api, "collect all targets 20")
    ok = len(PATHS) - 1
    assert run["state"]["name"] == "Completed"
    assert run["state"]["message"].startswith(f"{ok} of {len(PATHS)} targets observed ({ok} ok, 0 gone); 1 failed; ")
    batches = until(lambda: ask(prefect_api, "task_runs", flow_runs={"id": {"any_": [run["id"]]}}), 30)
    assert {batch["name"] for batch in batches} <= {
        f"{PATHS[0]} and 127 more",
        f"{PATHS[128]} and {len(PATHS) - 129} more",
    }
    (artifact,) = ask(prefect_api, "artifacts", flow_runs={"id": {"any_": [run["id"]]}})
    assert artifact["key"] == "collect-outcome"
    assert f"| {PATHS[3]} | a web page, not JSON |" in artifact["data"].replace("\\", "")


@pytest.mark.slow
def test_one_event_tells_what_changed_and_none_that_nothing_did(prefect_api: str, simulator: Simulator) -> None:
    path, since = PATHS[0], datetime.now(UTC)
    for prompt in ("0.000001", "0.000001", "0.000003"):
        simulator.answers[path] = faults.answer(200, a_body(an_endpoint(prompt=prompt, model_id=path), model=path))
        assert command("endpoint-history", "collect", path, PREFECT_API_URL=prefect_api).returncode == 0
    (event,) = until(lambda: changes(prefect_api, since), 30)
    assert event["payload"]["counts"] == {"price_moves": 1, "drift": 0}
    (move,) = event["payload"]["price_moves"]
    assert (move["model"], move["price"], move["before"], move["after"]) == (path, "prompt", "0.000001", "0.000003")


@pytest.mark.slow
def test_a_temporary_server_leaves_no_word_of_its_own(simulator: Simulator) -> None:
    done = command("endpoint-history", "collect", PATHS[0], PATHS[1])
    assert done.returncode == 0
    assert re.fullmatch(r"(Starting a temporary Prefect server\n)?2 of 2 targets asked, [\d.,]+/s\n", done.stderr)
    assert [line.split()[0] for line in done.stdout.splitlines()] == [
        "Targets", "Endpoints", "Prices", "Database", "Archive",
    ]  # fmt: skip


def test_what_is_wrong_is_told_in_one_line_through_prefect_too(prefect_api: str, simulator: Simulator) -> None:
    done = command("endpoint-history", "collect", "nobody/*", PATHS[0], PREFECT_API_URL=prefect_api)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "endpoint-history: the given targets: 'nobody/*' matches none of the 121 listed models\n"
    (run,) = runs_named(prefect_api, "collect 2 given targets")
    assert run["state"]["name"] == "Failed"
    assert "'nobody/*' matches none" in run["state"]["message"]


def test_a_prefect_server_that_is_away_is_told_in_one_line(simulator: Simulator) -> None:
    done = command("endpoint-history", "collect", PREFECT_API_URL=AWAY)
    assert not any(secret in done.stderr for secret in ("hunter2", "sesame"))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith("endpoint-history: Prefect can't be used: ")
    assert done.stderr.endswith("--no-prefect collects without it\n")
    assert ([path for path, _ in simulator.requests], count(URL, observations)) == (["/api/v1"], 0)


def test_without_a_network_prefect_is_not_even_started(simulator: Simulator, tmp_path: Path) -> None:
    os.environ["OPENROUTER_BASE_URL"] = "http://127.0.0.1:9/api/v1"
    done = command("endpoint-history", "collect", PREFECT_HOME=f"{tmp_path}/prefect-home")
    assert (done.returncode, done.stdout) == (1, "")
    assert "http://127.0.0.1:9/api/v1 can't be reached: connection refused" in done.stderr.splitlines()[-1]
    assert not (tmp_path / "prefect-home").exists()


@pytest.mark.slow
@pytest.mark.parametrize("home", ["/proc/nowhere", "/dev/null/nowhere"])
def test_where_prefect_has_no_home_it_is_done_without(simulator: Simulator, home: str) -> None:
    given = {name: value for name, value in environment(HOME=home).items() if name != "PREFECT_HOME"}
    words = [str(BIN / "endpoint-history"), "collect", *PATHS[:2]]
    done = subprocess.run(words, env=given, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split("\n")[0]) == (0, "Targets    2 ok, 0 gone, 0 failed, of 2")
    without, asked = done.stderr.splitlines()
    assert without.startswith(f"Collecting without Prefect: the folder {home}/.prefect can't be written: ")
    assert asked.startswith("2 of 2 targets asked")
    assert count(URL, observations) == 2


@pytest.mark.slow
def test_a_server_that_dies_in_the_middle_costs_no_data(simulator: Simulator, tmp_path: Path) -> None:
    home = tmp_path / "dying"
    home.mkdir()
    with prefect_server.server(home) as api:
        (pid,) = (int(line) for line in (home / "pid").read_text().split())

        async def kill_the_server(request: web.Request, body: bytes) -> web.StreamResponse:
            os.killpg(pid, signal.SIGKILL)
            return await faults.answer(200, body)(request, body)

        simulator.answers[PATHS[20]] = kill_the_server
        done = command("endpoint-history", "collect", PREFECT_API_URL=api)
    assert done.returncode == 0
    assert f"Targets    {len(PATHS)} ok" in done.stdout
    assert done.stderr.splitlines()[-1].startswith("endpoint-history: all is stored, but Prefect can't be used: ")
    assert count(URL, observations) == len(PATHS)
    assert is_told_by_its_archive(URL)


# The command line, and its Prefect server is killed once a function of ours has done its work.
DEADLY = """
import os, pkgutil, signal, sys
from flows import prefect_client
prefect_client.set_defaults()
from flows import collect
from endpoint_history.cli import app as cli

pid, owner, name = int(sys.argv.pop(1)), pkgutil.resolve_name(sys.argv.pop(1)), sys.argv.pop(1)
step = getattr(owner, name)

def kill():
    os.killpg(pid, signal.SIGKILL)

async def published(*given):
    await step(*given)
    kill()

def shown(collected):
    kill()
    return step(collected)

setattr(owner, name, {"_publish": published, "_show": shown}[name])
cli.main()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "is_told"), [("flows.collect _publish", True), ("endpoint_history.cli.collect _show", False)]
)
def test_a_server_that_dies_after_the_work_costs_no_data(
    simulator: Simulator, tmp_path: Path, step: str, is_told: bool
) -> None:
    """Before Prefect hears how the run ended, or after that and before the end of the process."""
    home = tmp_path / "dying"
    home.mkdir()
    with prefect_server.server(home) as api:
        words = [sys.executable, "-c", DEADLY, (home / "pid").read_text(), *step.split(), "collect", *PATHS[:3]]
        variables = environment(PREFECT_API_URL=api, PYTHONPATH=str(ROOT))
        done = subprocess.run(words, env=variables, capture_output=True, text=True, check=False, timeout=120)
        assert not answered(api)
    assert (done.returncode, "Targets    3 ok" in done.stdout) == (0, True), done.stderr
    assert ("endpoint-history: all is stored, but Prefect can't be used: " in done.stderr) == is_told
    assert "Traceback" not in done.stderr
    assert count(URL, observations) == 3
    assert is_told_by_its_archive(URL)


def test_a_worker_runs_what_is_deployed_and_prefect_keeps_no_key(
    prefect_api: str, prefect_home: Path, simulator: Simulator
) -> None:
    given = {"PREFECT_API_URL": prefect_api, "OPENROUTER_API_KEY": "sk-or-v1-0123456789abcdef"}
    prefect_server.deploy(prefect_api, Path.cwd())
    prefect_server.pause(prefect_api)
    run = ("deployment", "run", "collect/collect", "--param", f'targets=["{PATHS[5]}"]')
    work = ("worker", "start", "--pool", "endpoint-history", "--run-once")
    for words in (run, run, work):  # as if a schedule fired twice
        done = command("prefect", *words, **given)
        assert done.returncode == 0, done.stdout + done.stderr
    (started,) = until(lambda: runs_named(prefect_api, "collect 1 given", deployed=True), 60)
    both = ask(prefect_api, "flow_runs", deployments={"name": {"any_": ["collect"]}})
    assert sorted(run["state"]["type"] for run in both if run["parameters"]["targets"]) == ["CANCELLED", "COMPLETED"]
    assert started["state"]["message"].startswith("1 of 1 target observed (1 ok, 0 gone)")
    assert count(URL, observations) == 1
    assert simulator.requests[-1][1]["Authorization"] == f"Bearer {given['OPENROUTER_API_KEY']}"
    assert given["OPENROUTER_API_KEY"] not in prefect_server.kept(prefect_home)


SERVED = {"deployments": {"name": {"any_": ["served"]}}}


@contextmanager
def serving_collects(stop_by: signal.Signals, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """`endpoint-history serve`, stopped by this signal in the end. What it says is to be read from its stdout."""
    words = [str(BIN / "endpoint-history"), "serve", "--every", "7"]
    given = environment(**variables)
    with subprocess.Popen(words, env=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.send_signal(stop_by)
            _, said = process.communicate(timeout=120)
            assert "Traceback" not in said


def scheduled_runs(api: str) -> list[dict[str, Any]]:
    return ask(api, "flow_runs", flow_runs={"state": {"type": {"any_": ["SCHEDULED"]}}}, **SERVED)


@pytest.mark.slow
def test_serve_needs_no_server_and_leaves_no_schedule(simulator: Simulator, tmp_path: Path) -> None:
    with serving_collects(signal.SIGINT) as process:
        assert process.stdout
        api = process.stdout.readline().split()[-1] + "/api"
        scheduled = until(lambda: scheduled_runs(api) if answered(api) else None, 90)
        command("prefect", "deployment", "run", "collect/served", PREFECT_API_URL=api)
        until(lambda: count(URL, observations) == len(PATHS), 60)
        (deployment,) = ask(api, "deployments", **SERVED)
    assert scheduled[0]["parameters"] == {"cadence_minutes": 7}
    assert [schedule["schedule"]["interval"] for schedule in deployment["schedules"]] == [420]
    assert deployment["concurrency_limit"] is None  # it would hold the place of a run that is stopped with the service
    with closing(sqlite3.connect(tmp_path / "prefect.db")) as database:
        assert database.execute("SELECT count(*) FROM deployment").fetchone() == (0,)
        assert database.execute("SELECT count(*) FROM flow_run WHERE state_type = 'SCHEDULED'").fetchone() == (0,)


@pytest.mark.slow
def test_serve_stopped_leaves_no_schedule_and_killed_one_that_status_names(
    prefect_api: str, simulator: Simulator
) -> None:
    command("endpoint-history", "collect", "--no-prefect", PREFECT_API_URL=prefect_api)
    with serving_collects(signal.SIGKILL, PREFECT_API_URL=prefect_api):
        (left,) = until(lambda: ask(prefect_api, "deployments", **SERVED), 90)
        run = until(lambda: scheduled_runs(prefect_api), 30)[0]
    late = {"type": "SCHEDULED", "name": "Late", "state_details": {"scheduled_time": run["expected_start_time"]}}
    path = f"{prefect_api}/flow_runs/{run['id']}/set_state"
    httpx.post(path, json={"state": late, "force": True}).raise_for_status()
    done = command("endpoint-history", "status", PREFECT_API_URL=prefect_api)
    assert "collect/served: 1 run is late, the first since " in done.stdout
    assert "prefect deployment delete collect/served" in done.stdout
    prefect_server.pause(prefect_api)
    with serving_collects(signal.SIGTERM, PREFECT_API_URL=prefect_api):  # what was left is no hindrance
        until(lambda: [one for one in ask(prefect_api, "deployments", **SERVED) if one["id"] != left["id"]], 90)
        until(lambda: scheduled_runs(prefect_api), 30)
    assert ask(prefect_api, "deployments", **SERVED) == []
    assert "served" not in command("endpoint-history", "status", PREFECT_API_URL=prefect_api).stdout


@pytest.mark.slow
def test_serve_with_a_server_that_is_away_gets_one_line(simulator: Simulator) -> None:
    done = command("endpoint-history", "serve", PREFECT_API_URL=AWAY)
    assert not any(secret in done.stderr for secret in ("hunter2", "sesame"))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("endpoint-history: Prefect can't be used: ")


@pytest.mark.parametrize(("minutes", "cadence", "late"), [(9, 7, 9), (7, 7, 7), (6, 7, 0), (9, None, 0)])
def test_a_run_that_waited_longer_than_its_interval_is_late(
    monkeypatch: pytest.MonkeyPatch, minutes: int, cadence: int | None, late: int
) -> None:
    due = datetime.now(UTC) - timedelta(minutes=minutes, seconds=20)
    monkeypatch.setattr(collect_flow, "flow_run", SimpleNamespace(scheduled_start_time=due))
    assert collect_flow._minutes_too_late(cadence) == late
