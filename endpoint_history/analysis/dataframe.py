"""Rows of a query as a DataFrame: the door to pandas."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import MAXYEAR, MINYEAR, UTC, datetime, timedelta
from typing import Any, TypedDict

import sqlalchemy as sa
from pandas import DataFrame, Series

from endpoint_history.analysis.cheapest.conditions import nearest
from endpoint_history.database.engine import translated_errors
from endpoint_history.errors import ConfigurationError
from models.tables import endpoints, models
from models.types import ExactDecimal, UtcEpoch, UtcTime

__all__ = ["DataFrame", "RowFilter", "Series", "Time", "TimeRange", "read_time", "rows", "text_dtype"]

Time = str | datetime

_DTYPES: dict[type[Any], str] = {
    UtcTime: "datetime64[us, UTC]",
    UtcEpoch: "datetime64[us, UTC]",
    sa.Date: "datetime64[s]",
    sa.Boolean: "boolean",
    sa.Integer: "Int64",
    sa.Float: "float64",
}
_ORDER = (
    *("model", "variant", "route", "ordinal"),
    *("observed_at", "valid_from", "started_at", "day", "hour_at", "price_key", "term"),
)
# Texts of which there are few different ones.
_CATEGORIES = {
    "model",
    "provider",
    "route",
    "variant",
    "price_key",
    "term",
    "kind",
    "reason",
    "quantization",
    "definition",
    "severity",
    "ended_by",
    *(f"{when}_{name}" for when in ("before", "after") for name in ("provider", "route")),
}


class TimeRange(TypedDict, total=False):
    """Which rows by time: from `since` on and before `until`; what lasts, if it reaches into that time."""

    since: Time | None
    until: Time | None


class RowFilter(TimeRange, total=False):
    """Which rows: also only those of a provider, by its name."""

    provider: str | None


def rows(
    history: sa.Engine,
    view: sa.FromClause,
    model: str | None,
    *conditions: sa.ColumnElement[bool],
    provider: str | None = None,
    since: Time | None = None,
    until: Time | None = None,
    exact: bool = False,
) -> DataFrame:
    """The rows of a view that are asked for, in an order that a reader expects, typed as in `analysis.frames`.

    Raises ConfigurationError for a name that is not in this history, ValueError for what is no time, HistoryError where
    the database can't be used.
    """
    if since is not None and until is not None and read_time(until) <= read_time(since):
        raise ValueError(f"until {until} is not after since {since}")
    query = sa.select(view).where(*conditions, *_in_time(view, since, until))
    query = query.order_by(*(view.c[name] for name in _ORDER if name in view.c))
    with translated_errors(history), history.connect() as connection:
        for name, value, known in (
            ("model", model, models.c.openrouter_id),
            ("provider", provider, endpoints.c.provider_name),
        ):
            if value is not None:
                _refuse_unknown(connection, name, value, known)
                query = query.where(view.c[name] == value)
        found = connection.execute(query).all()
    columns = list(query.selected_columns)
    values: Iterable[Any] = zip(*found, strict=True) if found else [()] * len(columns)
    return DataFrame(
        {c.name: Series(list(v), dtype=_dtype(c, exact=exact)) for c, v in zip(columns, values, strict=True)}
    )


def _refuse_unknown(connection: sa.Connection, name: str, value: str, known: sa.ColumnElement[str]) -> None:
    if connection.execute(sa.select(known).where(known == value).limit(1)).first() is None:
        names = set(connection.execute(sa.select(known).distinct()).scalars())
        raise ConfigurationError(f"{name}: {value!r} is not in this history{nearest(value, names)}")


def _in_time(view: sa.FromClause, since: Time | None, until: Time | None) -> Iterator[sa.ColumnElement[bool]]:
    c = view.c
    if "day" in c and "valid_to" not in c:
        yield from _in_days(c.day, since, until)
        return
    names = ("valid_from",) if "valid_to" in c else ("started_at", "observed_at")
    begins = next(c[name] for name in names if name in c)
    if since is not None:
        start = read_time(since)
        yield c.valid_to.is_(None) | (c.valid_to > start) if "valid_to" in c else begins >= start
    if until is not None:
        yield begins < read_time(until)


def _in_days(day: sa.ColumnElement[Any], since: Time | None, until: Time | None) -> Iterator[sa.ColumnElement[bool]]:
    if since is not None:
        yield day >= read_time(since).date()
    if until is not None:  # a midnight is without the day that begins then
        yield day <= (read_time(until) - timedelta(microseconds=1)).date()


def read_time(value: Time) -> datetime:
    """A time as aware UTC, which it is where it names no zone. Raises ValueError for what is none."""
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else value
        utc = time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (ValueError, OverflowError, AttributeError):
        utc = None
    if utc is None or not MINYEAR < utc.year < MAXYEAR:  # what lies at the calendar's edge can't be reckoned with
        raise ValueError(f"{value!r} is no time such as 2026-05-16 or 2026-05-16T09:00Z")
    return utc


def text_dtype(name: str | None) -> str:
    """A category where there are few different texts in a column of that name."""
    return "category" if name in _CATEGORIES else "str"


def _dtype(column: sa.ColumnElement[Any], *, exact: bool) -> str:
    if isinstance(column.type, ExactDecimal):
        return "object" if exact else "float64"
    if isinstance(column.type, sa.Text):
        return text_dtype(column.key)
    return next((dtype for kind, dtype in _DTYPES.items() if isinstance(column.type, kind)), "object")
