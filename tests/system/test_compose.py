"""The services of compose.yaml run for real, without Docker: their commands and variables, other hosts and ports."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from models.tables import observations
from simulator.market import Market
from simulator.server import Simulator, serving
from tests.support import postgres
from tests.support.collecting import count
from tests.support.composed import COMPOSE, SERVICES, VARIABLES, copy_context, environment
from tests.support.prefect_server import BIN, answered, ask, until

MARKET = Market(models=3)
PATHS = MARKET.paths()[:2]
PATIENCE_SECONDS = 900  # for what never ends: how long each step takes is no matter of this test


@dataclass
class Machine:
    """This machine in the place of Docker: `app` is the folder of the image, `given` what stands in .env."""

    app: Path
    given: dict[str, str]
    database: postgres.Cluster
    api_port: int
    health_port: int

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.api_port}/api"

    def here(self, text: str) -> str:
        """What is written for containers, with the hosts, ports and folders of this machine."""
        for written, real in {
            "@database/": f"@127.0.0.1:{self.database.port}/",
            "//server:": "//127.0.0.1:",
            "0.0.0.0": "127.0.0.1",
            "4200": str(self.api_port),
            "8080": str(self.health_port),
            "/tmp/": f"{self.app.parent}/",
        }.items():
            text = text.replace(written, real)
        return text

    def start(self, service: str, words: list[str], out: Path, **more: str) -> subprocess.Popen[bytes]:
        """Words in a container of that service."""
        variables = {name: self.here(value) for name, value in environment(service, self.given).items()}
        home = self.app.parent / service
        home.mkdir(exist_ok=True)
        of_the_image = {
            "HOME": str(home),
            "PATH": f"{BIN}:{self.database.programs}:{os.environ['PATH']}",
            "PYTHONPATH": str(self.app),
            "PGPORT": str(self.database.port),
            "PREFECT_WORKER_WEBSERVER_PORT": str(self.health_port),
        }
        with out.open("w") as file:
            return subprocess.Popen(
                [self.here(word) for word in words],
                cwd=self.app,
                env=variables | of_the_image | more,
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=file,
            )

    def run(self, service: str, words: list[str], given: str = "", **more: str) -> None:
        out = self.app.with_name("told")
        with self.start(service, words, out, **more) as process:
            process.communicate(given.encode())
        assert process.returncode == 0, out.read_text()

    @contextmanager
    def up(self, service: str, is_there: Callable[[], bool]) -> Iterator[subprocess.Popen[bytes]]:
        """Its command, as long as this lasts; its own health check is asked once it should be content."""
        out = self.app.with_name(f"{service}.log")
        with self.start(service, SERVICES[service]["command"], out) as process:
            try:
                until(lambda: is_there() or process.poll() is not None, PATIENCE_SECONDS)
                assert process.poll() is None, out.read_text()
                self.check_health(service)
                yield process
            finally:
                process.kill()

    def check_health(self, service: str) -> None:
        kind, *words = SERVICES[service]["healthcheck"]["test"]
        assert kind == "CMD"
        self.run(service, words)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    # Signs of addresses, of SQL and of the shell: nobody tells people which to leave out.
    given = {name: f"{secrets.token_hex(8)}'\"@/:\\ #%" for name in VARIABLES}
    with serving(Simulator(MARKET)) as base_url, postgres.cluster() as database:
        given |= {"OPENROUTER_BASE_URL": base_url, "REQUESTS_PER_SECOND": "0"}
        yield Machine(copy_context(tmp_path / "app"), given, database, postgres.free_port(), postgres.free_port())


def make_databases(machine: Machine) -> None:
    """As the image of PostgreSQL runs the scripts in its folder."""
    words = ["psql", "--set=ON_ERROR_STOP=1", "--no-psqlrc", "--host=127.0.0.1", "--username=postgres"]
    script = COMPOSE["configs"]["databases"]["content"]
    machine.run("database", words, script, PGPASSWORD=machine.database.password)
    machine.check_health("database")


def ask_for_a_run(api: str) -> None:
    """Of two targets, each in a shard; and of no other, as the schedule might at this very minute."""
    (deployment,) = ask(api, "deployments", deployments={"name": {"any_": ["collect"]}})
    path = f"{api}/deployments/{deployment['id']}"
    httpx.post(f"{path}/pause_deployment").raise_for_status()
    httpx.post(f"{path}/create_flow_run", json={"parameters": {"targets": PATHS, "shards": 2}}).raise_for_status()


def ended_runs(api: str) -> list[dict[str, Any]]:
    ended = {"type": {"any_": ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"]}}
    return ask(api, "flow_runs", flow_runs={"name": {"like_": "collect 2 given"}, "state": ended})


@pytest.mark.slow
def test_the_services_work_as_they_are_written(machine: Machine) -> None:
    make_databases(machine)
    with machine.up("server", lambda: answered(machine.api)):
        services = httpx.get(f"{machine.api}/admin/settings").json()["server"]["services"]
        assert sorted(services["db_vacuum"]["enabled"]) == ["events", "flow_runs"]  # of pyproject.toml in the image
        machine.run("setup", SERVICES["setup"]["command"])
        ask_for_a_run(machine.api)
        with machine.up("worker", lambda: answered(f"http://127.0.0.1:{machine.health_port}")) as worker:
            (run,) = until(lambda: ended_runs(machine.api), PATIENCE_SECONDS)
            worker.terminate()
            assert worker.wait(PATIENCE_SECONDS) == 0
    assert run["state"]["message"].startswith("2 of 2 targets observed (2 ok, 0 gone)"), run["state"]
    history = machine.database.url_of("history", "history", machine.given["HISTORY_PASSWORD"])
    assert count(history, observations) == len(PATHS)
    assert len(list((machine.app / "data" / "archive").rglob("*.jsonl.gz"))) == 2
