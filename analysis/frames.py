"""History as pandas DataFrames: the door to pandas.

    from analysis.frames import open_history, price_history

    history = open_history("sqlite:///data/history.db")
    price_history(history, "openai/gpt-4o", since="2026-05-01").plot(x="valid_from", y="prompt_usd_per_mtok")

Every function takes the engine that `open_history` gives, and answers from the view of docs/schema.md that it names,
with that view's columns and units. Times are `datetime64[us, UTC]`; counts are `Int64` and truths `boolean`, so that
null stays apart from 0 and False; names and kinds are categories. Exact decimals are `float64`, null being NaN, or
with `exact=True` objects of `decimal.Decimal`, null being None.

`model`, `provider` and `route` keep only the rows of that name. `since` is taken in and `until` is not; both are
datetimes or text such as `2026-05-01` or `2026-05-01T12:00`, UTC where they name no zone. All raise HistoryError where
the database can't be used, ConfigurationError where it is not there, ValueError for what is no time.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import sqlalchemy as sa

from flows.database import check_schema, open_engine, told
from flows.settings import Settings
from models.types import ExactDecimal, UtcEpoch, UtcTime
from models.views import (
    current_prices,
    endpoint_changes,
    endpoint_intervals,
    model_price_changes,
    price_changes,
    price_intervals,
)

Time = str | datetime

_DTYPES: dict[type[Any], str] = {
    UtcTime: "datetime64[us, UTC]",
    UtcEpoch: "datetime64[us, UTC]",
    sa.Date: "datetime64[s]",
    sa.Boolean: "boolean",
    sa.Integer: "Int64",
    sa.Float: "float64",
}
_ORDER = ("model", "variant", "route", "ordinal", "observed_at", "valid_from", "price_key", "term")
# Texts of which there are few different ones.
_CATEGORIES = {"model", "provider", "route", "variant", "price_key", "term", "kind", "why", "quantization"}


def open_history(url: str | None = None) -> sa.Engine:
    """Open a history for reading; without a URL, the one that DATABASE_URL names, here or in `.env`.

    Raises ConfigurationError where there is none, or its schema is not that of this version.
    """
    history = open_engine(url or Settings.read().database_url.get_secret_value())
    check_schema(history)
    return history


def prices_now(
    history: sa.Engine, model: str | None = None, *, provider: str | None = None, exact: bool = False
) -> pd.DataFrame:
    """One row for one endpoint that is listed now: `current_prices`."""
    return _frame(history, _named(current_prices, model, provider), exact=exact)


def prices_as_of(
    history: sa.Engine, at: Time, model: str | None = None, *, provider: str | None = None, exact: bool = False
) -> pd.DataFrame:
    """One row for one endpoint that was listed at that instant, with its prices then: `price_intervals`."""
    c, instant = price_intervals.c, _time(at)
    held = (c.valid_from <= instant) & (c.valid_to.is_(None) | (c.valid_to > instant))
    return _frame(history, _named(price_intervals, model, provider).where(held), exact=exact)


def price_history(
    history: sa.Engine,
    model: str | None = None,
    *,
    provider: str | None = None,
    since: Time | None = None,
    until: Time | None = None,
    exact: bool = False,
) -> pd.DataFrame:
    """One row for one span at one price set, of those that reach into the time asked for: `price_intervals`."""
    return _frame(
        history, _reaching(_named(price_intervals, model, provider), price_intervals, since, until), exact=exact
    )


def price_moves(
    history: sa.Engine,
    model: str | None = None,
    *,
    provider: str | None = None,
    since: Time | None = None,
    until: Time | None = None,
    exact: bool = False,
) -> pd.DataFrame:
    """One row for one price that changed, with its kind: `price_changes`."""
    return _frame(history, _within(_named(price_changes, model, provider), price_changes, since, until), exact=exact)


def lowest_price_moves(
    history: sa.Engine, model: str | None = None, *, since: Time | None = None, until: Time | None = None
) -> pd.DataFrame:
    """One row for one change of a model's cheapest offer, with the reason: `model_price_changes`."""
    return _frame(history, _within(_named(model_price_changes, model, None), model_price_changes, since, until))


def listings(
    history: sa.Engine,
    model: str | None = None,
    *,
    provider: str | None = None,
    since: Time | None = None,
    until: Time | None = None,
) -> pd.DataFrame:
    """One row for one span on the same terms, of those that reach into the time asked for: `endpoint_intervals`."""
    return _frame(history, _reaching(_named(endpoint_intervals, model, provider), endpoint_intervals, since, until))


def listing_moves(
    history: sa.Engine,
    model: str | None = None,
    *,
    provider: str | None = None,
    since: Time | None = None,
    until: Time | None = None,
) -> pd.DataFrame:
    """One row for one endpoint that came, left or returned, or one term that changed: `endpoint_changes`."""
    return _frame(history, _within(_named(endpoint_changes, model, provider), endpoint_changes, since, until))


def _named(view: sa.Table, model: str | None, provider: str | None) -> sa.Select[Any]:
    query = sa.select(view).order_by(*(view.c[name] for name in _ORDER if name in view.c))
    for name, value in (("model", model), ("provider", provider)):
        query = query if value is None else query.where(view.c[name] == value)
    return query


def _within(query: sa.Select[Any], view: sa.Table, since: Time | None, until: Time | None) -> sa.Select[Any]:
    if since is not None:
        query = query.where(view.c.observed_at >= _time(since))
    return query if until is None else query.where(view.c.observed_at < _time(until))


def _reaching(query: sa.Select[Any], view: sa.Table, since: Time | None, until: Time | None) -> sa.Select[Any]:
    if since is not None:
        query = query.where(view.c.valid_to.is_(None) | (view.c.valid_to > _time(since)))
    return query if until is None else query.where(view.c.valid_from < _time(until))


def _time(value: Time) -> datetime:
    time = datetime.fromisoformat(value) if isinstance(value, str) else value
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)


def _frame(history: sa.Engine, query: sa.Select[Any], *, exact: bool = False) -> pd.DataFrame:
    with told(history), history.connect() as connection:
        rows = connection.execute(query).all()
    columns = list(query.selected_columns)
    values: Iterable[Any] = zip(*rows, strict=True) if rows else [()] * len(columns)
    return pd.DataFrame(
        {c.name: pd.Series(list(v), dtype=_dtype(c, exact=exact)) for c, v in zip(columns, values, strict=True)}
    )


def _dtype(column: sa.ColumnElement[Any], *, exact: bool) -> str:
    if isinstance(column.type, ExactDecimal):
        return "object" if exact else "float64"
    if isinstance(column.type, sa.Text):
        return "category" if column.key in _CATEGORIES else "str"
    return next((dtype for kind, dtype in _DTYPES.items() if isinstance(column.type, kind)), "object")
