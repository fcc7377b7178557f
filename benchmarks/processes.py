"""What a collect costs as a process of its own, and what Prefect adds, beyond the same collect in a warm process.

A resident Prefect server, as `prefect server start` runs it, for the flow; for the command also the temporary one that
it starts by itself, in a new home and in one that is there. 350 models, no limits, SQLite, a server on loopback.
"""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.conditions import (
    CADENCE,
    START,
    Took,
    command,
    count,
    in_fresh_process,
    machine,
    median,
    scratch_database,
    scratch_folder,
    stopwatch,
)
from benchmarks.tick import collect, served, settings_of
from simulator.market import Market
from tests.support import prefect_server
from tests.support.prefect_server import BIN, environment


def main(arguments: list[str] | None = None) -> None:
    """Measure, and print what was found."""
    parser = command("processes", __doc__)
    parser.add_argument("--models", type=count, default=350, help="how many are asked for")
    parser.add_argument("--runs", type=count, default=5, help="how often, after one that is not counted")
    given = parser.parse_args(arguments)
    paths = Market(given.models).paths()[: given.models]
    print(machine([]))
    with served(given.models) as base_url, scratch_folder() as home, scratch_database(None) as url:
        variables = {
            "DATABASE_URL": url,
            "ARCHIVE_URL": f"{home}/archive",
            "OPENROUTER_BASE_URL": base_url,
            "REQUESTS_PER_SECOND": "0",
        }
        (home / "targets.toml").write_text(f"targets = {paths}")
        with prefect_server.server(home) as api:
            os.environ |= {**variables, "PREFECT_API_URL": api, "PREFECT_LOGGING_LEVEL": "ERROR"}
            plain, flow = in_fresh_process(measure, url, base_url, home / "archive", paths, given.runs)
            print(f"warm, without Prefect     {plain}")
            print(f"warm, flow on a server    {flow}, {flow.seconds / plain.seconds:.2f} times")
            del os.environ["PREFECT_API_URL"]
            asking = {**variables, "PREFECT_API_URL": api}
            runs = range(given.runs)
            alone = [_timed(home, home, variables, "collect", "--no-prefect") for _ in runs]
            _tell("process, --no-prefect", alone, plain)
            _tell("process, server runs", [_timed(home, home, asking, "collect") for _ in runs], plain)
        homes = [home / f"new{number}" for number in range(2)]
        _tell("temporary server, new", [_timed(new, home, variables, "collect") for new in homes], plain)
        _tell("temporary server, again", [_timed(old, home, variables, "collect") for old in homes], plain)


def measure(url: str, base_url: str, archive: Path, paths: Sequence[str], runs: int) -> tuple[Took, Took]:
    """The same collect in turn without Prefect and as a flow, in this process: the medians."""
    from flows.collect import collect as flow  # noqa: PLC0415 - Prefect reads the environment at its import

    given = settings_of(url, base_url, archive)
    plain, flows = [], []
    for run in range(runs + 1):
        with stopwatch() as took:
            asyncio.run(collect(given, paths, START + run * CADENCE))
        plain.append(took)
        with stopwatch() as took:
            asyncio.run(_run(flow, paths))
        flows.append(took)
    return median(plain[1:]), median(flows[1:])


async def _run(flow: Any, paths: Sequence[str]) -> None:
    state = await flow(targets=list(paths), return_state=True)
    if not state.is_completed():
        raise RuntimeError(state.message)


def _timed(prefect_home: Path, folder: Path, variables: dict[str, str], *words: str) -> Took:
    prefect_home.mkdir(exist_ok=True)
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        [BIN / "endpoint-history", *words], cwd=folder, env=environment(prefect_home, **variables), check=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Took(time.perf_counter() - began, cpu)


def _tell(what: str, all_took: Sequence[Took], plain: Took) -> None:
    took = median(all_took)
    beyond = took.seconds - plain.seconds, took.cpu_seconds - plain.cpu_seconds
    print(f"{what:<26}{took}, beyond the warm one {beyond[0]:.2f} s ({beyond[1]:.2f} of CPU)", flush=True)


if __name__ == "__main__":
    main()
