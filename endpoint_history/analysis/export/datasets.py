"""What an export holds: every table and view of history, with names in the place of surrogate ids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from models import tables, views
from models.types import ExactDecimal, UtcEpoch, UtcTime


@dataclass(frozen=True, slots=True)
class Dataset:
    """One table or view as it is exported.

    `month` names the time or date, never null, by whose month (UTC) the rows lie in files; None: one file holds all.
    `owner` names the reference by which a table is read that is too large to sort: rows lie owner by owner, in order of
    time. All others are held a month at a time. `without` names columns that say something else at every reading, such
    as an age; `ended` one without a value in rows that do so, which are left out; `json_or_text` those whose text is
    JSON in some rows, which each database writes in its own way.
    """

    table: sa.Table
    month: str | None = None
    owner: str | None = None
    without: tuple[str, ...] = ()
    ended: str | None = None
    json_or_text: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """That of the table or view."""
        return self.table.name

    @property
    def is_view(self) -> bool:
        """Whether its values are worked out by the database."""
        return self.table.metadata is not tables.metadata


# A new table or view needs its line here; what has none must be named in tests/analysis/export/test_datasets.py.
DATASETS: Final = (
    Dataset(tables.runs, "started_at"),
    Dataset(tables.targets),
    Dataset(tables.models),
    Dataset(tables.target_models),
    Dataset(tables.observations, "observed_at", owner="target_id"),
    Dataset(tables.endpoints),
    Dataset(tables.pricing_snapshots, "observed_at"),
    Dataset(tables.listing_changes, "observed_at"),
    Dataset(tables.uptime_samples, "observed_at", owner="endpoint_id"),
    Dataset(tables.performance_samples, "observed_at", owner="endpoint_id"),
    Dataset(tables.drift),
    Dataset(tables.uptime_hourly, "hour_at", owner="endpoint_id"),
    Dataset(tables.catalogue_daily, "day"),
    Dataset(tables.retention),
    Dataset(views.current_prices, without=("evidence_age_seconds",)),
    Dataset(views.price_intervals, "valid_from"),
    Dataset(views.conditional_prices, "valid_from"),
    Dataset(views.price_changes, "observed_at"),
    Dataset(views.model_price_changes, "observed_at"),
    Dataset(views.endpoint_intervals, "valid_from"),
    Dataset(views.endpoint_changes, "observed_at", json_or_text=("before", "after")),
    Dataset(views.daily_uptime, "day"),
    Dataset(views.incidents, "started_at"),
    Dataset(views.observation_gaps, "started_at", ended="ended_at"),
    Dataset(views.daily_coverage, "day"),
)

# What names a row where others point to it, and as what. A look is named by its path; its time stands beside.
_NAMES: Final[dict[str, tuple[str, ...]]] = {
    "runs": ("name",),
    "targets": ("author", "slug"),
    "models": ("openrouter_id",),
    "endpoints": ("model_id", "variant", "route", "ordinal"),
    "observations": ("target_id",),
}
_RENAMED: Final = {("models", "openrouter_id"): "model", ("runs", "name"): "run"}

_TYPES: Final[tuple[tuple[type[sa.types.TypeEngine[Any]], str], ...]] = (
    (UtcTime, "TIMESTAMP WITH TIME ZONE"),
    (UtcEpoch, "TIMESTAMP WITH TIME ZONE"),
    (ExactDecimal, "DECIMAL"),
    (sa.JSON, "JSON"),
    (sa.Boolean, "BOOLEAN"),
    (sa.SmallInteger, "SMALLINT"),
    (sa.BigInteger, "BIGINT"),
    (sa.Integer, "INTEGER"),
    (sa.Float, "DOUBLE"),
    (sa.Date, "DATE"),
    (sa.String, "VARCHAR"),
)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of an export. `type` is its SQL type; `read` is what a query selects to read it."""

    name: str
    type: str
    nullable: bool
    comment: str
    read: sa.ColumnElement[Any]


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a dataset: those that name its owner, then the others, which are read from `source`.

    `owners` selects the id of every owner, when it was seen first and last (null: unknown), and its names.
    """

    dataset: Dataset
    owner: tuple[Column, ...]
    owners: sa.Select[Any] | None
    columns: tuple[Column, ...]
    source: sa.FromClause

    @property
    def time(self) -> int:
        """Where among the other columns the one stands whose month counts. Raises ValueError where none does."""
        return [column.name for column in self.columns].index(str(self.dataset.month))


def lay_out(dataset: Dataset, dialect: str) -> Layout:
    """The columns of a dataset as read from a database of that dialect."""
    source: sa.FromClause = dataset.table
    columns: list[Column] = []
    for column in dataset.table.c:
        if column.name == dataset.owner:
            continue
        if column.foreign_keys:
            source, named = _names_behind(source, column, column, dialect)
            columns += named
        elif not _is_surrogate(column) and column.name not in dataset.without:
            columns.append(_column(column, column, dialect))
    owner, owners = _owners(dataset, dialect) if dataset.owner else ((), None)
    return Layout(dataset, owner, owners, tuple(columns), source)


def _is_surrogate(column: sa.Column[Any]) -> bool:
    """Whether it is an id that only this database knows; a view has the names beside it."""
    return isinstance(column.type, sa.Integer) and (column.name == "id" or column.name.endswith("_id"))


def _owners(dataset: Dataset, dialect: str) -> tuple[tuple[Column, ...], sa.Select[Any]]:
    [key] = dataset.table.c[str(dataset.owner)].foreign_keys
    table = key.column.table
    rows = table.alias()
    source, names = _names(rows, table, rows, dialect)
    seen = [rows.c.get(name, sa.null()) for name in ("first_seen_at", "last_seen_at")]
    return tuple(names), sa.select(rows.c.id, *seen, *(column.read for column in names)).select_from(source)


def _names_behind(
    source: sa.FromClause, reference: sa.Column[Any], here: sa.ColumnElement[Any], dialect: str
) -> tuple[sa.FromClause, list[Column]]:
    """What names the row that a reference points to, and `source` with the tables joined that tell it."""
    [key] = reference.foreign_keys
    pointed = key.column.table.alias()
    joined = source.outerjoin(pointed, pointed.c.id == here)
    return _names(joined, key.column.table, pointed, dialect, nullable=bool(reference.nullable))


def _names(
    source: sa.FromClause, table: sa.Table, rows: sa.FromClause, dialect: str, *, nullable: bool = False
) -> tuple[sa.FromClause, list[Column]]:
    """What names a row of `table`, of which `rows` is the alias at hand."""
    columns: list[Column] = []
    for name in _NAMES[table.name]:
        if table.c[name].foreign_keys:
            source, further = _names_behind(source, table.c[name], rows.c[name], dialect)
            columns += further
        else:
            columns.append(_column(table.c[name], rows.c[name], dialect, nullable=nullable))
    return source, columns


def _column(column: sa.Column[Any], here: sa.ColumnElement[Any], dialect: str, *, nullable: bool = False) -> Column:
    type_ = next(name for kind, name in _TYPES if isinstance(column.type, kind))
    name = _RENAMED.get((column.table.name, column.name), column.name)
    read = _read(here, column.type, type_, dialect)
    return Column(name, type_, nullable or bool(column.nullable), column.comment or "", read)


def _read(
    here: sa.ColumnElement[Any], stored: sa.types.TypeEngine[Any], type_: str, dialect: str
) -> sa.ColumnElement[Any]:
    """The same value from both databases: times as unix seconds; decimals, JSON and dates as text."""
    on_sqlite = dialect == "sqlite"
    match type_:
        case "TIMESTAMP WITH TIME ZONE" if on_sqlite and isinstance(stored, UtcEpoch):
            return sa.type_coerce(here, sa.Integer())
        case "TIMESTAMP WITH TIME ZONE":
            seconds = sa.func.strftime("%s", here) if on_sqlite else sa.extract("epoch", here)
            return sa.cast(seconds, sa.BigInteger())
        case "DATE" if not on_sqlite:
            return sa.func.to_char(here, "YYYY-MM-DD")
        case "DECIMAL" | "JSON" | "DATE":
            return sa.type_coerce(here, sa.Text()) if on_sqlite else sa.cast(here, sa.Text())
        case _:
            return here
