"""Load bundles of the archive: after a crash, after the database was unreachable, or for a rebuild."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy import select

from endpoint_history.archive.bundle_format import NAME_TIME
from endpoint_history.archive.bundles import Archive
from endpoint_history.archive.reader import BundleReader, Progress
from endpoint_history.database.clock import latest_accepted_time, refuse_future
from endpoint_history.database.engine import translated_errors, writing
from endpoint_history.errors import ConfigurationError, HistoryError, reason_of
from endpoint_history.loading.read_problems import ReadProblems
from endpoint_history.parsing.answer_date import TOLERANCE
from endpoint_history.parsing.safe_parse import parse_or_fail
from endpoint_history.refusals import Refused
from endpoint_history.rollups.refresh import roll_up
from endpoint_history.store.run_end import finish_run, record_partial_counts
from endpoint_history.store.writer import store
from endpoint_history.times import hour_of
from models.observation import Observation, Outcome
from models.tables import runs

_BATCH = 5000
_BATCH_BYTES = 32 * 2**20
_UNSEEN_SPAN = timedelta(days=7)


@dataclass(slots=True)
class Loaded:
    """How many bundles and observations were read, left out, and new, and how many change rows changed.

    `fresh` names the runs of the new observations. `damaged` holds, by bundle, why it could not be read completely.
    `problems` holds what could not be read in bodies.
    """

    bundles: int = 0
    read: int = 0
    unwanted: int = 0
    new: int = 0
    changed: int = 0
    fresh: set[str] = field(default_factory=set)
    problems: ReadProblems = field(default_factory=ReadProblems)
    damaged: dict[str, Refused] = field(default_factory=dict)


def load_missing_bundles(engine: sa.Engine, archive: Archive, now: datetime) -> list[str]:
    """Recover and load bundles that the database lacks: after a crash, or after it was unreachable.

    Returns one message per problem. None of them stops the run that calls this.
    """
    troubles: list[str] = []
    try:
        archive.recover()
    except HistoryError as error:
        troubles.append(str(error))
    try:
        with translated_errors(engine):
            names = sorted({*interrupted_bundles(engine, archive), *unseen_bundles(engine, archive, now)})
    except HistoryError as error:
        return [*troubles, str(error)]
    for name in names:
        try:
            loaded = load_bundles(engine, archive, [name])
            troubles += map(str, loaded.damaged.values())
        except Exception as error:  # noqa: BLE001 - an old bundle that can't be loaded must not stop this run
            troubles.append(f"{name}: {reason_of(error)}")
    return troubles


def interrupted_bundles(engine: sa.Engine, archive: Archive) -> list[str]:
    """Return the bundles of runs that were cut off by a crash or an unreachable database.

    Runs that were loaded in part on request have counts, and are not among them.
    """
    cut = runs.c.finished_at.is_(None) & (runs.c.ok + runs.c.gone + runs.c.failed == 0)
    with engine.connect() as connection:
        names = connection.execute(select(runs.c.name).where(cut)).scalars().all()
    return [name for name in sorted(names) if archive.has(name)]


def unseen_bundles(engine: sa.Engine, archive: Archive, now: datetime) -> list[str]:
    """Return the bundles of the last days whose runs are not in the database, as it was unreachable.

    The archive may be slow to list, so it is listed once an hour, and when a scheduled collect was skipped.
    """
    # A run dated in the future, by a wrong clock, would hide the bundles missing until then.
    collects = (runs.c.kind == "collect") & runs.c.finished_at.is_not(None) & (runs.c.started_at <= now + TOLERANCE)
    newest = (
        select(runs.c.started_at, runs.c.cadence_seconds)
        .where(collects)
        .order_by(runs.c.cadence_seconds.is_(None), runs.c.started_at.desc())
        .limit(1)
    )
    with engine.connect() as connection:
        last, cadence_seconds = connection.execute(newest).one_or_none() or (None, None)
        if last is None:
            return []  # a new database: its past is loaded on request only
        follows = cadence_seconds and now - last < 1.5 * timedelta(seconds=cadence_seconds)
        if follows and hour_of(now) == hour_of(last):
            return []
        first = connection.execute(select(sa.func.min(runs.c.started_at)).where(collects)).scalar_one()
        since = max(first, last - _UNSEEN_SPAN)
        names = archive.bundles(since=f"{since:{NAME_TIME}}")
        known = set(connection.execute(select(runs.c.name).where(runs.c.started_at >= since)).scalars())
    return [name for name in names if name not in known]


def pending_bundles(engine: sa.Engine, archive: Archive) -> list[str]:
    """Return the bundles of the archive whose run is not completely stored."""
    with engine.connect() as connection:
        whole = set(connection.execute(select(runs.c.name).where(runs.c.finished_at.is_not(None))).scalars())
    return [name for name in archive.bundles() if name not in whole]


def require_bundles(archive: Archive) -> list[str]:
    """Return the bundles of the archive. Raises ConfigurationError if there never were any: its URL may be wrong."""
    names = archive.bundles()
    if not names and not archive.withdrawn():
        raise ConfigurationError(f"there is no bundle in the archive {archive.location}; ARCHIVE_URL names it")
    return names


def load_bundles(
    engine: sa.Engine,
    archive: Archive,
    names: Sequence[str],
    *,
    takes: Callable[[Observation], bool] = lambda _: True,
    progress: Progress | None = None,
) -> Loaded:
    """Load the observations of these bundles that `takes` accepts, in batches.

    Raises HistoryError if the archive or database becomes unreachable; stored batches stay.
    """
    load = _Load(engine)
    latest = latest_accepted_time(engine)
    reading = BundleReader(archive, names, progress)
    with relaxed_gc():
        for name in names:
            load.begin(name)
            for item in refuse_future(reading.looks(name), latest, archive.path(name)):
                if isinstance(item, Refused):
                    load.so_far.damaged[name] = item
                elif takes(item):
                    load.take(name, item)
                else:
                    load.leave(name)
            load.end(name)
        load.store()
        with translated_errors(engine):
            roll_up(engine)
    return load.so_far


@dataclass(slots=True)
class _BundleState:
    """What was read of one bundle: observations by outcome, time of the last, and whether all were taken."""

    counts: Counter[Outcome] = field(default_factory=Counter)
    last: datetime | None = None
    is_whole: bool = True
    is_ended: bool = False


class _Load:
    """Looks are stored many at once, of several bundles: a row that each observation changes is then written once."""

    def __init__(self, engine: sa.Engine) -> None:
        self.so_far = Loaded()
        self._engine = engine
        self._batch: list[Observation] = []
        self._bytes = 0
        self._parts: dict[str, _BundleState] = {}

    def begin(self, name: str) -> None:
        self._parts[name] = _BundleState()

    def take(self, name: str, observation: Observation) -> None:
        part = self._parts[name]
        part.last = max(part.last or observation.observed_at, observation.observed_at)
        self._batch.append(observation)
        self._bytes += len(observation.body or b"")
        if len(self._batch) == _BATCH or self._bytes >= _BATCH_BYTES:
            self.store()

    def leave(self, name: str) -> None:
        self.so_far.unwanted += 1
        self._parts[name].is_whole = False

    def end(self, name: str) -> None:
        self.so_far.bundles += 1
        self._parts[name].is_ended = True

    def store(self) -> None:
        """Store the batch, and record the bundles that ended, in one transaction."""
        read = [(observation, parse_or_fail(observation)) for observation in self._batch]
        for observation, reading in read:
            self._parts[observation.run.name].counts[reading.outcome] += 1
            self.so_far.problems.add(observation, reading)
        with translated_errors(self._engine), writing(self._engine) as connection:
            stored = store(connection, read)
            for name in [name for name, part in self._parts.items() if part.is_ended]:
                self._note(connection, name, self._parts.pop(name))
        self.so_far.read += len(read)
        self.so_far.new += stored.new
        self.so_far.fresh |= stored.runs
        self.so_far.changed += stored.changed
        self._batch, self._bytes = [], 0

    def _note(self, connection: sa.Connection, name: str, part: _BundleState) -> None:
        if name in self.so_far.damaged:
            return  # not complete: it is reported again until the bundle is repaired or withdrawn
        if part.is_whole:
            finish_run(connection, name, part.counts, part.last)
        elif part.counts:
            record_partial_counts(connection, name, part.counts)


@contextmanager
def relaxed_gc() -> Iterator[None]:
    """Run the garbage collector less often during bulk loads, where it would take a quarter of the time."""
    usual = gc.get_threshold()
    gc.set_threshold(100_000, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)
