"""History as pandas DataFrames.

    from analysis.frames import open_history, price_history

    history = open_history("sqlite:///data/history.db")
    price_history(history, "openai/gpt-4o", since="2026-05-01").plot(x="valid_from", y="prompt_usd_per_mtok")

Every function takes the engine that `open_history` gives, and answers from the view of docs/schema.md that it names,
with that view's columns and units. Times are `datetime64[us, UTC]`; counts are `Int64` and truths `boolean`, so that
null stays apart from 0 and False; names and kinds are categories. Exact decimals are `float64`, null being NaN, or
with `exact=True` objects of `decimal.Decimal`, null being None.

`model` and `provider` keep only the rows of that name. `since` is taken in and `until` is not; both are
datetimes or text such as `2026-05-01` or `2026-05-01T12:00`, UTC where they name no zone. All raise HistoryError where
the database can't be used, ConfigurationError where it is not there, ValueError for what is no time.
"""

from __future__ import annotations

import dataclasses

import sqlalchemy as sa

from analysis.cheapest import Offer, cheapest
from analysis.conditions import Conditions
from analysis.cost import Usage
from analysis.dataframe import DataFrame, Series, Time, frame, named, on_days, reaching, read_time, within
from flows.database import check_schema, open_engine, told
from flows.settings import Settings
from models.tables import endpoints, models
from models.tables import uptime_samples as raw
from models.uptime_views import coverage_daily, observation_gaps
from models.uptime_views import daily_uptime as daily
from models.uptime_views import hourly_uptime as hourly
from models.uptime_views import incidents as incident_view
from models.views import (
    current_prices,
    endpoint_changes,
    endpoint_intervals,
    model_price_changes,
    price_changes,
    price_intervals,
)


def open_history(url: str | None = None) -> sa.Engine:
    """Open a history for reading; without a URL, the one that DATABASE_URL names, here or in `.env`.

    Raises ConfigurationError where there is none, or its schema is not that of this version.
    """
    history = open_engine(url or Settings.read().database_url.get_secret_value())
    check_schema(history)
    return history


def prices_now(
    history: sa.Engine, model: str | None = None, *, provider: str | None = None, exact: bool = False
) -> DataFrame:
    """One row for one endpoint that is listed now: `current_prices`."""
    return frame(history, named(current_prices, model, provider), exact=exact)


def prices_as_of(
    history: sa.Engine, at: Time, model: str | None = None, *, provider: str | None = None, exact: bool = False
) -> DataFrame:
    """One row for one endpoint that was listed at that instant, with its prices then: `price_intervals`."""
    c, instant = price_intervals.c, read_time(at)
    held = (c.valid_from <= instant) & (c.valid_to.is_(None) | (c.valid_to > instant))
    return frame(history, named(price_intervals, model, provider).where(held), exact=exact)


def price_history(
    history: sa.Engine,
    model: str | None = None,
    *,
    provider: str | None = None,
    since: Time | None = None,
    until: Time | None = None,
    exact: bool = False,
) -> DataFrame:
    """One row for one span at one price set, of those that reach into the time asked for: `price_intervals`."""
    return frame(history, reaching(named(price_intervals, model, provider), price_intervals, since, until), exact=exact)


def price_moves(
    history: sa.Engine,
    model: str | None = None,
    *,
    provider: str | None = None,
    since: Time | None = None,
    until: Time | None = None,
    exact: bool = False,
) -> DataFrame:
    """One row for one price that changed, with its kind: `price_changes`."""
    return frame(history, within(named(price_changes, model, provider), price_changes, since, until), exact=exact)


def lowest_price_moves(
    history: sa.Engine, model: str | None = None, *, since: Time | None = None, until: Time | None = None
) -> DataFrame:
    """One row for one change of a model's cheapest offer, with the reason: `model_price_changes`."""
    return frame(history, within(named(model_price_changes, model, None), model_price_changes, since, until))


def listings(
    history: sa.Engine,
    model: str | None = None,
    *,
    provider: str | None = None,
    since: Time | None = None,
    until: Time | None = None,
) -> DataFrame:
    """One row for one span on the same terms, of those that reach into the time asked for: `endpoint_intervals`."""
    return frame(history, reaching(named(endpoint_intervals, model, provider), endpoint_intervals, since, until))


def listing_moves(
    history: sa.Engine,
    model: str | None = None,
    *,
    provider: str | None = None,
    since: Time | None = None,
    until: Time | None = None,
) -> DataFrame:
    """One row for one endpoint that came, left or returned, or one term that changed: `endpoint_changes`."""
    return frame(history, within(named(endpoint_changes, model, provider), endpoint_changes, since, until))


def uptime_samples(
    history: sa.Engine,
    model: str | None = None,
    *,
    provider: str | None = None,
    since: Time | None = None,
    until: Time | None = None,
) -> DataFrame:
    """One row for one endpoint at one look: `model`, `provider`, `route`, `ordinal` and the columns of the samples.

    Windows of looks that are close overlap: weigh them, or take `daily_uptime`. From 2026-10-08 on uptime is a share of
    minutes, before it was one of requests.
    """
    names = [models.c.openrouter_id.label("model"), endpoints.c.provider_name.label("provider")]
    samples = (
        sa.select(*names, endpoints.c.route, endpoints.c.ordinal, *raw.c)
        .select_from(raw.join(endpoints, endpoints.c.id == raw.c.endpoint_id).join(models))
        .order_by(*names, endpoints.c.route, endpoints.c.ordinal, raw.c.observed_at)
    )
    for column, value in ((models.c.openrouter_id, model), (endpoints.c.provider_name, provider)):
        samples = samples if value is None else samples.where(column == value)
    return frame(history, within(samples, raw, since, until))


def hourly_uptime(
    history: sa.Engine,
    model: str | None = None,
    *,
    provider: str | None = None,
    since: Time | None = None,
    until: Time | None = None,
) -> DataFrame:
    """One row for one endpoint and UTC hour of the days that `since` and `until` lie on or between: `hourly_uptime`."""
    return frame(history, on_days(named(hourly, model, provider), hourly, since, until))


def daily_uptime(
    history: sa.Engine,
    model: str | None = None,
    *,
    provider: str | None = None,
    since: Time | None = None,
    until: Time | None = None,
) -> DataFrame:
    """One row for one endpoint and UTC day that `since` and `until` lie on or between: `daily_uptime`."""
    return frame(history, on_days(named(daily, model, provider), daily, since, until))


def incidents(
    history: sa.Engine,
    model: str | None = None,
    *,
    provider: str | None = None,
    since: Time | None = None,
    until: Time | None = None,
) -> DataFrame:
    """One row for one time of low uptime that began in the time asked for: `incidents`."""
    query = named(incident_view, model, provider)
    return frame(history, within(query, incident_view, since, until, of="started_at"))


def coverage(
    history: sa.Engine, model: str | None = None, *, since: Time | None = None, until: Time | None = None
) -> DataFrame:
    """One row for one model and UTC day: looks expected, observed, failed, missing: `coverage_daily`."""
    return frame(history, on_days(named(coverage_daily, model, None), coverage_daily, since, until))


def gaps(
    history: sa.Engine, model: str | None = None, *, since: Time | None = None, until: Time | None = None
) -> DataFrame:
    """One row for one time without a look that counts, that began in the time asked for: `observation_gaps`."""
    query = named(observation_gaps, model, None)
    return frame(history, within(query, observation_gaps, since, until, of="started_at"))


def cheapest_offers(
    history: sa.Engine, model: str, usage: Usage, conditions: Conditions | None = None, *, exact: bool = False
) -> DataFrame:
    """One row for one offer, those that meet the conditions first, by cost: what `analysis.cheapest.cheapest` answers.

    Columns are those of `analysis.cheapest.Offer`; `notes` and `reasons` are text, `reasons` empty where it qualifies.
    """
    with told(history), history.connect() as connection:
        answer = cheapest(connection, model, usage, conditions or Conditions())
    rows = [dataclasses.asdict(offer) for offer in (*answer.offers, *answer.left_out)]
    columns = {field.name: [row[field.name] for row in rows] for field in dataclasses.fields(Offer)}
    for name in ("notes", "reasons"):
        columns[name] = ["; ".join(texts) for texts in columns[name]]
    types = {"cost_usd": "object" if exact else "float64", "uptime_pct": "float64", "covered_share": "float64"}
    counts = ("ordinal", "endpoint_id", "samples", "status", "context_length")
    return DataFrame(
        {
            name: Series(values, dtype=types.get(name, "Int64" if name in counts else "str"))
            for name, values in columns.items()
        }
    )
