"""What a collect costs on top of a year of history, against the same on top of a day.

The history is made straight in the tables (benchmarks.simulated_year) and rolled up; then the same 421 models are
collected every half hour, in turn on both, warm, without Prefect and without limits, from a server on loopback.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import ExitStack
from pathlib import Path

from benchmarks.analysts import mark_all
from benchmarks.conditions import (
    CADENCE,
    Took,
    command,
    count,
    in_fresh_process,
    machine,
    median,
    scratch_database,
    scratch_folder,
    servers,
    stopwatch,
)
from benchmarks.simulated_year import ENDPOINTS, MODELS, Year, fill
from benchmarks.tick import collect, served_bodies, settings_of
from endpoint_history.database.engine import opened
from endpoint_history.rollups.refresh import roll_up


def main(arguments: list[str] | None = None) -> None:
    """Measure, and print what was found."""
    parser = command("aged", __doc__)
    parser.add_argument("--days", type=count, default=365, help="how long the history is")
    parser.add_argument("--ticks", type=count, default=10, help="how often, after one that is not counted")
    parser.add_argument("--url", help="a database of so many days that this or benchmarks.analysts made before")
    given = parser.parse_args(arguments)
    with servers(with_postgres=given.postgres) as known, served_bodies(bodies()) as base_url:
        print(machine(known.values()))
        for name, server in known.items():
            with ExitStack() as stack:
                urls = {}
                for days in (1, given.days):
                    if given.url and days == given.days:
                        urls[days] = given.url
                    else:
                        urls[days] = stack.enter_context(scratch_database(server))
                        fill(urls[days], Year(days))
                folder = stack.enter_context(scratch_folder())
                young, old = in_fresh_process(measure, urls, base_url, folder, given.ticks)
            print(f"{name}\n  after   1 day    {young}\n  after {given.days:3} days   {old}")
            by_clock, on_cpu = old.seconds / young.seconds, old.cpu_seconds / young.cpu_seconds
            print(f"  ratio            {by_clock:.2f} ({on_cpu:.2f} of CPU)", flush=True)


def measure(urls: dict[int, str], base_url: str, folder: Path, ticks: int) -> list[Took]:
    """The median collect on each history, of so many days."""
    for days, url in urls.items():
        with opened(url) as engine:
            mark_all(engine, Year(days))
            roll_up(engine)
    took: dict[int, list[Took]] = {days: [] for days in urls}
    for tick in range(ticks + 1):
        for days, url in urls.items():
            at = Year(days).end + tick * CADENCE
            with stopwatch() as one:
                asyncio.run(collect(settings_of(url, base_url, folder / str(days)), list(bodies()), at))
            took[days].append(one)
    return [median(of_days[1:]) for of_days in took.values()]


def bodies() -> dict[str, bytes]:
    """What each model of the year lists, by its path: its endpoints, as the tables have them."""
    year = Year(1)
    listed: dict[int, list[dict[str, object]]] = {number: [] for number in range(1, MODELS + 1)}
    for endpoint in range(1, ENDPOINTS + 1):
        model = year.model_of(endpoint)
        provider = endpoint % 60
        listed[model].append(
            {
                "name": f"Provider {provider} | maker/model-{model}",
                "model_id": f"maker/model-{model}",
                "provider_name": f"Provider {provider}",
                "tag": f"provider-{provider}/fp8",
                "context_length": 131_072,
                "quantization": "fp8",
                "supported_parameters": ["max_tokens", "tools"],
                "pricing": {"prompt": "0.0000001", "completion": "0.0000002"},
                "status": 0,
                "uptime_last_5m": 100,
                "uptime_last_30m": 99.5,
                "uptime_last_1d": 99.4,
            }
        )
    return {
        f"maker/model-{number}": json.dumps(
            {"data": {"id": f"maker/model-{number}", "name": f"maker/model-{number}", "endpoints": endpoints}}
        ).encode()
        for number, endpoints in listed.items()
    }


if __name__ == "__main__":
    main()
