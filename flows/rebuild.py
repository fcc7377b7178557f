"""Build all history anew from the archive, beside the live tables: to put it in their place, or to compare.

The proof that the database is derived and that nothing is lost.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy import select

from flows.archive import Archive
from flows.aside import Aside, beside
from flows.database import lock_writers
from flows.errors import HistoryError
from flows.loading import Loaded, load_bundles, some_bundles, unloaded
from flows.partitions import copy_months
from flows.reading import Progress
from flows.rollups import roll_up
from flows.settled import LOOKED_BACK, settled_before
from flows.stale import is_stale
from models.listing import canonical_decimal
from models.rollups import catalogue_daily, incident_spans, retention, uptime_daily, uptime_hourly
from models.tables import NO_HISTORY, metadata, observations, runs, uptime_samples

_PATIENCE_SECONDS = 300.0
_PAUSE_SECONDS = 2.0
_SHOWN = 5
_SHORT = 60
Key = tuple[Any, ...]
# Where samples may be gone: from when on a table can be compared, by the time before which rollups are final.
_THINNED: dict[sa.Table, tuple[str, Callable[[datetime], datetime | date]]] = {
    uptime_samples: ("observed_at", lambda settled: settled - LOOKED_BACK),
    uptime_hourly: ("hour_at", lambda settled: settled),
    uptime_daily: ("day", lambda settled: settled.date()),
    catalogue_daily: ("day", lambda settled: settled.date()),
    incident_spans: ("started_at", lambda settled: settled + LOOKED_BACK),
}
# What names a row where others point to it.
_NAMES = {
    "runs": ("name",),
    "targets": ("author", "slug"),
    "models": ("openrouter_id",),
    "endpoints": ("model_id", "variant", "route", "ordinal"),
    "observations": ("target_id", "observed_at", "outcome", "body_digest"),
}


@dataclass(frozen=True, slots=True)
class Difference:
    """Rows of a table that only one side has: the database, or what the archive gives. `examples` names a few."""

    table: str
    only_database: int
    only_archive: int
    examples: tuple[str, ...]


def rebuild(engine: sa.Engine, archive: Archive, progress: Progress = lambda *_: None) -> Loaded:
    """Put a history built anew in the place of the live one in one transaction, or leave all as it was.

    Raises HistoryError where there is no bundle, one is damaged, or one is lacking of a run that the database holds.
    """
    with beside(engine) as aside:
        loaded = _load_all(aside, archive, progress)
        if loaded.damaged:
            raise HistoryError(f"nothing was changed, as the archive is damaged: {next(iter(loaded.damaged.values()))}")
        with _caught_up(aside, archive, loaded, writing=True) as connection:
            _put_in_place(connection, aside.schema)
            connection.commit()
    return loaded


def verify(
    engine: sa.Engine, archive: Archive, progress: Progress = lambda *_: None
) -> tuple[Loaded, list[Difference], datetime | None]:
    """What was read, and where the live tables differ from what the archive gives, row for row.

    Where samples may have been thinned: the midnight from which on uptime is compared.
    """
    with beside(engine) as aside:
        loaded = _load_all(aside, archive, progress)
        with _caught_up(aside, archive, loaded, writing=False) as connection:
            settled = settled_before(connection)
            tables = [table for table in metadata.sorted_tables if table not in {retention, *NO_HISTORY}]
            found = [_difference(connection, table, aside.schema, settled) for table in tables]
    return loaded, [difference for difference in found if difference.only_database or difference.only_archive], settled


def _load_all(aside: Aside, archive: Archive, progress: Progress) -> Loaded:
    archive.recover()
    return load_bundles(aside.engine, archive, some_bundles(archive), progress=progress)


@contextlib.contextmanager
def _caught_up(aside: Aside, archive: Archive, loaded: Loaded, *, writing: bool) -> Iterator[sa.Connection]:
    """A connection in whose transaction the tables beside hold every run that the live ones hold.

    A run under way beside has no bundle yet, so this waits for its end. What is lost raises HistoryError where the
    tables are to be written, and is a difference else.
    """
    deadline = time.monotonic() + _PATIENCE_SECONDS
    found: list[str] | None = None
    while True:
        if not writing:
            roll_up(aside.live)  # what a process left that was killed
        with aside.joined(writing=writing) as connection:
            if writing:
                lock_writers(connection)
            missing = _missing(connection, aside.schema)
            stale = not writing and is_stale(connection)
            under_way = [name for name, is_open in missing.items() if is_open and name not in loaded.damaged]
            is_lost = time.monotonic() > deadline or (found == [] and not under_way)
            if not stale and (not missing or (is_lost and not writing)):
                yield connection
                return
        if stale and time.monotonic() < deadline:
            continue  # a run beside was quicker
        if stale:
            raise HistoryError("nothing was compared: the runs beside leave no moment at which all rollups stand")
        if is_lost:
            raise HistoryError(
                f"nothing was changed: the run {min(missing)} is in the database, but its bundle is not in the archive"
                f" {archive.location}, or can't be read whole, or the run is still under way"
            )
        if found == []:
            time.sleep(_PAUSE_SECONDS)
        archive.recover()
        found = [name for name in unloaded(aside.engine, archive) if name not in loaded.damaged]
        loaded.damaged |= load_bundles(aside.engine, archive, found).damaged


def _missing(connection: sa.Connection, schema: str) -> dict[str, bool]:
    """The runs whose looks the live tables hold, and that are not whole beside: whether each may be under way."""
    built = _beside(runs, schema).alias("built")
    whole = sa.exists().where(built.c.name == runs.c.name, built.c.finished_at.is_not(None))
    looked = sa.exists().where(observations.c.run_id == runs.c.id)
    query = select(runs.c.name, runs.c.finished_at.is_(None)).where(looked, ~whole)
    return {name: bool(is_open) for name, is_open in connection.execute(query)}


def _put_in_place(connection: sa.Connection, schema: str) -> None:
    begun = _begun(connection, schema)
    made = [table for table in metadata.sorted_tables if table not in NO_HISTORY]
    for table in reversed(made):
        connection.execute(table.delete())
    copy_months(connection, schema)
    for table in made:
        built = _beside(table, schema)
        connection.execute(table.insert().from_select([column.name for column in table.c], select(*built.c)))
        if connection.dialect.name == "postgresql" and "id" in table.c:
            newest = select(sa.func.coalesce(sa.func.max(table.c.id), 0) + 1).scalar_subquery()
            sequence = sa.func.pg_get_serial_sequence(table.name, "id")
            connection.execute(select(sa.func.setval(sequence, newest, False)))
    if begun:
        connection.execute(runs.insert(), begun)


def _begun(connection: sa.Connection, schema: str) -> list[dict[str, Any]]:
    """The runs that have stored no look yet: a collect under way needs its own, to be taken up should it be cut."""
    built = _beside(runs, schema).alias("built")
    query = select(*(column for column in runs.c if column.name != "id"))
    rows = connection.execute(query.where(runs.c.name.not_in(select(built.c.name)))).mappings()
    return [dict(row) for row in rows]


def _difference(connection: sa.Connection, table: sa.Table, schema: str, settled: datetime | None) -> Difference:
    live, built = _natural(table, None), _natural(table, schema)
    if settled and table in _THINNED:
        name, first = _THINNED[table]
        name = f"{table.name}_{name}"
        live, built = (rows.where(rows.selected_columns[name] >= first(settled)) for rows in (live, built))
    if table is runs:
        # One that is under way, or was cut off, is not whole yet, whatever there is of its bundle.
        is_open = select(runs.c.name).where(runs.c.finished_at.is_(None))
        live = live.where(live.selected_columns.runs_finished_at.is_not(None))
        built = built.where(built.selected_columns.runs_name.not_in(is_open))
    names = _NAMES.get(table.name) or [column.name for column in table.primary_key]
    keys = _natural(table, None, names).selected_columns.keys()
    counts, shown = [], []
    for here, there in ((live, built), (built, live)):
        only = sa.except_(here, there)
        counts.append(int(connection.execute(select(sa.func.count()).select_from(only.subquery())).scalar_one()))
        query = only.order_by(*(sa.column(key) for key in keys)).limit(_SHOWN)
        shown.append({tuple(row[key] for key in keys): row for row in connection.execute(query).mappings()})
    return Difference(table.name, counts[0], counts[1], tuple(_examples(*shown)))


def _examples(live: Mapping[Key, sa.RowMapping], built: Mapping[Key, sa.RowMapping]) -> Iterator[str]:
    """Each row by what names it: on which side it stands alone, or in what the two sides differ."""
    for key in sorted(live.keys() | built.keys(), key=str):
        name = " ".join(map(str, key))
        if key in live and key in built:
            pairs = ((column, value, built[key][column]) for column, value in live[key].items())
            yield f"{name}: " + ", ".join(
                f"{column} {_short(here)} here, {_short(there)} by the archive"
                for column, here, there in pairs
                if here != there
            )
        else:
            yield f"{name}: only {'in the database' if key in live else 'by the archive'}"


def _short(value: Any) -> str:
    if value is None:
        return "null"
    return (canonical_decimal(value) if isinstance(value, Decimal) else str(value))[:_SHORT]


def _natural(table: sa.Table, schema: str | None, names: Iterable[str] | None = None) -> sa.Select[Any]:
    """All rows of a table, or these columns of them, natural keys in the place of surrogate ids, which may differ."""
    rows = _beside(table, schema)
    columns: list[sa.ColumnElement[Any]] = []
    names = names or [column.name for column in table.c if column.name != "id"]
    joined = _add(columns, rows, rows, table, names=names, schema=schema)
    return select(*columns).select_from(joined)


def _add(
    columns: list[sa.ColumnElement[Any]],
    joined: sa.FromClause,
    rows: sa.FromClause,
    table: sa.Table,
    *,
    names: Iterable[str],
    schema: str | None,
) -> sa.FromClause:
    """Add these columns of `rows`, and what names the rows that they point to."""
    for name in names:
        keys = table.c[name].foreign_keys
        if not keys:
            columns.append(rows.c[name].label(f"{table.name}_{name}"))
        for key in keys:
            target = key.column.table
            pointed = _beside(target, schema).alias()
            joined = joined.outerjoin(pointed, pointed.c.id == rows.c[name])
            joined = _add(columns, joined, pointed, target, names=_NAMES[target.name], schema=schema)
    return joined


def _beside(table: sa.Table, schema: str | None) -> sa.Table:
    return table if schema is None else table.to_metadata(sa.MetaData(), schema=schema)
