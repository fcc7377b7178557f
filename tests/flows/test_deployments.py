"""What is shipped for Prefect is what it runs: it ignores misspelt keys, and tells nobody of a broken scheduler."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tests.support.prefect_server import ROOT, ask, deploy, deploy_only, environment, pause, resume, until, update


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Schedule(Strict):
    slug: str
    cron: str
    timezone: str  # no `active`: `true` would end a pause at each deploy, `false` would start none


class WorkPool(Strict):
    name: str


class ConcurrencyLimit(Strict):
    limit: int
    collision_strategy: Literal["CANCEL_NEW", "ENQUEUE"]


class Deployment(Strict):
    name: str
    entrypoint: str
    build: list[dict[str, Any]] = []
    description: str
    tags: list[str]
    parameters: dict[str, Any]
    work_pool: WorkPool
    schedules: list[Schedule]
    concurrency_limit: ConcurrencyLimit | None


class PrefectFile(Strict):
    name: str
    prefect_version: str = Field(alias="prefect-version")
    deployments: list[Deployment]


def shipped() -> dict[str, Any]:
    found = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    assert isinstance(found, dict)
    return found


def test_every_key_of_the_shipped_file_is_one_that_prefect_knows() -> None:
    PrefectFile(**shipped())


def test_a_misspelt_key_would_be_found() -> None:
    wrong = shipped()
    wrong["deployments"][0]["concurency_limit"] = 1
    with pytest.raises(ValidationError, match="concurency_limit"):
        PrefectFile(**wrong)


@pytest.mark.parametrize("number", range(len(shipped()["deployments"])))
def test_the_parameters_are_those_of_the_flow_and_each_is_described(number: int) -> None:
    deployment = shipped()["deployments"][number]
    module, _, name = deployment["entrypoint"].partition(":")
    flow = getattr(importlib.import_module(module.removesuffix(".py").replace("/", ".")), name)
    assert set(deployment["parameters"]) <= set(inspect.signature(flow.fn).parameters)
    for parameter in flow.parameters.properties.values():
        assert parameter["description"]
        assert parameter["title"]


def test_the_shipped_settings_of_prefect_are_live() -> None:
    code = (
        "from prefect.settings import get_current_settings as s; v = s().server;"
        "print(v.analytics_enabled, v.ephemeral.startup_timeout_seconds, sorted(v.services.db_vacuum.enabled),"
        " v.services.task_run_recorder.batch_size, v.services.event_persister.batch_size,"
        " v.services.db_vacuum.retention_period.days, s().flows.heartbeat_frequency)"
    )
    variables = {k: v for k, v in environment(Path.cwd()).items() if not k.startswith("PREFECT_SERVER")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=variables, capture_output=True, text=True, check=True
    )
    assert done.stdout.split("\n")[0] == "False 120 ['events', 'flow_runs'] 200 200 30 30"


def test_deployed_to_a_real_server_the_schedule_makes_runs(prefect_api: str, tmp_path: Path) -> None:
    deploy(prefect_api, tmp_path)
    of_deployment = {"deployments": {"name": {"any_": ["collect"]}}}
    due = {"state": {"type": {"any_": ["SCHEDULED"]}}}
    scheduled = until(lambda: ask(prefect_api, "flow_runs", flow_runs=due, **of_deployment), 120)
    assert {"targets": None, "cadence_minutes": 30, "shards": None} in [run["parameters"] for run in scheduled]
    (deployment,) = ask(prefect_api, "deployments", **of_deployment)
    assert deployment["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"
    assert deployment["schedules"][0]["schedule"]["timezone"] == "UTC"
    (backfill,) = ask(prefect_api, "deployments", deployments={"name": {"any_": ["backfill"]}})
    form = backfill["parameter_openapi_schema"]
    assert form["properties"]["mode"]["enum"] == ["load", "dry-run", "rebuild", "verify"]
    assert (form["required"], backfill["schedules"]) == (["source"], [])


def schedules(api: str, **fields: Any) -> dict[str, Any]:
    """The schedules of all shipped deployments by slug, after these fields were changed as the UI does."""
    names = [deployment["name"] for deployment in shipped()["deployments"]]
    found = {}
    for deployment in ask(api, "deployments", deployments={"name": {"any_": names}}):
        for schedule in deployment["schedules"]:
            if fields:
                update(f"{api}/deployments/{deployment['id']}/schedules/{schedule['id']}", **fields)
            found[schedule["slug"]] = schedule
    return found


def test_each_deployment_with_a_schedule_keeps_its_pause() -> None:
    for deployment in (one for one in shipped()["deployments"] if one["schedules"]):
        name = f"{deployment['name']}/{deployment['name']}"
        assert deployment["build"] == [{"flows.schedules.keep_pause": {"deployment": name}}]


@pytest.mark.slow
@pytest.mark.parametrize("whole", [False, True], ids=["schedules", "deployments"])
def test_what_is_paused_stays_paused_when_it_is_deployed_again(prefect_api: str, tmp_path: Path, whole: bool) -> None:
    slugs = {each["slug"]: each["cron"] for one in shipped()["deployments"] for each in one["schedules"]}
    deploy(prefect_api, tmp_path)
    assert {slug: found["active"] for slug, found in schedules(prefect_api).items()} == dict.fromkeys(slugs, True)
    if whole:
        pause(prefect_api)
    else:
        schedules(prefect_api, active=False, schedule={"cron": "1 1 1 1 *", "timezone": "Europe/Paris"})
    try:
        deploy_only(prefect_api, tmp_path)
        again = schedules(prefect_api)
        assert {slug: found["active"] for slug, found in again.items()} == dict.fromkeys(slugs, False)
        assert {slug: found["schedule"]["cron"] for slug, found in again.items()} == slugs  # when: as the file says
        due = {"state": {"type": {"any_": ["SCHEDULED"]}}, "deployment_id": {"is_null_": False}}
        assert [run for run in ask(prefect_api, "flow_runs", flow_runs=due) if run["auto_scheduled"]] == []
    finally:
        schedules(prefect_api, active=True)
        resume(prefect_api)
