"""What one collect costs beside the same walk by dlt, warm, limits off, from a simulated OpenRouter on loopback.

dlt keeps prices as SCD2 with the model as merge key and appends uptime samples, in one pipeline that stays open. It
does so in two ways: "fastest" asks by aiohttp inside its source and hands on Arrow tables; "by its docs" asks with its
own HTTP client, in as many threads as we have connections, and hands on rows. In turn with them go bare walks by httpx
and aiohttp. dlt keeps no raw bodies, listings, coverage, incidents and rollups; what we take includes them.
"""

from __future__ import annotations

import json
import os

import dlt

from benchmarks.conditions import (
    CADENCE,
    START,
    Took,
    command,
    count,
    empty_database,
    in_fresh_process,
    machine,
    median,
    scratch_database,
    scratch_folder,
    servers,
    stopwatch,
)
from benchmarks.dlt_pipeline import dlt_pipeline
from benchmarks.dlt_walks import by_its_docs, fastest, stored
from benchmarks.tick import (
    WIDTH,
    addresses_of,
    bodies,
    collect,
    served,
    settings_of,
    timed,
    walk_aiohttp,
    walk_httpx,
)
from simulator.market import Market

_AIMS = {("dlt, fastest", "SQLite"): 0.5, ("dlt, fastest", "PostgreSQL"): 0.7}


def main(arguments: list[str] | None = None) -> None:
    """Measure, and print what was found."""
    parser = command("dlt_tick", __doc__)
    parser.add_argument("--models", type=count, nargs="+", default=[350], help="how many are asked for")
    parser.add_argument("--ticks", type=count, default=10, help="how often, after one that is not counted")
    given = parser.parse_args(arguments)
    with servers(with_postgres=given.postgres) as known:
        print(f"{machine(known.values())}, dlt {dlt.__version__}")
        for models in given.models:
            with served(models) as base_url:
                for name, server in known.items():
                    with scratch_database(server) as ours, empty_database(server) as one, empty_database(server) as two:
                        took = in_fresh_process(measure, (ours, one, two), base_url, models, given.ticks)
                    print(f"{models} models, {name}\n{_told(took, name)}", flush=True)


def measure(urls: tuple[str, str, str], base_url: str, models: int, ticks: int) -> dict[str, list[Took]]:
    """Each in turn, so often, after one that is not counted. Raises RuntimeError where dlt stored something else."""
    os.environ["EXTRACT__WORKERS"] = str(WIDTH)
    paths = Market(models).paths()[:models]
    addresses = addresses_of(base_url, paths)
    took: dict[str, list[Took]] = {
        name: [] for name in ("ours", "dlt, fastest", "dlt, by its docs", "httpx", "aiohttp")
    }
    ours, one, two = urls
    with (
        scratch_folder() as folder,
        dlt_pipeline(one, folder, "fastest") as first,
        dlt_pipeline(two, folder, "by_docs") as second,
    ):
        settings = settings_of(ours, base_url, folder / "archive")
        for at in (START + tick * CADENCE for tick in range(ticks + 1)):
            took["ours"].append(timed(collect(settings, paths, at)))
            for name, pipeline, walk in [("dlt, fastest", first, fastest), ("dlt, by its docs", second, by_its_docs)]:
                with stopwatch() as by_dlt:
                    pipeline.run(walk(addresses, at))
                took[name].append(by_dlt)
            took["httpx"].append(timed(walk_httpx(addresses)))
            took["aiohttp"].append(timed(walk_aiohttp(addresses)))
        for pipeline in (first, second):
            check(stored(pipeline), models, ticks + 1)
    return {name: walks[1:] for name, walks in took.items()}


def check(stored: tuple[int, int], models: int, walks: int) -> None:
    """Raise RuntimeError unless dlt stored every endpoint's price once and its uptime at each walk."""
    listed = sum(len(json.loads(body)["data"]["endpoints"]) for body in bodies(models).values())
    if stored != (listed, listed * walks):
        raise RuntimeError(f"dlt holds {stored} prices and samples, {listed} endpoints were seen {walks} times")


def _told(took: dict[str, list[Took]], database: str) -> str:
    ours = median(took["ours"]).seconds
    lines = []
    for name, walks in took.items():
        one, worst = median(walks), max(walk.seconds for walk in walks)
        line = f"  {name:<18} {one.seconds:6.3f} s ({one.cpu_seconds:.3f} of CPU), worst {worst:.3f}"
        if name != "ours":
            line += f", ours takes {ours / one.seconds:.2f} of it"
        if aim := _AIMS.get((name, database)):
            line += f" (aim {aim})"
        lines.append(line)
    return "\n".join(lines)


if __name__ == "__main__":
    main()
