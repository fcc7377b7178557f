"""How much faster a walk is by two and by four workers of a Prefect pool, where the upstream is slow to answer.

A real Prefect server, real workers with one run each, PostgreSQL for the history, no limit of requests; each worker has
8 connections. What is measured is one run of `collect` with as many shards as there are workers, from its start to its
end: handing out, starting processes and waiting are in it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.conditions import command, count, machine, scratch_database, scratch_folder, servers
from benchmarks.tick import bodies, served_bodies
from simulator.market import Market
from tests.support import prefect_server
from tests.support.prefect_server import BIN, ROOT, environment

_WALK = """
import asyncio, json, sys, time
from flows.collect import collect
began = time.perf_counter()
state = asyncio.run(collect(**json.loads(sys.argv[1]), return_state=True))
print(json.dumps([time.perf_counter() - began, state.message]))
"""


def main(arguments: list[str] | None = None) -> None:
    """Measure, and print what was found."""
    parser = command("workers", __doc__)
    parser.add_argument("--targets", type=count, default=2000, help="how many are asked for")
    parser.add_argument("--latency", type=float, default=1.0, help="seconds until an answer begins")
    parser.add_argument("--workers", type=count, nargs="+", default=[1, 2, 4], help="how many at once")
    given = parser.parse_args([*(arguments or sys.argv[1:]), "--postgres"])
    paths = Market(given.targets).paths()[: given.targets]
    with servers(with_postgres=True) as known, served_bodies(bodies(given.targets), given.latency) as base_url:
        print(machine(known.values()))
        floor = given.targets * given.latency / 8
        print(f"{given.targets} targets, {given.latency:g} s each, one worker takes at least {floor:.0f} s")
        first = None
        for workers in given.workers:
            with scratch_database(known["PostgreSQL"]) as url, scratch_folder() as home:
                seconds, said = measure(url, base_url, home, paths, workers)
            first = first or seconds
            print(f"  {workers} workers  {seconds:6.1f} s, {first / seconds:.2f} times as fast; {said}", flush=True)


def measure(url: str, base_url: str, home: Path, paths: Sequence[str], workers: int) -> tuple[float, str]:
    """How long one walk takes by so many workers, and what it says."""
    with ExitStack() as stack:
        api = stack.enter_context(prefect_server.server(home))
        variables = environment(
            home,
            PREFECT_API_URL=api,
            PREFECT_WORKER_QUERY_SECONDS="1",
            DATABASE_URL=url,
            ARCHIVE_URL=f"{home}/archive",
            OPENROUTER_BASE_URL=base_url,
            REQUESTS_PER_SECOND="0",
        )
        pool = ("work-pool", "create", "endpoint-history", "--type", "process")
        for words in (pool, ("--no-prompt", "deploy", "--all")):
            subprocess.run([BIN / "prefect", *words], cwd=ROOT, env=variables, check=True, stdout=subprocess.DEVNULL)
        for number in range(workers):
            stack.enter_context(_worker(f"w{number}", variables))
        time.sleep(10)  # until all are there
        given = json.dumps({"targets": list(paths), "shards": workers})
        done = subprocess.run(
            [sys.executable, "-c", _WALK, given], cwd=ROOT, env=variables, check=True, stdout=subprocess.PIPE, text=True
        )
    seconds, said = json.loads(done.stdout.splitlines()[-1])
    if not str(said).startswith(f"{len(paths)} of {len(paths)} targets observed"):
        raise RuntimeError(said)
    return seconds, said


@contextmanager
def _worker(name: str, variables: dict[str, str]) -> Iterator[None]:
    words = [str(BIN / "prefect"), "worker", "start", "--pool", "endpoint-history", "--name", name, "--limit", "1"]
    with subprocess.Popen(
        words, cwd=ROOT, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGTERM)


if __name__ == "__main__":
    main()
