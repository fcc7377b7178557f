"""A walk in shards: real workers of a real pool, killed, missing, and polite together."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from aiohttp import web

from models.tables import listing_changes, observations, runs
from simulator import faults
from simulator.market import Market
from simulator.server import Simulator, serving
from tests.support.collecting import count
from tests.support.factories import at
from tests.support.prefect_server import BIN, ROOT, ask, deploy, environment, pause, until

MARKET = Market(models=140)
PATHS = MARKET.paths()
SECOND_BATCH = PATHS[-1]
RATE = 40


@pytest.fixture(scope="session")
def deployments(prefect_api: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a server's API where everything is deployed."""
    deploy(prefect_api, tmp_path_factory.mktemp("deploy"))
    return prefect_api


@pytest.fixture
def deployed(deployments: str) -> str:
    """The same, without schedules, and the environment says so."""
    pause(deployments)
    os.environ["PREFECT_API_URL"] = deployments
    return deployments


@pytest.fixture
def asked_at() -> list[float]:
    """When each request came to the simulator, in seconds."""
    return []


@pytest.fixture
def simulator(deployed: str, postgres_url: str, asked_at: list[float]) -> Iterator[Simulator]:
    """A simulated OpenRouter, and workers' settings that lead to it."""

    def clock() -> datetime:
        asked_at.append(time.monotonic())
        return at(0)

    with serving(simulator := Simulator(MARKET, clock=clock)) as base_url:
        os.environ |= {
            "DATABASE_URL": postgres_url,
            "ARCHIVE_URL": f"{Path.cwd()}/archive",
            "OPENROUTER_BASE_URL": base_url,
            "REQUESTS_PER_SECOND": str(RATE),
        }
        yield simulator


@contextmanager
def worker(name: str) -> Iterator[Callable[[], None]]:
    """A worker of the pool for one run at a time; yields how to kill it and what it started, as if its machine died."""
    words = [str(BIN / "prefect"), "worker", "start", "--pool", "endpoint-history", "--name", name, "--limit", "1"]
    fast = environment(Path.cwd(), PREFECT_WORKER_QUERY_SECONDS="1")
    with subprocess.Popen(words, cwd=ROOT, env=fast, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:

        def kill() -> None:
            with suppress(psutil.NoSuchProcess):
                its_own = psutil.Process(process.pid)
                for one in [*its_own.children(recursive=True), its_own]:
                    one.send_signal(signal.SIGKILL)

        try:
            yield kill
        finally:
            kill()


@contextmanager
def two_workers(api: str, *names: str) -> Iterator[None]:
    """Workers that are there, both: what one at a time takes, the other leaves."""

    def there() -> bool:
        known = ask(api, "work_pools/endpoint-history/workers")
        return set(names) <= {one["name"] for one in known if one["status"] == "ONLINE"}

    with ExitStack() as stack:
        for name in names:
            stack.enter_context(worker(name))
        until(there, 60)
        yield


def took(api: str, *names: str) -> Counter[str]:
    """How many runs each of these workers took, once each took one. Raises TimeoutError."""
    submitted = {"event": {"name": ["prefect.worker.submitted-flow-run"]}}

    def taken() -> Counter[str] | None:
        workers = Counter(event["resource"]["prefect.resource.name"] for event in ask(api, "events", filter=submitted))
        return Counter({name: workers[name] for name in names}) if set(names) <= set(workers) else None

    return until(taken, 120)


def python(code: str, *words: str) -> str:
    """What Python code says, in a process of its own: Prefect's client leaves sockets open."""
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=ROOT, env=environment(Path.cwd()), capture_output=True, text=True,
        check=False, timeout=200,
    )  # fmt: skip
    return done.stdout.strip() or done.stderr


def walk(shards: int, missed_beats: int = 3, **parameters: Any) -> str:
    """What a walk says at its end; it takes a shard for lost when so many heartbeats lack."""
    code = f"""if True:
        import asyncio, json, sys
        from flows import collect, workers
        workers._MISSED_BEATS = {missed_beats}
        print(asyncio.run(collect.collect(**json.loads(sys.argv[1]), return_state=True)).message)
    """
    return python(code, json.dumps({"targets": PATHS, "shards": shards, **parameters}))


def hand_out(setting: str) -> str:
    """What handing out one shard says where no worker is."""
    code = f"""if True:
        import asyncio
        from datetime import UTC, datetime, timedelta
        from flows import workers
        from endpoint_history.collecting.shards import split
        from models.observation import Target
        {setting}
        shards = split("20260516T090000Z-collect-1a2b3c", [Target("acme", "one")], 1)
        until = datetime.now(UTC) + timedelta(seconds=1)
        print(asyncio.run(workers.Workers(30, until).hand_out(shards, list)))
    """
    return python(code).splitlines()[-1]


def looks(url: str) -> int:
    return count(url, observations)


def test_two_workers_share_a_walk_and_its_rate_and_tell_of_it_as_one(
    deployed: str, simulator: Simulator, postgres_url: str, asked_at: list[float]
) -> None:
    simulator.answers[PATHS[3]] = faults.KINDS["html"]
    with two_workers(deployed, "left", "right"):
        said = walk(2, cadence_minutes=30)
        assert took(deployed, "left", "right") == {"left": 1, "right": 1}
    ok = len(PATHS) - 1
    assert said.startswith(f"{ok} of {len(PATHS)} targets observed ({ok} ok, 0 gone); 1 failed; ")
    assert count(postgres_url, runs, runs.c.finished_at.is_not(None)) == 2
    assert Counter(path for path, _ in simulator.requests).most_common(1)[0][1] == 1
    assert (len(asked_at) - 1) / (asked_at[-1] - asked_at[0]) < 1.1 * RATE
    words = [str(BIN / "endpoint-history"), "status"]
    done = subprocess.run(words, env={**os.environ, "PREFECT_API_URL": ""}, capture_output=True, text=True, check=False)
    assert f"{ok} ok, 0 gone, 1 failed" in done.stdout
    assert f"Failing    1 of {len(PATHS)} targets" in done.stdout


@pytest.mark.slow
def test_two_walks_at_once_keep_to_one_rate(deployed: str, simulator: Simulator, asked_at: list[float]) -> None:
    httpx.delete(f"{deployed}/v2/concurrency_limits/endpoint-history-requests")  # faster walks have taken from it
    slow = 10
    os.environ["REQUESTS_PER_SECOND"] = str(slow)
    halves = [PATHS[::2], PATHS[1::2]]
    with two_workers(deployed, "one", "other"), ThreadPoolExecutor() as pool:
        said = list(pool.map(lambda half: walk(1, targets=half), halves))
        assert took(deployed, "one", "other") == {"one": 1, "other": 1}
    assert [line.split(" targets")[0] for line in said] == [f"{len(half)} of {len(half)}" for half in halves]
    # Each is its walk's only shard, and alone would ask as often as both may together.
    assert (len(asked_at) - 1) / (asked_at[-1] - asked_at[0]) < 1.1 * slow


@pytest.mark.slow
def test_a_shard_of_a_worker_that_was_killed_goes_to_another(simulator: Simulator, postgres_url: str) -> None:

    async def kill_the_worker(request: web.Request, body: bytes) -> web.StreamResponse:
        del simulator.answers[SECOND_BATCH]
        await asyncio.to_thread(until, lambda: looks(postgres_url) == 128, 60)
        kill()
        stack.enter_context(worker("b"))
        return await faults.answer(200, body)(request, body)

    simulator.answers[SECOND_BATCH] = kill_the_worker
    with ExitStack() as stack:
        kill = stack.enter_context(worker("a"))
        said = walk(1, missed_beats=2)
    assert said.startswith(f"{len(PATHS)} of {len(PATHS)} targets observed ({len(PATHS)} ok, 0 gone); ")
    assert looks(postgres_url) == len(PATHS)
    assert count(postgres_url, listing_changes, listing_changes.c.listed.is_(False)) == 0


def test_what_all_shards_may_ask_is_taken_from_one_limit(deployed: str) -> None:
    code = """if True:
        import asyncio
        from flows import workers
        workers.RATE_LIMIT = "fresh"
        async def ask():
            await workers.limit_requests(0.01, 2)
            await workers.SharedRate(0.01, 2).acquire()
        asyncio.run(ask())
        print("asked")
    """
    assert python(code) == "asked"
    one_more = {"names": ["fresh"], "slots": 1, "mode": "rate_limit"}
    taken = [httpx.post(f"{deployed}/v2/concurrency_limits/increment", json=one_more) for _ in range(2)]
    assert [answer.status_code for answer in taken] == [200, 423]


@pytest.mark.slow
def test_a_shard_that_no_worker_takes_is_told_and_taken_back(deployed: str) -> None:
    assert re.fullmatch(r"\['shard 1 of 1: no worker took it by \d\d:\d\d UTC'\]", hand_out(""))
    due = {"state": {"type": {"any_": ["SCHEDULED"]}}}
    assert ask(deployed, "flow_runs", flow_runs=due, deployments={"name": {"any_": ["collect-shard"]}}) == []


@pytest.mark.slow
def test_a_shard_that_ended_well_but_left_something_is_told(deployed: str) -> None:
    said = hand_out("""
        from prefect.states import Completed
        async def ended(self, client, run):
            state = Completed(message="1 waits in the archive")
            await client.set_flow_run_state(run.id, state, force=True)
            return state
        workers.Workers._end_of = ended""")
    told = "shard 1 of 1: 1 target not stored in the database: 1 waits in the archive"
    assert said == str([told])


def test_without_the_deployment_of_shards_it_is_told_what_to_do(deployed: str) -> None:
    said = hand_out('workers._DEPLOYMENT = "collect-shard/nobody"')
    assert said.endswith("there is no deployment collect-shard/nobody; run: prefect deploy --all")
