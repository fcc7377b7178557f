"""The rows of a dataset, file by file, in an order that does not depend on the database or on surrogate ids."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from endpoint_history.analysis.export.datasets import Column, Dataset, Layout
from endpoint_history.analysis.export.months import Months, month_of, next_month, start_of
from endpoint_history.io.strict_json import canonical
from models.listing import canonical_decimal
from models.tables import observations

Row = tuple[Any, ...]
# The names of an owner, and its rows in order of time. Times are unix seconds; dates, decimals and JSON are text.
Group = tuple[Row, list[Row]]

_CHUNK_ROWS = 10_000
_DAY = timedelta(days=1)
_PLAIN: dict[str, Callable[[Any], Any]] = {
    "BOOLEAN": bool,
    "DECIMAL": lambda text: canonical_decimal(Decimal(text)),
    "JSON": lambda text: canonical(json.loads(text)),
}


@dataclass(frozen=True, slots=True)
class FileContent:
    """What one file holds: the rows of one month, or all where `month` is None."""

    month: str | None
    groups: Iterable[Group]


def read_parts(
    connection: sa.Connection, layout: Layout, months: Months, observed: Sequence[str]
) -> Iterator[FileContent]:
    """The parts of a dataset in order of time; a part is to be read before the next.

    Of one that is read owner by owner there is a part for each month of `observed`, whether it has rows or not.
    """
    if layout.owners is not None:
        return _owner_by_owner(connection, layout, observed)
    if layout.dataset.month is not None:
        return _month_by_month(connection, layout, months)
    rows = [row for rows in _streamed(connection, layout, sa.true()) for row in rows]
    return iter([FileContent(None, [((), _ordered(rows, layout))])])


def observed_months(connection: sa.Connection, months: Months) -> list[str]:
    """Those of these months of which there may be samples. A bucket may begin before its first sample."""
    ends = sa.select(sa.func.min(observations.c.observed_at), sa.func.max(observations.c.observed_at))
    first, last = connection.execute(ends).one()
    return list(months.within(f"{first - _DAY:%Y-%m}", f"{last:%Y-%m}")) if first else []


def _month_by_month(connection: sa.Connection, layout: Layout, months: Months) -> Iterator[FileContent]:
    """One query for all months: a view is worked out once."""
    chunks = _streamed(connection, layout, _within(layout, months), _time(layout))
    rows, at = itertools.chain.from_iterable(chunks), layout.time
    for month, of_month in itertools.groupby(rows, key=lambda row: month_of(row[at])):
        yield FileContent(month, [((), _ordered(list(of_month), layout))])


def _owner_by_owner(connection: sa.Connection, layout: Layout, months: Sequence[str]) -> Iterator[FileContent]:
    """One query for each owner and month, along the primary key: no month is ever held or sorted whole."""
    assert layout.owners is not None  # noqa: S101 - for mypy
    if connection.execute(sa.select(layout.dataset.table).limit(1)).first() is None:
        months = ()
    owners = sorted((tuple(names), id_, first, last) for id_, first, last, *names in connection.execute(layout.owners))
    for month in months:
        lasting = [(names, id_) for names, id_, first, last in owners if _lasted(first, last, month)]
        yield FileContent(month, _groups(connection, layout, lasting, Months(month, next_month(month))))


def _groups(connection: sa.Connection, layout: Layout, owners: list[tuple[Row, int]], month: Months) -> Iterator[Group]:
    mine = layout.dataset.table.c[str(layout.dataset.owner)] == sa.bindparam("owner")
    query = _query(layout, mine & _within(layout, month)).order_by(_time(layout))
    at = layout.time
    for names, id_ in owners:
        # The driver's own rows: SQLAlchemy's would take more time than all the rest.
        cursor = connection.execute(query, {"owner": id_}).cursor
        assert cursor is not None  # noqa: S101 - for mypy
        rows = _plain(list(cursor.fetchall()), layout)
        if len({row[at] for row in rows}) < len(rows):
            rows = _ordered(rows, layout)
        if rows:
            yield names, rows


def _lasted(first: datetime | None, last: datetime | None, month: str) -> bool:
    """Whether an owner may have samples in that month, or buckets that begin a little before them."""
    if first is None or last is None:
        return True
    return first - _DAY < start_of(next_month(month)) and last + _DAY >= start_of(month)


def _within(layout: Layout, months: Months) -> sa.ColumnElement[bool]:
    column = _time(layout)
    bounds = [start_of(month) if month else None for month in (months.since, months.until)]
    since, until = [bound.date() if bound and isinstance(column.type, sa.Date) else bound for bound in bounds]
    conditions = [column >= since] if since else []
    return sa.and_(sa.true(), *conditions, *([column < until] if until else []))


def _time(layout: Layout) -> sa.Column[Any]:
    return layout.dataset.table.c[str(layout.dataset.month)]


def _query(layout: Layout, where: sa.ColumnElement[bool]) -> sa.Select[Any]:
    dataset = layout.dataset
    ended = dataset.table.c[dataset.ended].is_not(None) if dataset.ended else sa.true()
    return sa.select(*(column.read for column in layout.columns)).select_from(layout.source).where(where, ended)


def _streamed(
    connection: sa.Connection, layout: Layout, where: sa.ColumnElement[bool], *order: sa.ColumnElement[Any]
) -> Iterator[list[Row]]:
    query = _query(layout, where).order_by(*order)
    for chunk in connection.execute(query, execution_options={"stream_results": True}).partitions(_CHUNK_ROWS):
        yield _plain([tuple(row) for row in chunk], layout)


def _plain(rows: list[Row], layout: Layout) -> list[Row]:
    """The rows with values that are the same from both databases."""
    plain = [_form(column, layout.dataset) for column in layout.columns]
    if not any(plain):
        return rows
    return [
        tuple(value if make is None or value is None else make(value) for make, value in zip(plain, row, strict=True))
        for row in rows
    ]


def _form(column: Column, dataset: Dataset) -> Callable[[Any], Any] | None:
    if column.name in dataset.json_or_text:
        return _json_or_text
    if column.type == "DOUBLE" and dataset.is_view:
        # SQLite reads a decimal as a double whose last digit may be wrong, and so is that of what it makes of it.
        return lambda value: float(f"{value:.12g}")
    return _PLAIN.get(column.type)


def _json_or_text(text: str) -> str:
    try:
        return canonical(json.loads(text)) if text.startswith(("{", "[")) else text
    except ValueError:
        return text


def _ordered(rows: list[Row], layout: Layout) -> list[Row]:
    """By time, then by all columns from left to right, null before anything."""
    first = slice(layout.time, layout.time + 1) if layout.dataset.month else slice(0)
    return sorted(rows, key=lambda row: [(value is not None, value) for value in (*row[first], *row)])
