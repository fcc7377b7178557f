"""What stands in the way of history is told: by the disk, by Prefect, and for probes in JSON."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas import State
from prefect.client.schemas.actions import DeploymentScheduleCreate, WorkPoolCreate
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Scheduled

from endpoint_history.alerts.collect_events import STALE, event
from endpoint_history.alerts.outbox import record_alerts
from endpoint_history.database.engine import opened, upgrade, writing
from endpoint_history.monitoring.health import Health, health_lines, health_payload, read_health
from endpoint_history.monitoring.schedules import Schedules
from endpoint_history.settings import Settings
from flows.prefect_client import one_line
from flows.schedules import read_schedules
from simulator import faults
from simulator.market import Market
from simulator.server import Simulator, serving
from tests.cli.test_app import Command, command
from tests.support.collecting import ARCHIVE, collect, settings
from tests.support.factories import at

__all__ = ["command"]

URL = "sqlite:///data/history.db"
MARKET = Market(models=2)


@pytest.fixture
def collected(monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A history of a minute ago."""
    monkeypatch.setenv("DATABASE_URL", URL)
    monkeypatch.setenv("ARCHIVE_URL", ARCHIVE)
    upgrade(URL)
    with serving(Simulator(MARKET)) as base_url:
        given = settings(URL, base_url)
        assert collect(given, MARKET.paths()).exit_code == 0
    return given


def health(given: Settings, minute: float = 1) -> Health:
    return read_health(given, at(minute), read_schedules)


def test_where_all_is_well_nothing_is_in_the_way(collected: Settings) -> None:
    found = health(collected)
    assert (found.problems, found.schedules) == ([], None)
    assert not any(line.startswith(("Trouble", "Prefect")) for line in health_lines(found))
    payload = health_payload(found)
    assert (payload["healthy"], payload["targets"], payload["late_runs"]) == (True, len(MARKET.paths()), None)
    assert payload["free_bytes"] == found.room


def test_a_misspelt_target_is_a_problem_until_it_is_taken_out_of_the_list(collected: Settings) -> None:
    path = MARKET.paths()[0]
    misspelt = path.replace("/", "/x")
    with serving(Simulator(MARKET)) as base_url:
        collect(settings(URL, base_url), [path, misspelt], minute=1)
    Path("targets.toml").write_text(f"targets = ['{path}', '{misspelt}']")
    found = health(collected)
    assert found.problems == [f"not found (never seen): {misspelt}; did you mean {path}?"]
    assert health_payload(found)["not_found"] == [{"target": misspelt, "did_you_mean": path}]
    Path("targets.toml").write_text(f"targets = ['{path}']")
    assert health(collected).problems == []


def test_a_listed_target_without_endpoints_is_no_problem(collected: Settings) -> None:
    simulator = Simulator(Market(models=20))
    path = next(path for path in simulator.market.paths() if path not in MARKET.paths())
    simulator.answers[path] = faults.answer(404, faults.error_body(404, "Model does not exist"))
    Path("targets.toml").write_text(f"targets = ['{path}']")
    with serving(simulator) as base_url:
        found = collect(settings(URL, base_url), [MARKET.paths()[0], path], minute=1)
    assert (found.exit_code, found.summary.never_seen) == (0, [path])
    assert health(collected).problems == []


def test_a_target_that_is_listed_later_is_no_problem_any_more(collected: Settings) -> None:
    simulator = Simulator(MARKET)
    path = MARKET.paths()[0].replace("/", "/x")
    Path("targets.toml").write_text(f"targets = ['{path}']")
    for minute, listed, problems in ((1, ["other/model"], 1), (2, [path], 0)):
        simulator.answers["models"] = faults.answer(200, json.dumps({"data": [{"id": id_} for id_ in listed]}).encode())
        with serving(simulator) as base_url:
            collect(settings(URL, base_url), [path], minute=minute)
        assert len(health(collected, minute + 1).problems) == problems


def test_a_misspelt_target_whose_newest_look_failed_may_exist(collected: Settings) -> None:
    simulator = Simulator(MARKET)
    simulator.answers["no/model"] = faults.KINDS["500"]
    Path("targets.toml").write_text("targets = ['no/model']")
    with serving(simulator) as base_url:
        collect(settings(URL, base_url), [MARKET.paths()[0], "no/model"], minute=1)
    assert not any("not found" in problem for problem in health(collected).problems)


def test_a_targets_file_that_can_not_be_read_is_a_problem(collected: Settings) -> None:
    Path("targets.toml").write_text("targets = [")
    [problem] = health(collected).problems
    assert problem.startswith("nothing more can be collected: targets.toml is not TOML")


def test_rules_of_alerts_that_can_not_be_read_are_told(collected: Settings) -> None:
    Path("alerts.toml").write_text("[[rules]]\n")
    [problem] = health(collected).problems
    assert problem == "nobody is told of alerts: alerts.toml: 'rules' is not known; 'rule' is"


def test_alerts_that_are_not_delivered_are_a_problem_until_they_are_given_up(
    collected: Settings, command: Command
) -> None:
    with opened(URL) as engine, writing(engine) as connection:
        record_alerts(connection, [event(STALE, None, {"text": "most targets fail"}, "run")], at(0))
    found = health(collected)
    [problem] = found.problems
    assert problem.startswith("1 alert is not delivered, the first since 2026-05-16 09:00 UTC: not sent yet; the next")
    assert health_payload(found)["undelivered_alerts"] == 1
    assert command("alerts", "discard")[:2] == (0, "1 alert was given up\n")
    assert health(collected).problems == []


def test_a_disk_that_is_nearly_full_is_told_before_history_stops(
    collected: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=300_000_000))
    found = health(collected)
    assert found.problems == ["only 0.3 GB are free on the disk"]
    assert list(health_lines(found))[-2:] == ["Disk       0.3 GB free", "Trouble    only 0.3 GB are free on the disk"]


def test_the_room_is_that_where_archive_and_database_lie(collected: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    free = {"archive": 7 * 10**9, "data": 5 * 10**9}
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=free[folder.name]))
    assert health(collected).room == 5 * 10**9


def test_what_is_on_other_machines_has_no_room_to_tell(
    collected: Settings, monkeypatch: pytest.MonkeyPatch, postgres_url: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", postgres_url)
    monkeypatch.setenv("ARCHIVE_URL", "memory://archive")
    assert health(Settings.read()).room is None


def test_what_prefect_does_not_run_is_named_with_what_helps(
    collected: Settings, prefect_api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hourly = DeploymentScheduleCreate(schedule=IntervalSchedule(interval=timedelta(hours=1)), active=False)
    due = at(0)
    with temporary_settings({PREFECT_API_URL: prefect_api}), get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name="nobody-works", type="process"))
        flow = client.create_flow_from_name("collect")
        asleep = client.create_deployment(flow, "asleep", schedules=[hourly])
        whole = client.create_deployment(flow, "whole", schedules=[hourly], paused=True)
        left = client.create_deployment(flow, "left")
        pool = client.create_deployment(flow, "pool", work_pool_name="nobody-works")
        for deployment, minutes in [(left, 5), (left, 10), (pool, 15)]:
            state: State[None] = Scheduled(name="Late", scheduled_time=due + timedelta(minutes=minutes))
            run = client.create_flow_run_from_deployment(deployment, state=state)
            client.set_flow_run_state(run.id, state, force=True)
        schedule = client.read_deployment_by_name("collect/asleep").schedules[0].id
        monkeypatch.setenv("PREFECT_API_URL", prefect_api)
        found = health(collected)
        for deployment in (asleep, whole, left, pool):
            client.delete_deployment(deployment)
        client.delete_work_pool("nobody-works")
    assert isinstance(found.schedules, Schedules)
    assert {"collect/asleep", "collect/whole"} <= set(found.schedules.paused)
    assert {
        "the schedule of collect/asleep is paused; to resume it:"
        f" prefect deployment schedule resume collect/asleep {schedule}",
        "the deployment collect/whole is paused; resume it in Prefect's UI",
        "collect/left: 2 runs are late, the first since 2026-05-16 09:05 UTC; start what runs them:"
        " endpoint-history serve, or delete the deployment with its schedule: prefect deployment delete collect/left",
        "collect/pool: 1 run is late, the first since 2026-05-16 09:15 UTC; start what runs them:"
        " prefect worker start --pool nobody-works, or delete the deployment with its schedule:"
        " prefect deployment delete collect/pool",
    } <= set(found.problems)


@pytest.mark.parametrize("place", ["environment", ".env"])
def test_a_prefect_server_that_is_away_is_a_trouble(
    collected: Settings, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    url = "http://bob:hunter2@127.0.0.1:9/api?token=sesame"
    if place == "environment":
        monkeypatch.setenv("PREFECT_API_URL", url)
    else:
        Path(".env").write_text(f"PREFECT_API_URL={url}\n")
    with temporary_settings({PREFECT_API_URL: url}):
        (problem,) = health(collected).problems
    assert problem.startswith("Prefect's server http://***@127.0.0.1:9/api?token=*** can't be asked: ")


def test_the_secrets_of_prefect_s_address_are_in_no_message(collected: Settings, prefect_api: str) -> None:
    url = prefect_api.replace("http://", "http://bob:hunter2@")
    Path(".env").write_text(f"PREFECT_API_URL={url}?token=sesame\n")
    assert one_line(ValueError(f"no API at {url}?token=sesame")) == (
        f"no API at {prefect_api.replace('//', '//***@')}?token=***"
    )
    Path(".env").write_text(f"PREFECT_API_URL={url}\n")
    with temporary_settings({PREFECT_API_URL: url}):
        lines = "\n".join(health_lines(health(collected)))
    assert f"Prefect    {prefect_api.replace('//', '//***@')}: " in lines
    assert "hunter2" not in lines


def test_a_probe_gets_json_and_an_exit_code(collected: Settings, command: Command) -> None:
    code, out, err = command("health")
    found = json.loads(out)
    assert (code, err, found["healthy"]) == (1, "", False)  # by today's clock that look is old
    assert found["problems"][0].startswith("the newest evidence is ")
    assert found["newest_evidence_at"] == "2026-05-16T09:00:00+00:00"


def test_a_probe_is_told_of_a_database_that_is_away(command: Command) -> None:
    code, out, err = command("health", DATABASE_URL="postgresql://me:sesame@127.0.0.1:9/history")
    found = json.loads(out)
    assert (code, err, found["healthy"]) == (1, "", False)
    assert "can't be used" in found["problems"][0]
    assert "sesame" not in out
