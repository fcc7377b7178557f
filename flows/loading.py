"""Load bundles of the own archive into the database: after a crash, after the database was away, or all anew."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy import select

from flows.archive import Archive, ArchiveDamage
from flows.database import told, writing
from flows.errors import HistoryError
from flows.parse import read_observation
from flows.rollups import roll_up
from flows.store import store
from models.observation import Observation, Outcome
from models.tables import observations, runs

_BATCH = 500


@dataclass(slots=True)
class Loaded:
    """How many observations were read, how many of them were new, and what could not be read of which bundle."""

    bundles: int = 0
    read: int = 0
    new: int = 0
    damaged: list[str] = field(default_factory=list)


def take_up(engine: sa.Engine, archive: Archive) -> list[str]:
    """Finish what earlier runs left: bundles cut by a crash, and bodies that the database has not seen.

    Gives a line for each that can't be. No old trouble keeps this run from looking.
    """
    troubles: list[str] = []
    try:
        archive.recover()
    except HistoryError as error:
        troubles.append(str(error))
    try:
        with told(engine):
            names = unfinished(engine, archive)
    except HistoryError as error:
        return [*troubles, str(error)]
    for name in names:
        try:
            (loaded,) = load_bundles(engine, archive, [name])
            troubles += loaded.damaged
        except HistoryError as error:
            troubles.append(f"{name}: {error}")
    return troubles


def unfinished(engine: sa.Engine, archive: Archive) -> list[str]:
    """The bundles of runs that were not stored whole: those a crash or a database that was away left behind."""
    with engine.connect() as connection:
        names = connection.execute(select(runs.c.name).where(runs.c.finished_at.is_(None))).scalars().all()
    return [name for name in sorted(names) if archive.has(name)]


def unloaded(engine: sa.Engine, archive: Archive) -> list[str]:
    """The bundles of the archive whose run the database does not hold whole."""
    with engine.connect() as connection:
        whole = set(connection.execute(select(runs.c.name).where(runs.c.finished_at.is_not(None))).scalars())
    return [name for name in archive.bundles() if name not in whole]


def load_bundles(engine: sa.Engine, archive: Archive, names: Sequence[str]) -> Iterator[Loaded]:
    """Load these bundles, yielding the count so far after each. What was stored before stays as it is."""
    so_far = Loaded()
    for name in names:
        with told(engine):
            _load_bundle(engine, archive, name, so_far)
        so_far.bundles += 1
        yield so_far
    with told(engine):
        roll_up(engine)


def _load_bundle(engine: sa.Engine, archive: Archive, name: str, so_far: Loaded) -> None:
    batch: list[Observation] = []
    counts: Counter[Outcome] = Counter()
    try:
        for observation in archive.load(name):
            batch.append(observation)
            if len(batch) == _BATCH:
                counts += _store_batch(engine, batch, so_far)
                batch = []
    except ArchiveDamage as damage:
        so_far.damaged.append(str(damage))
        _store_batch(engine, batch, so_far)
        return  # not stored whole: it is told again until somebody has mended or removed the bundle
    counts += _store_batch(engine, batch, so_far)
    finish_run(engine, name, counts)


def _store_batch(engine: sa.Engine, batch: list[Observation], so_far: Loaded) -> Counter[Outcome]:
    read = [(observation, read_observation(observation)) for observation in batch]
    with writing(engine) as connection:
        stored = store(connection, read)
    so_far.read += len(batch)
    so_far.new += stored.new
    return Counter(reading.outcome for _, reading in read)


def finish_run(engine: sa.Engine, name: str, counted: Counter[Outcome]) -> None:
    """Note that a run is stored whole, and how many of its looks had which outcome; it ended with its last look."""
    last = select(sa.func.max(observations.c.observed_at)).where(observations.c.run_id == runs.c.id)
    outcomes: tuple[Outcome, ...] = ("ok", "gone", "failed")
    counts = {outcome: counted[outcome] for outcome in outcomes}
    with writing(engine) as connection:
        # A clock that was set back can make the last look older than the run.
        ended = last.where(observations.c.observed_at >= runs.c.started_at).scalar_subquery()
        finished = sa.func.coalesce(runs.c.finished_at, ended, runs.c.started_at)
        connection.execute(runs.update().where(runs.c.name == name).values(finished_at=finished, **counts))
