"""Whether a collector that runs for long stays as it began: a collect every simulated minute, one after the other.

One process, SQLite, no limits, no Prefect, a server on loopback. For each hour of simulated time: the median collect,
and the memory that the process holds at its end. `--targets 5000 --ticks 1440` is a day of a long list: it takes hours.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from benchmarks.conditions import (
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

_CADENCE = timedelta(minutes=1)
_HOUR = 60  # collects


@dataclass(frozen=True, slots=True)
class Hour:
    """The median collect of an hour, the memory in MiB at its end, and the size of the database in MB."""

    took: Took
    held_mib: float
    database_mb: float


def main(arguments: list[str] | None = None) -> None:
    """Measure, and print what was found."""
    parser = command("endurance", __doc__)
    parser.add_argument("--targets", type=count, default=500, help="how many are asked for")
    parser.add_argument("--ticks", type=count, default=1440, help="how many collects")
    given = parser.parse_args(arguments)
    paths = Market(given.targets).paths()[: given.targets]
    print(machine([]))
    with served(given.targets) as base_url, scratch_database(None) as url, scratch_folder() as folder:
        hours = in_fresh_process(measure, url, base_url, folder / "archive", paths, given.ticks)
    for number, hour in enumerate(hours, 1):
        print(f"  hour {number:2}   {hour.took}, {hour.held_mib:.0f} MiB, database {hour.database_mb:.0f} MB")
    first, last = hours[0], hours[-1]
    grown = last.took.cpu_seconds / first.took.cpu_seconds
    print(f"{given.targets} targets, {given.ticks} collects: last hour to first {grown:.2f} of CPU,", end=" ")
    print(f"memory {last.held_mib / first.held_mib:.2f}")


def measure(url: str, base_url: str, archive: Path, paths: Sequence[str], ticks: int) -> list[Hour]:
    """Collect so often, and tell of each hour."""
    return list(_hours(url, base_url, archive, paths, ticks))


def _hours(url: str, base_url: str, archive: Path, paths: Sequence[str], ticks: int) -> Iterator[Hour]:
    given = settings_of(url, base_url, archive)
    database = Path(url.removeprefix("sqlite:///"))
    for start in range(0, ticks, _HOUR):
        took = []
        for tick in range(start, min(start + _HOUR, ticks)):
            with stopwatch() as one:
                asyncio.run(collect(given, paths, START + tick * _CADENCE, _CADENCE))
            took.append(one)
        yield Hour(median(took), _held_mib(), database.stat().st_size / 1e6)


def _held_mib() -> float:
    """What this process holds now (RSS): Linux tells it in pages."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


if __name__ == "__main__":
    main()
