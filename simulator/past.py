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

from endpoint_history.archive.bundle_format import encode_line
from endpoint_history.archive.bundles import Archive, run_name
from endpoint_history.io.private_files import make_folder, open_private
from models.observation import Observation, Run, Target
from simulator.market import Market

# The interval of the schedule while the end is farther away than that. Half an hour all the while would make a demo
# half a minute longer.
_SCHEDULE = (
    (timedelta(days=12), timedelta(hours=3)),
    (timedelta(days=1), timedelta(hours=1)),
    (timedelta(), timedelta(minutes=30)),
)
# Before the end: nobody looked, and the API failed. No history is without holes.
_ASLEEP = (timedelta(days=41), timedelta(days=40, hours=13))
_FAILING = (timedelta(days=9, hours=3), timedelta(days=8, hours=20))


@dataclass(frozen=True, slots=True)
class Walk:
    """One look at each path, from `at` on and spread over the interval; where it `fails`, the API does.

    Spread, because looks more than an hour apart are stored one after the other, which takes twice as long.
    """

    at: datetime
    cadence: timedelta
    fails: bool

    def bundle(self, market: Market, paths: Sequence[str]) -> tuple[str, bytes]:
        """The name and the bytes of the bundle that holds it."""
        run = Run(run_name("collect", self.at, "simulated"), "collect", "live", int(self.cadence.total_seconds()))
        steps = (self.cadence * number // len(paths) for number in range(len(paths)))
        times = (self.at + timedelta(seconds=step // timedelta(seconds=1)) for step in steps)
        lines = (encode_line(self._look(run, market, path, at)) for path, at in zip(paths, times, strict=True))
        return run.name, gzip.compress(b"".join(lines), compresslevel=6, mtime=0)

    def _look(self, run: Run, market: Market, path: str, seen: datetime) -> Observation:
        target = Target.parse(path)
        if self.fails:
            error = b'{"error":{"code":503,"message":"Service Unavailable"}}'
            return Observation(run, target, seen, 503, elapsed_ms=180, body=error)
        body = json.dumps(market.body(path, seen), separators=(",", ":")).encode()
        return Observation(run, target, seen, 200, elapsed_ms=180, body=body)


def walks(end: datetime, span: timedelta) -> Iterator[Walk]:
    """Those of the `span` before `end`, oldest first, on a schedule that becomes closer; all are over before then."""
    over = end.replace(minute=end.minute // 30 * 30, second=0, microsecond=0)
    at = over - span
    while at < over:
        cadence = next(interval for distance, interval in _SCHEDULE if over - at > distance)
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
