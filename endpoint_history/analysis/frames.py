"""History as pandas DataFrames.

Import these from `endpoint_history`; docs/python.md has an example. Every function takes the engine that `open_history`
returns and reads one view of docs/schema.md, which describes its columns. Names give the unit: `_usd` is USD per token,
request or other unit, `_usd_per_mtok` USD per million tokens.

Times are `datetime64[us, UTC]`, days `datetime64[s]`, counts `Int64`, flags `boolean`, names and kinds categories.
Prices are `float64`, or with `exact=True` objects of `decimal.Decimal`. Null is NaN, NA or None.

`model` and `provider` select rows by name. `since` is inclusive, `until` exclusive: datetimes, or text such as
`2026-05-01` or `2026-05-01T12:00`, in UTC unless they name a zone. Raises HistoryError if the database can't be used,
ConfigurationError if there is none or a name is not in it, ValueError for an invalid time.
"""

from __future__ import annotations

import dataclasses
from typing import Unpack

import sqlalchemy as sa

from endpoint_history.analysis.cheapest.conditions import Conditions
from endpoint_history.analysis.cheapest.cost import Usage
from endpoint_history.analysis.cheapest.ranking import RankedOffer, rank_offers
from endpoint_history.analysis.dataframe import (
    DataFrame,
    RowFilter,
    Series,
    Time,
    TimeRange,
    read_time,
    rows,
    text_dtype,
)
from endpoint_history.database.engine import check_schema, open_engine, translated_errors
from endpoint_history.settings import Settings
from models.tables import endpoints, models
from models.tables import uptime_samples as raw
from models.views import (
    current_prices,
    daily_coverage,
    endpoint_changes,
    endpoint_intervals,
    model_price_changes,
    observation_gaps,
    price_changes,
    price_intervals,
)
from models.views import daily_uptime as daily
from models.views import hourly_uptime as hourly
from models.views import incidents as incident_view


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
    """One row for one endpoint that is listed now: `current_prices`.

    `model`, `provider`, `route`, `variant`, `ordinal`; `valid_from`, `observed_at`, `evidence_age_seconds`; prices as
    `prompt_usd_per_mtok` and, exact, `prompt_usd`; `discount`; `quantization`, `context_length`, `status`,
    `uptime_30m_pct`.

    Example: prices_now(history).nsmallest(10, "prompt_usd_per_mtok")
    """
    return rows(history, current_prices, model, provider=provider, exact=exact)


def prices_as_of(
    history: sa.Engine, at: Time, model: str | None = None, *, provider: str | None = None, exact: bool = False
) -> DataFrame:
    """One row for one endpoint that was listed at that instant, with its prices then: `price_intervals`.

    Columns as of `price_history`.

    Example: prices_as_of(history, "2026-11-01", "openai/gpt-4o", exact=True)
    """
    c, instant = price_intervals.c, read_time(at)
    held = (c.valid_from <= instant) & (c.valid_to.is_(None) | (c.valid_to > instant))
    return rows(history, price_intervals, model, held, provider=provider, exact=exact)


def price_history(
    history: sa.Engine, model: str | None = None, *, exact: bool = False, **kept: Unpack[RowFilter]
) -> DataFrame:
    """One row for one span at one price set, of those that reach into the time asked for: `price_intervals`.

    `model`, `provider`, `route`, `variant`, `ordinal`; `valid_from`, `valid_to` (null: it holds now),
    `observed_through`; prices as `prompt_usd_per_mtok` and, exact, `prompt_usd`; `discount`, `has_conditional_prices`.

    Example: price_history(history, "openai/gpt-4o", since="2026-05-01")
    """
    return rows(history, price_intervals, model, exact=exact, **kept)


def price_moves(
    history: sa.Engine, model: str | None = None, *, exact: bool = False, **kept: Unpack[RowFilter]
) -> DataFrame:
    """One row for one price that changed: `price_changes`.

    `model`, `provider`, `route`, `variant`, `ordinal`; `observed_at`, `price_key`, `before`, `after` (USD per unit),
    `ratio`, `kind`: first, repriced, listed again, scheduled, reverted.

    Example: price_moves(history, since="2026-05-01", until="2026-06-01").query("kind == 'repriced'")
    """
    return rows(history, price_changes, model, exact=exact, **kept)


def lowest_price_moves(history: sa.Engine, model: str | None = None, **span: Unpack[TimeRange]) -> DataFrame:
    """One row for one change of a model's cheapest offer: `model_price_changes`.

    `model`, `variant`, `observed_at`; `before_provider`, `before_blended_usd_per_mtok` and the same with `after_`;
    `ratio`; `reason`: first, repriced, scheduled, cheapest left, cheaper came, came back.

    Example: lowest_price_moves(history, "openai/gpt-4o")
    """
    return rows(history, model_price_changes, model, **span)


def listings(history: sa.Engine, model: str | None = None, **kept: Unpack[RowFilter]) -> DataFrame:
    """One row for one span on the same terms, of those that reach into the time asked for: `endpoint_intervals`.

    `model`, `provider`, `route`, `variant`, `ordinal`; `valid_from`, `valid_to` (null: it holds now),
    `observed_through`; `context_length`, `max_completion_tokens` (tokens), `quantization`, `supported_parameters`.

    Example: listings(history, "openai/gpt-4o", provider="Azure")
    """
    return rows(history, endpoint_intervals, model, **kept)


def listing_moves(history: sa.Engine, model: str | None = None, **kept: Unpack[RowFilter]) -> DataFrame:
    """One row for one endpoint that came, left or returned, or one term that changed: `endpoint_changes`.

    `model`, `provider`, `route`, `variant`, `ordinal`; `observed_at`, `kind`, `term`, `before`, `after`.

    Example: listing_moves(history, since="2026-05-01").query("kind == 'left'")
    """
    return rows(history, endpoint_changes, model, **kept)


def uptime_samples(history: sa.Engine, model: str | None = None, **kept: Unpack[RowFilter]) -> DataFrame:
    """One row for one endpoint at one look, from the table `uptime_samples`.

    `model`, `provider`, `route`, `variant`, `ordinal`; `endpoint_id`, `observed_at`, `status`; `uptime_5m_pct`,
    `uptime_30m_pct`, `uptime_1d_pct`. Windows of looks that are close overlap: weigh them, or take `daily_uptime`.
    From 2026-10-08 on uptime is a share of minutes, before it was one of requests.

    Example: uptime_samples(history, "openai/gpt-4o", since="2026-11-20")
    """
    e = endpoints.c
    names = [models.c.openrouter_id.label("model"), e.provider_name.label("provider"), e.route, e.variant, e.ordinal]
    joined = raw.join(endpoints, e.id == raw.c.endpoint_id).join(models)
    samples = sa.select(*names, *raw.c).select_from(joined)
    return rows(history, samples.subquery(), model, **kept)


def hourly_uptime(history: sa.Engine, model: str | None = None, **kept: Unpack[RowFilter]) -> DataFrame:
    """One row for one endpoint and UTC hour of the days that `since` and `until` lie on or between: `hourly_uptime`.

    Columns as of `daily_uptime`, and `hour_at`.

    Example: hourly_uptime(history, "openai/gpt-4o", since="2026-11-20", until="2026-11-21")
    """
    return rows(history, hourly, model, **kept)


def daily_uptime(history: sa.Engine, model: str | None = None, **kept: Unpack[RowFilter]) -> DataFrame:
    """One row for one endpoint and UTC day that `since` and `until` lie on or between: `daily_uptime`.

    `model`, `provider`, `route`, `variant`, `ordinal`; `day`, `definition`, `uptime_pct`, `min_uptime_pct`, `samples`,
    `covered_minutes`, `null_minutes`, `below_95_minutes`, `below_95_share`.

    Example: daily_uptime(history, "openai/gpt-4o").groupby("provider", observed=True)["uptime_pct"].min()
    """
    return rows(history, daily, model, **kept)


def incidents(history: sa.Engine, model: str | None = None, **kept: Unpack[RowFilter]) -> DataFrame:
    """One row for one time of low uptime that began in the time asked for: `incidents`.

    `model`, `provider`, `route`, `variant`, `ordinal`; `started_at`, `ended_at` (null: it goes on), `ended_by`,
    `minutes`, `worst_uptime_pct`, `severity`, `other_endpoints_affected`, `is_catalogue_wide`.

    Example: incidents(history, since="2026-11-01").nlargest(10, "minutes")
    """
    return rows(history, incident_view, model, **kept)


def coverage(history: sa.Engine, model: str | None = None, **span: Unpack[TimeRange]) -> DataFrame:
    """One row for one model and UTC day: how well it was observed, against the schedule: `daily_coverage`.

    `model`, `day`; `expected`, `observed`, `failed`, `never_made`, `imported` (looks), `covered_minutes`.

    Example: coverage(history, "openai/gpt-4o").query("never_made > 0")
    """
    return rows(history, daily_coverage, model, **span)


def gaps(history: sa.Engine, model: str | None = None, **span: Unpack[TimeRange]) -> DataFrame:
    """One row for one time without a look that counts, that began in the time asked for: `observation_gaps`.

    `model`, `started_at`, `ended_at` (null: none has come yet), `minutes`, `cadence_minutes`;
    `missed_observations`, `failed`, `never_made`; `last_error`.

    Example: gaps(history, since="2026-11-01").nlargest(10, "minutes")
    """
    return rows(history, observation_gaps, model, **span)


def cheapest(
    history: sa.Engine,
    model: str,
    usage: Usage,
    conditions: Conditions | None = None,
    *,
    as_of: Time | None = None,
    exact: bool = False,
) -> DataFrame:
    """One row for one offer, those that meet the conditions first, by cost: as `rank_offers` orders them.

    `provider`, `route`, `variant`, `ordinal`, `endpoint_id`; `cost_usd` (USD of the usage), `uptime_pct`,
    `covered_share`, `samples`; `status`, `quantization`, `context_length` (tokens); `notes` and `reasons` as text,
    `reasons` empty where it qualifies. Without `as_of` it is that of the model's newest evidence.

    Example: cheapest(history, "openai/gpt-4o", Usage(10_000, 1_000), Conditions(uptime_pct=Decimal("99.5")))
    """
    instant = None if as_of is None else read_time(as_of)
    with translated_errors(history), history.connect() as connection:
        answer = rank_offers(connection, model, usage, conditions, as_of=instant)
    offers = [dataclasses.asdict(offer) for offer in (*answer.offers, *answer.left_out)]
    columns = {field.name: [offer[field.name] for offer in offers] for field in dataclasses.fields(RankedOffer)}
    for name in ("notes", "reasons"):
        columns[name] = ["; ".join(texts) for texts in columns[name]]
    types = {"cost_usd": "object" if exact else "float64", "uptime_pct": "float64", "covered_share": "float64"}
    counts = ("ordinal", "endpoint_id", "samples", "status", "context_length")
    return DataFrame(
        {
            name: Series(values, dtype=types.get(name, "Int64" if name in counts else text_dtype(name)))
            for name, values in columns.items()
        }
    )
