"""Rows of a query as a DataFrame: the door to pandas."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from pandas import DataFrame, Series

from flows.database import told
from models.types import ExactDecimal, UtcEpoch, UtcTime

__all__ = ["DataFrame", "Series", "Time", "frame", "named", "on_days", "reaching", "read_time", "within"]

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
    "why",
    "quantization",
    "definition",
    "depth",
    "ended_by",
}


def named(view: sa.Table, model: str | None, provider: str | None) -> sa.Select[Any]:
    """The rows of a view with these names, in an order that a reader expects."""
    query = sa.select(view).order_by(*(view.c[name] for name in _ORDER if name in view.c))
    for name, value in (("model", model), ("provider", provider)):
        query = query if value is None else query.where(view.c[name] == value)
    return query


def within(
    query: sa.Select[Any], view: sa.Table, since: Time | None, until: Time | None, *, of: str = "observed_at"
) -> sa.Select[Any]:
    """Those of an instant from `since` on and before `until`."""
    if since is not None:
        query = query.where(view.c[of] >= read_time(since))
    return query if until is None else query.where(view.c[of] < read_time(until))


def on_days(query: sa.Select[Any], view: sa.Table, since: Time | None, until: Time | None) -> sa.Select[Any]:
    """Those of the UTC days that `since` and `until` lie on or between."""
    if since is not None:
        query = query.where(view.c.day >= read_time(since).date())
    # Until a midnight is without the day that begins then.
    return query if until is None else query.where(view.c.day <= (read_time(until) - timedelta(microseconds=1)).date())


def reaching(query: sa.Select[Any], view: sa.Table, since: Time | None, until: Time | None) -> sa.Select[Any]:
    """Those of a span that reaches into the time from `since` to `until`."""
    if since is not None:
        query = query.where(view.c.valid_to.is_(None) | (view.c.valid_to > read_time(since)))
    return query if until is None else query.where(view.c.valid_from < read_time(until))


def read_time(value: Time) -> datetime:
    """A time as aware UTC, which it is where it names no zone. Raises ValueError for what is none."""
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError(f"{value!r} is no time such as 2026-05-16 or 2026-05-16T09:00Z") from None
    if not isinstance(time, datetime):
        raise ValueError(f"{value!r} is no time such as 2026-05-16 or 2026-05-16T09:00Z")  # noqa: TRY004 - as any other
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)


def frame(history: sa.Engine, query: sa.Select[Any], *, exact: bool = False) -> DataFrame:
    """What a query gives, typed as analysis.frames tells. Raises HistoryError where the database can't be used."""
    with told(history), history.connect() as connection:
        rows = connection.execute(query).all()
    columns = list(query.selected_columns)
    values: Iterable[Any] = zip(*rows, strict=True) if rows else [()] * len(columns)
    return DataFrame(
        {c.name: Series(list(v), dtype=_dtype(c, exact=exact)) for c, v in zip(columns, values, strict=True)}
    )


def _dtype(column: sa.ColumnElement[Any], *, exact: bool) -> str:
    if isinstance(column.type, ExactDecimal):
        return "object" if exact else "float64"
    if isinstance(column.type, sa.Text):
        return "category" if column.key in _CATEGORIES else "str"
    return next((dtype for kind, dtype in _DTYPES.items() if isinstance(column.type, kind)), "object")
