"""What one late observation costs in the middle of a long history, against one at its end.

Each is stored alone in a transaction of its own by the write path of every collect. The two kinds take turns, so that
whatever else the machine does meets both.
"""

from __future__ import annotations

import random
import statistics
import time
from datetime import datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from benchmarks.conditions import (
    CADENCE,
    MARKET,
    START,
    command,
    count,
    fill_archive,
    in_fresh_process,
    machine,
    made_look,
    scratch_database,
    scratch_folder,
    servers,
)
from endpoint_history.archive.bundle_format import run_name
from endpoint_history.archive.bundles import Archive
from endpoint_history.database.engine import opened, writing
from endpoint_history.loading.bundles import load_bundles
from endpoint_history.parsing.body import read_observation
from endpoint_history.store.writer import store
from models.observation import Observation, Run

_LATE = Run(run_name("backfill", START, "late"), "backfill", "files")


def measure(url: str, archive: Path, runs: int, looks: int) -> tuple[list[float], list[float]]:
    """Load the archive, then store so many looks late and as many at the end: seconds of each, both in order."""
    chance = random.Random(1)  # noqa: S311 - the same looks each time
    middle, end = START + runs * CADENCE / 2, START + runs * CADENCE
    span = runs * CADENCE / 4
    late, appended = [], []
    with opened(url) as engine:
        saved = Archive(str(archive))
        load_bundles(engine, saved, saved.bundles())
        for number in range(looks):
            at = middle + span * chance.uniform(-1, 1)
            late.append(_seconds(engine, _look(chance, at)))
            appended.append(_seconds(engine, _look(chance, end + number * timedelta(seconds=9))))
    return late, appended


def _look(chance: random.Random, at: datetime) -> Observation:
    return made_look(_LATE, chance.choice(MARKET.paths()), at.replace(microsecond=0))


def _seconds(engine: sa.Engine, look: Observation) -> float:
    began = time.perf_counter()
    reading = read_observation(look)
    with writing(engine) as connection:
        store(connection, [(look, reading)])
    return time.perf_counter() - began


def main(arguments: list[str] | None = None) -> None:
    """Measure, and print what was found."""
    parser = command("late", __doc__)
    parser.add_argument("--history", type=count, default=100_000, metavar="N", help="observations before")
    parser.add_argument("--looks", type=count, default=1000, metavar="N", help="how many come late")
    given = parser.parse_args(arguments)
    with servers(with_postgres=given.postgres) as known, scratch_folder() as archive:
        print(machine(known.values()))
        runs = in_fresh_process(fill_archive, archive, given.history)
        print(f"\n{given.looks:,} looks late and as many at the end, of a history of {given.history:,}")
        for name, server in known.items():
            with scratch_database(server) as url:
                late, appended = in_fresh_process(measure, url, archive, runs, given.looks)
            print(_told(name, late, appended), flush=True)


def _told(name: str, late: list[float], appended: list[float]) -> str:
    lines = []
    for what, slow, fast in [
        ("median", statistics.median(late), statistics.median(appended)),
        ("95 %", _ninety_fifth(late), _ninety_fifth(appended)),
        ("worst", max(late), max(appended)),
    ]:
        times = f"late {1e3 * slow:7.2f} ms, at the end {1e3 * fast:7.2f} ms"
        lines.append(f"{name:<10} {what:<6} {times}, ratio {slow / fast:.2f}")
    return "\n".join(lines)


def _ninety_fifth(seconds: list[float]) -> float:
    return sorted(seconds)[len(seconds) * 95 // 100]


if __name__ == "__main__":
    main()
