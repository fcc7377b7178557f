"""Compare the live tables with shadow tables built from the archive, row by row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy import select

from endpoint_history.rollups.watermark import LOOKBACK
from models.listing import canonical_decimal
from models.tables import (
    NO_HISTORY,
    catalogue_daily,
    incident_spans,
    metadata,
    retention,
    runs,
    uptime_daily,
    uptime_hourly,
    uptime_samples,
)

_SHOWN = 5
_SHORT = 60
_Key = tuple[Any, ...]
# Tables that retention changes: their time column, and the time from which they can be compared, by the watermark.
_LIMITED_BY_RETENTION: dict[sa.Table, tuple[str, Callable[[datetime], datetime | date]]] = {
    uptime_samples: ("observed_at", lambda watermark: watermark - LOOKBACK),
    uptime_hourly: ("hour_at", lambda watermark: watermark),
    uptime_daily: ("day", lambda watermark: watermark.date()),
    catalogue_daily: ("day", lambda watermark: watermark.date()),
    incident_spans: ("started_at", lambda watermark: watermark + LOOKBACK),
}
# The natural key of each table that others refer to.
_NATURAL_KEYS = {
    "runs": ("name",),
    "targets": ("author", "slug"),
    "models": ("openrouter_id",),
    "endpoints": ("model_id", "variant", "route", "ordinal"),
    "observations": ("target_id", "observed_at", "outcome", "body_digest"),
}


@dataclass(frozen=True, slots=True)
class Difference:
    """How many rows of a table only the database has, and only the archive. `examples` describes a few."""

    table: str
    only_database: int
    only_archive: int
    examples: tuple[str, ...]


def compare(connection: sa.Connection, schema: str, watermark: datetime | None) -> list[Difference]:
    """Return the tables that differ from those of `schema`, in rows that retention can't have changed."""
    tables = [table for table in metadata.sorted_tables if table not in {retention, *NO_HISTORY}]
    found = [_difference(connection, table, schema, watermark) for table in tables]
    return [difference for difference in found if difference.only_database or difference.only_archive]


def _difference(connection: sa.Connection, table: sa.Table, schema: str, watermark: datetime | None) -> Difference:
    live, built = _natural(table, None), _natural(table, schema)
    if watermark and table in _LIMITED_BY_RETENTION:
        name, first = _LIMITED_BY_RETENTION[table]
        name = f"{table.name}_{name}"
        live, built = (rows.where(rows.selected_columns[name] >= first(watermark)) for rows in (live, built))
    if table is runs:
        # A run under way, or cut off, is incomplete, whatever its bundle holds.
        is_open = select(runs.c.name).where(runs.c.finished_at.is_(None))
        live = live.where(live.selected_columns.runs_finished_at.is_not(None))
        built = built.where(built.selected_columns.runs_name.not_in(is_open))
    names = _NATURAL_KEYS.get(table.name) or [column.name for column in table.primary_key]
    keys = _natural(table, None, names).selected_columns.keys()
    counts, shown = [], []
    for here, there in ((live, built), (built, live)):
        only = sa.except_(here, there)
        counts.append(int(connection.execute(select(sa.func.count()).select_from(only.subquery())).scalar_one()))
        query = only.order_by(*(sa.column(key) for key in keys)).limit(_SHOWN)
        shown.append({tuple(row[key] for key in keys): row for row in connection.execute(query).mappings()})
    return Difference(table.name, counts[0], counts[1], tuple(_examples(*shown)))


def _examples(live: Mapping[_Key, sa.RowMapping], built: Mapping[_Key, sa.RowMapping]) -> Iterator[str]:
    """Yield each row by its natural key: the side that has it, or the columns that differ."""
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
    """Select a table, or these columns of it, with natural keys in place of surrogate ids, which may differ."""
    rows = shadow_table(table, schema)
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
    """Add these columns of `rows`, and the natural keys of the rows that they refer to."""
    for name in names:
        keys = table.c[name].foreign_keys
        if not keys:
            columns.append(rows.c[name].label(f"{table.name}_{name}"))
        for key in keys:
            target = key.column.table
            pointed = shadow_table(target, schema).alias()
            joined = joined.outerjoin(pointed, pointed.c.id == rows.c[name])
            joined = _add(columns, joined, pointed, target, names=_NATURAL_KEYS[target.name], schema=schema)
    return joined


def shadow_table(table: sa.Table, schema: str | None) -> sa.Table:
    """Return the shadow table of this name in `schema`, or the live table if it is None."""
    return table if schema is None else table.to_metadata(sa.MetaData(), schema=schema)
