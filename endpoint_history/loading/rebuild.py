"""Rebuild all history from the archive in shadow tables: to replace the live tables, or to verify them.

This proves that the database is derived from the archive and that nothing is lost.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import select

from endpoint_history.archive.bundles import Archive
from endpoint_history.archive.reader import Progress
from endpoint_history.database.clock import AheadOfClock
from endpoint_history.database.engine import lock_writers
from endpoint_history.database.partitions import copy_partitions
from endpoint_history.database.shadow_tables import ShadowTables, shadow_tables
from endpoint_history.errors import HistoryError
from endpoint_history.loading.bundles import Loaded, load_bundles, pending_bundles, require_bundles
from endpoint_history.loading.compare import Difference, compare, shadow_table
from endpoint_history.refusals import Refused
from endpoint_history.rollups.dirty import is_dirty
from endpoint_history.rollups.refresh import roll_up
from endpoint_history.rollups.watermark import read_watermark
from models.tables import NO_HISTORY, metadata, observations, runs

_PATIENCE_SECONDS = 300.0
_PAUSE_SECONDS = 2.0
_ADVICE = "put back a whole copy of it, or leave that run out: endpoint-history runs withdraw"


def rebuild(engine: sa.Engine, archive: Archive, progress: Progress = lambda *_: None) -> Loaded:
    """Replace the live history by one built from the archive, in one transaction, or change nothing.

    Withdrawn runs are left out. Raises HistoryError if there is no bundle, if one is damaged, or if the bundle of a run
    in the database is missing.
    """
    with shadow_tables(engine) as shadow:
        loaded = _load_all(shadow, archive, progress)
        if loaded.damaged:
            raise HistoryError(_refusal(loaded))
        with _complete_shadow(shadow, archive, loaded, writing=True) as connection:
            withdrawn = archive.withdrawn()
            _refuse_withdrawn(connection, shadow.schema, withdrawn)
            _replace_live_tables(connection, shadow.schema, withdrawn)
            connection.commit()
    return loaded


def verify(
    engine: sa.Engine, archive: Archive, progress: Progress = lambda *_: None
) -> tuple[Loaded, list[Difference], datetime | None]:
    """Compare the live tables with the archive, row by row. Returns what was read, the differences and the watermark.

    If a bundle is damaged or missing (`damaged`), nothing is compared: the database may hold the only good copy. If
    there is a watermark, uptime is compared from there on.
    """
    with shadow_tables(engine) as shadow:
        loaded = _load_all(shadow, archive, progress)
        loaded.damaged |= _half_withdrawn(engine, archive)
        with _complete_shadow(shadow, archive, loaded, writing=False) as connection:
            watermark = read_watermark(connection)
            found = [] if loaded.damaged else compare(connection, shadow.schema, watermark)
    return loaded, found, watermark


def has_history(engine: sa.Engine) -> bool:
    """True if the database holds any observation."""
    with engine.connect() as connection:
        return connection.execute(select(observations.c.id).limit(1)).first() is not None


def _refusal(loaded: Loaded) -> str:
    name, first = next(iter(loaded.damaged.items()))
    others = f" (and {len(loaded.damaged) - 1} more)" if len(loaded.damaged) > 1 else ""
    if isinstance(first, AheadOfClock):
        return f"nothing was changed{others and f', as {len(loaded.damaged)} bundles were refused'}: {first}"
    return f"nothing was changed, as the archive is damaged: {first}{others}{_advice(name, first)}"


def _advice(name: str, refused: Refused) -> str:
    return "" if isinstance(refused, AheadOfClock) else f"; {_ADVICE} {name} --reason TEXT"


def _load_all(shadow: ShadowTables, archive: Archive, progress: Progress) -> Loaded:
    archive.recover()
    return load_bundles(shadow.engine, archive, require_bundles(archive), progress=progress)


@contextlib.contextmanager
def _complete_shadow(
    shadow: ShadowTables, archive: Archive, loaded: Loaded, *, writing: bool
) -> Iterator[sa.Connection]:
    """Open a transaction in which the shadow tables hold every run that the live tables hold.

    A run under way has no bundle yet, so this waits for its end. Runs missing from the archive raise HistoryError if
    `writing`; otherwise they are added to `loaded.damaged`.
    """
    deadline = time.monotonic() + _PATIENCE_SECONDS
    found: list[str] | None = None
    while True:
        if not writing:
            roll_up(shadow.live)  # in case a killed process left dirty days
        with shadow.joined(writing=writing) as connection:
            if writing:
                lock_writers(connection)
            missing = _missing(connection, shadow.schema, archive)
            dirty = not writing and is_dirty(connection)
            under_way = [name for name, is_open in missing.items() if is_open and name not in loaded.damaged]
            is_lost = time.monotonic() > deadline or (found == [] and not under_way)
            if not dirty and (not missing or (is_lost and not writing)):
                loaded.damaged |= _lost(archive, missing, loaded)
                yield connection
                return
        if dirty and time.monotonic() < deadline:
            continue  # another run stored observations meanwhile
        if dirty or is_lost:
            raise _incomplete(archive, missing, loaded, is_dirty=dirty)
        if found == []:
            time.sleep(_PAUSE_SECONDS)
        archive.recover()
        found = [name for name in pending_bundles(shadow.engine, archive) if name not in loaded.damaged]
        loaded.damaged |= load_bundles(shadow.engine, archive, found).damaged


def _incomplete(archive: Archive, missing: dict[str, bool], loaded: Loaded, *, is_dirty: bool) -> HistoryError:
    if is_dirty:
        return HistoryError(
            "nothing was compared: other runs keep changing the history; try again when they have ended"
        )
    name, reason = min(_lost(archive, missing, loaded).items())
    return HistoryError(
        f"nothing was changed: the run {name} is in the database, but not complete in the archive: {reason}"
        f"{_advice(name, reason)}"
    )


def _missing(connection: sa.Connection, schema: str, archive: Archive) -> dict[str, bool]:
    """Return the live runs that are incomplete in the shadow tables, and whether each may be under way."""
    built = shadow_table(runs, schema).alias("built")
    counted, counted_shadow = (table.c.ok + table.c.gone + table.c.failed for table in (runs, built))
    whole = sa.exists().where(built.c.name == runs.c.name, built.c.finished_at.is_not(None), counted_shadow >= counted)
    looked = sa.exists().where(observations.c.run_id == runs.c.id)
    query = select(runs.c.name, runs.c.finished_at.is_(None)).where(looked, ~whole)
    found = {name: bool(is_open) for name, is_open in connection.execute(query)}
    withdrawn = archive.withdrawn() if found else set()
    return {name: is_open for name, is_open in found.items() if name not in withdrawn}


def _lost(archive: Archive, missing: dict[str, bool], loaded: Loaded) -> dict[str, Refused]:
    """Return, for each missing run, why the archive does not hold what the database has of it."""
    lost: dict[str, Refused] = {}
    for name, is_open in missing.items():
        reason = "it holds fewer observations than the database has of this run"
        if not archive.holds(name):
            reason = "it is not in the archive, but the database holds observations of this run"
            reason += " (which is under way, or was cut off on another machine)" if is_open else ""
        lost[name] = loaded.damaged.get(name) or Refused(archive.path(name), reason)
    return lost


def _half_withdrawn(engine: sa.Engine, archive: Archive) -> dict[str, Refused]:
    """Return the withdrawn runs that the database still holds: a withdrawal was cut off, or its note is a mistake.

    The database may hold the only copy of them, so nothing is compared.
    """
    proved = select(runs.c.name).where(sa.exists().where(observations.c.run_id == runs.c.id))
    with engine.connect() as connection:
        found = archive.withdrawn() & set(connection.execute(proved).scalars())
    reason = (
        "a note withdraws it, but the database still holds this run; to undo that: endpoint-history runs restore {0},"
    )
    reason += " to finish it: endpoint-history runs withdraw {0} --reason TEXT"
    return {name: Refused(archive.path(name), reason.format(name)) for name in sorted(found)}


def _refuse_withdrawn(connection: sa.Connection, schema: str, withdrawn: set[str]) -> None:
    """Raise HistoryError if another process withdrew a run after its bundle was loaded here."""
    names = set(connection.execute(select(shadow_table(runs, schema).c.name)).scalars())
    if late := sorted(names & withdrawn):
        raise HistoryError(f"nothing was changed: the run {late[0]} was withdrawn meanwhile; run the command again")


def _replace_live_tables(connection: sa.Connection, schema: str, withdrawn: set[str]) -> None:
    started = [row for row in _started_runs(connection, schema) if row["name"] not in withdrawn]
    made = [table for table in metadata.sorted_tables if table not in NO_HISTORY]
    for table in reversed(made):
        connection.execute(table.delete())
    copy_partitions(connection, schema)
    for table in made:
        built = shadow_table(table, schema)
        connection.execute(table.insert().from_select([column.name for column in table.c], select(*built.c)))
        if connection.dialect.name == "postgresql" and "id" in table.c:
            newest = select(sa.func.coalesce(sa.func.max(table.c.id), 0) + 1).scalar_subquery()
            sequence = sa.func.pg_get_serial_sequence(table.name, "id")
            connection.execute(select(sa.func.setval(sequence, newest, False)))
    if started:
        connection.execute(runs.insert(), started)


def _started_runs(connection: sa.Connection, schema: str) -> list[dict[str, Any]]:
    """Return the runs without observations yet: a collect under way needs its row, to be resumed if it is cut off."""
    built = shadow_table(runs, schema).alias("built")
    query = select(*(column for column in runs.c if column.name != "id"))
    rows = connection.execute(query.where(runs.c.name.not_in(select(built.c.name)))).mappings()
    return [dict(row) for row in rows]
