"""The simulated past: the bundles of a collector who looked at the market all the while."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from flows.archive import Archive, run_name
from flows.bundle import encode_line
from flows.private_files import make_folder, open_private
from models.observation import Observation, Run, Target
from simulator.market import Market

# The interval of the schedule, while the end is that far away or farther. Half an hour all the while would make a demo
# half a minute longer.
_SCHEDULE = (
    (timedelta(days=30), timedelta(hours=3)),
    (timedelta(days=2), timedelta(hours=1)),
    (timedelta(), timedelta(minutes=30)),
)
_PER_SECOND = 5
# Before the end: nobody looked, and the API failed. No history is without holes.
_ASLEEP = (timedelta(days=41), timedelta(days=40, hours=13))
_FAILING = (timedelta(days=17, hours=3), timedelta(days=16, hours=20))


@dataclass(frozen=True, slots=True)
class Walk:
    """One look at each path, five in a second, from `at` on; where it `fails`, the API does."""

    at: datetime
    cadence: timedelta
    fails: bool

    def bundle(self, market: Market, paths: Sequence[str]) -> tuple[str, bytes]:
        """The name and the bytes of the bundle that holds it."""
        run = Run(run_name("collect", self.at, "simulated"), "collect", "live", int(self.cadence.total_seconds()))
        lines = (encode_line(self._look(run, market, number, path)) for number, path in enumerate(paths))
        return run.name, gzip.compress(b"".join(lines), compresslevel=6, mtime=0)

    def _look(self, run: Run, market: Market, number: int, path: str) -> Observation:
        seen = self.at + timedelta(seconds=number // _PER_SECOND)
        target = Target.parse(path)
        if self.fails:
            error = b'{"error":{"code":503,"message":"Service Unavailable"}}'
            return Observation(run, target, seen, 503, elapsed_ms=180, body=error)
        body = json.dumps(market.body(path, seen), separators=(",", ":")).encode()
        return Observation(run, target, seen, 200, elapsed_ms=180, body=body)


def walks(end: datetime, span: timedelta) -> Iterator[Walk]:
    """Those of the `span` before `end`, oldest first, on a schedule that becomes closer; all are over before then."""
    last = end - timedelta(minutes=1)
    last = last.replace(minute=last.minute // 30 * 30, second=0, microsecond=0)
    at = last - span
    while at <= last:
        cadence = next(interval for distance, interval in _SCHEDULE if last - at >= distance)
        if not _is_in(_ASLEEP, at, end):
            yield Walk(at, cadence, fails=_is_in(_FAILING, at, end))
        at += cadence


def write_past(folder: Path, market: Market, paths: Sequence[str], end: datetime, span: timedelta) -> int:
    """Write an archive of the walks over these paths, and give how many there are; it appears whole or not at all."""
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)  # another demo was stopped there
    planned = list(walks(end, span))
    workers = 2
    with ProcessPoolExecutor(workers) as pool:
        shares = [planned[number::workers] for number in range(workers)]
        list(pool.map(_write, [part] * workers, [market] * workers, [paths] * workers, shares))
    part.rename(folder)
    return len(planned)


def _write(folder: Path, market: Market, paths: Sequence[str], planned: Sequence[Walk]) -> None:
    archive = Archive(str(folder))
    for walk in planned:
        name, packed = walk.bundle(market, paths)
        file = Path(archive.path(name))
        make_folder(file.parent)
        with open(file, "wb", opener=open_private) as opened:
            opened.write(packed)


def _is_in(hole: tuple[timedelta, timedelta], at: datetime, end: datetime) -> bool:
    return end - hole[0] <= at < end - hole[1]
