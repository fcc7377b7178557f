"""Replay: load the bundles of our own archive. Its observations keep the runs that made them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

import sqlalchemy as sa

from endpoint_history.archive.bundles import Archive
from endpoint_history.archive.reader import BundleReader, Progress
from endpoint_history.backfilling.importer import Item, try_bodies
from endpoint_history.backfilling.result import BackfillResult, Wanted
from endpoint_history.collecting.summary import count_conflicts
from endpoint_history.database.clock import latest_accepted_time, refuse_future
from endpoint_history.database.engine import translated_errors
from endpoint_history.errors import HistoryError
from endpoint_history.loading.bundles import interrupted_bundles, load_bundles, pending_bundles, require_bundles
from endpoint_history.refusals import Refused


def replay(
    engine: sa.Engine, archive: Archive, wanted: Wanted, *, everything: bool, progress: Progress = lambda *_: None
) -> BackfillResult:
    """Load the wanted observations of bundles that the database does not hold completely; of all with `everything`.

    Idempotent. A run that a crash cut off is loaded completely, whatever is wanted. Raises ConfigurationError if the
    archive holds no bundle, HistoryError if it or the database is unreachable; what was stored stays stored.
    """
    result = BackfillResult(None)
    try:
        archive.recover()
    except HistoryError as error:
        result.refuse(Refused(archive.location, str(error)))
    with translated_errors(engine):
        names = _names(engine, archive, everything=everything)
        cut = set(interrupted_bundles(engine, archive))
    result.bundles = len(names)
    loaded = load_bundles(
        engine,
        archive,
        names,
        takes=lambda observation: observation.run.name in cut or wanted.takes(observation),
        progress=progress,
    )
    result.new, result.known, result.unwanted = loaded.new, loaded.read - loaded.new, loaded.unwanted
    result.changed, result.problems = loaded.changed, loaded.problems
    for damage in loaded.damaged.values():
        result.refuse(damage)
    with translated_errors(engine), engine.connect() as connection:
        result.conflicts = sum(count_conflicts(connection, name) for name in loaded.fresh)
    return result


def try_replay(
    engine: sa.Engine,
    archive: Archive,
    wanted: Wanted,
    *,
    everything: bool,
    at: datetime,
    progress: Progress = lambda *_: None,
) -> BackfillResult:
    """Return what a replay would report, with its first changes. Nothing is written."""
    with translated_errors(engine):
        names = _names(engine, archive, everything=everything)
    items = _items(archive, names, latest_accepted_time(engine))
    result = try_bodies(engine, "archive", items, wanted, at=at, progress=progress)
    result.run, result.bundles = None, len(names)
    return result


def _names(engine: sa.Engine, archive: Archive, *, everything: bool) -> list[str]:
    names = require_bundles(archive)
    return names if everything else pending_bundles(engine, archive)


def _items(archive: Archive, names: Sequence[str], latest: datetime) -> Iterator[tuple[int, int, Item]]:
    reading = BundleReader(archive, names)
    for name in names:
        for observation in refuse_future(reading.looks(name), latest, archive.path(name)):
            yield (*reading.place, observation)
