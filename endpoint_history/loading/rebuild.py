"""Build all history anew from the archive, beside the live tables: to put it in their place, or to compare.

The proof that the database is derived and that nothing is lost.
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
    """Replace the live history by one built from the archive in one transaction, or leave all as it was.

    Withdrawn runs are left out. Raises HistoryError if there is no bundle, if one is damaged, or if one is missing of a
    run that the database holds.
    """
    with shadow_tables(engine) as aside:
        loaded = _load_all(aside, archive, progress)
        if loaded.damaged:
            raise HistoryError(_refusal(loaded))
        with _caught_up(aside, archive, loaded, writing=True) as connection:
            withdrawn = archive.withdrawn()
            _refuse_withdrawn(connection, aside.schema, withdrawn)
            _put_in_place(connection, aside.schema, withdrawn)
            connection.commit()
    return loaded


def verify(
    engine: sa.Engine, archive: Archive, progress: Progress = lambda *_: None
) -> tuple[Loaded, list[Difference], datetime | None]:
    """What was read, and where the live tables differ from what the archive gives, row for row.

    If a bundle is damaged or missing (`damaged`), nothing is compared: the database may hold the only good copy. Where
    samples may have been thinned: the midnight from which on uptime is compared.
    """
    with shadow_tables(engine) as aside:
        loaded = _load_all(aside, archive, progress)
        loaded.damaged |= _half_withdrawn(engine, archive)
        with _caught_up(aside, archive, loaded, writing=False) as connection:
            settled = read_watermark(connection)
            found = [] if loaded.damaged else compare(connection, aside.schema, settled)
    return loaded, found, settled


def has_history(engine: sa.Engine) -> bool:
    """Whether anything has been loaded into the database."""
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


def _load_all(aside: ShadowTables, archive: Archive, progress: Progress) -> Loaded:
    archive.recover()
    return load_bundles(aside.engine, archive, require_bundles(archive), progress=progress)


@contextlib.contextmanager
def _caught_up(aside: ShadowTables, archive: Archive, loaded: Loaded, *, writing: bool) -> Iterator[sa.Connection]:
    """A connection in whose transaction the tables beside hold every run that the live ones hold.

    A run under way beside has no bundle yet, so this waits for its end. What is lost raises HistoryError where the
    tables are to be written, and is added to `loaded.damaged` else.
    """
    deadline = time.monotonic() + _PATIENCE_SECONDS
    found: list[str] | None = None
    while True:
        if not writing:
            roll_up(aside.live)  # what a process left that was killed
        with aside.joined(writing=writing) as connection:
            if writing:
                lock_writers(connection)
            missing = _missing(connection, aside.schema, archive)
            stale = not writing and is_dirty(connection)
            under_way = [name for name, is_open in missing.items() if is_open and name not in loaded.damaged]
            is_lost = time.monotonic() > deadline or (found == [] and not under_way)
            if not stale and (not missing or (is_lost and not writing)):
                loaded.damaged |= _lost(archive, missing, loaded)
                yield connection
                return
        if stale and time.monotonic() < deadline:
            continue  # a run beside was quicker
        if stale:
            raise HistoryError("nothing was compared: the runs beside leave no moment at which all rollups stand")
        if is_lost:
            name, reason = min(_lost(archive, missing, loaded).items())
            raise HistoryError(
                f"nothing was changed: the run {name} is in the database, but not whole in the archive: {reason}"
                f"{_advice(name, reason)}"
            )
        if found == []:
            time.sleep(_PAUSE_SECONDS)
        archive.recover()
        found = [name for name in pending_bundles(aside.engine, archive) if name not in loaded.damaged]
        loaded.damaged |= load_bundles(aside.engine, archive, found).damaged


def _missing(connection: sa.Connection, schema: str, archive: Archive) -> dict[str, bool]:
    """The runs of the live tables that are not whole beside, whether each may be under way. Not those withdrawn."""
    built = shadow_table(runs, schema).alias("built")
    counted, counted_beside = (table.c.ok + table.c.gone + table.c.failed for table in (runs, built))
    whole = sa.exists().where(built.c.name == runs.c.name, built.c.finished_at.is_not(None), counted_beside >= counted)
    looked = sa.exists().where(observations.c.run_id == runs.c.id)
    query = select(runs.c.name, runs.c.finished_at.is_(None)).where(looked, ~whole)
    found = {name: bool(is_open) for name, is_open in connection.execute(query)}
    withdrawn = archive.withdrawn() if found else set()
    return {name: is_open for name, is_open in found.items() if name not in withdrawn}


def _lost(archive: Archive, missing: dict[str, bool], loaded: Loaded) -> dict[str, Refused]:
    """Why of each missing run the archive does not give what the database holds."""
    lost: dict[str, Refused] = {}
    for name, is_open in missing.items():
        reason = "it holds fewer observations than the database has of this run"
        if not archive.holds(name):
            reason = "it is not in the archive, but the database holds observations of this run"
            reason += " (which is under way, or was cut off on another machine)" if is_open else ""
        lost[name] = loaded.damaged.get(name) or Refused(archive.path(name), reason)
    return lost


def _half_withdrawn(engine: sa.Engine, archive: Archive) -> dict[str, Refused]:
    """Runs that a note withdraws, but that the database still holds: a withdrawal was cut off, or the note is no such.

    Nothing may be concluded from what only the database has of them.
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
    """Raise HistoryError if a run was withdrawn by another process after its bundle was loaded here."""
    names = set(connection.execute(select(shadow_table(runs, schema).c.name)).scalars())
    if late := sorted(names & withdrawn):
        raise HistoryError(f"nothing was changed: the run {late[0]} was withdrawn meanwhile; run the command again")


def _put_in_place(connection: sa.Connection, schema: str, withdrawn: set[str]) -> None:
    begun = [row for row in _begun(connection, schema) if row["name"] not in withdrawn]
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
    if begun:
        connection.execute(runs.insert(), begun)


def _begun(connection: sa.Connection, schema: str) -> list[dict[str, Any]]:
    """The runs that have stored no look yet: a collect under way needs its own, to be taken up should it be cut."""
    built = shadow_table(runs, schema).alias("built")
    query = select(*(column for column in runs.c if column.name != "id"))
    rows = connection.execute(query.where(runs.c.name.not_in(select(built.c.name)))).mappings()
    return [dict(row) for row in rows]
