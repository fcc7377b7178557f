"""The views of prices: current ones, and the period of each."""

from __future__ import annotations

import sqlalchemy as sa

from models.tables.history import QUANTIZATION, prices, terms
from models.tables.samples import STATUS, uptimes
from models.types import UtcTime
from models.views.definition import (
    ENDPOINTS,
    Columns,
    View,
    double,
    endpoint_names,
    per_mtok,
    select,
    select_all,
)
from models.views.dialects import Dialect
from models.views.periods import PRICES, confirmed_at, period

_PER_MTOK = ("prompt", "completion", "input_cache_read", "input_cache_write")
_CONDITIONAL = "True if other prices apply to long prompts or at certain times."
_OVERRIDES = "Conditional prices as published; the view conditional_prices has one row for each."


def current_prices(dialect: Dialect) -> View:
    """Return the prices of every listed endpoint."""
    confirmed = confirmed_at(dialect)
    context_length, max_completion_tokens = (
        next(term for term in terms() if term.name == name) for name in ("context_length", "max_completion_tokens")
    )
    columns: Columns = [
        *endpoint_names(),
        select("valid_from", "p.observed_at", UtcTime, "First observation that shows these prices (UTC)."),
        select("observed_at", confirmed, UtcTime, "Last observation that confirms them (UTC)."),
        select(
            "evidence_age_seconds",
            dialect.seconds_since.format(confirmed),
            sa.BigInteger,
            "Seconds since then, by the database's clock.",
        ),
        *_price_columns(),
        select("quantization", "e.quantization", sa.Text, QUANTIZATION),
        *select_all("e", [context_length, max_completion_tokens]),
        select("status", "s.status", sa.SmallInteger, f"Status in the latest sample: {STATUS}"),
        *select_all("s", uptimes()),
    ]
    source = f"""{ENDPOINTS}
JOIN pricing_snapshots p ON p.endpoint_id = e.id
    AND p.observed_at = (SELECT max(observed_at) FROM pricing_snapshots WHERE endpoint_id = e.id)
LEFT JOIN uptime_samples s ON s.endpoint_id = e.id
    AND s.observed_at = (SELECT max(observed_at) FROM uptime_samples WHERE endpoint_id = e.id)
WHERE p.listed"""
    return View(
        "current_prices",
        "One row per endpoint that is listed now, according to the latest evidence of its model.",
        columns,
        (source,),
    )


def price_intervals(dialect: Dialect) -> View:
    """Return the periods of constant prices."""
    columns = [*endpoint_names(), *period(dialect, "pricing_snapshots"), *_price_columns()]
    comment = "One row per period in which an endpoint was listed with the same prices."
    return View("price_intervals", comment, columns, (f"{PRICES}\nWHERE p.listed",))


def _price_columns() -> Columns:
    share = f"NULLIF(1 - COALESCE({double('p.discount')}, 0), 0)"
    before = "The same before the discount; null if the discount is 100 percent."
    mtok = {key: per_mtok(f"p.{key}_usd") for key in _PER_MTOK}
    exact = select_all("p", prices())
    at = next(place for place, item in enumerate(exact) if item.column.name == "overrides")
    return [
        *(select(f"{key}_usd_per_mtok", sql, sa.Double, f"{key}_usd per million.") for key, sql in mtok.items()),
        *(
            select(f"{key}_list_usd_per_mtok", f"{mtok[key]} / {share}", sa.Double, before)
            for key in ("prompt", "completion")
        ),
        *exact[:at],
        select("has_conditional_prices", "p.overrides IS NOT NULL", sa.Boolean, _CONDITIONAL),
        select("overrides", "p.overrides", exact[at].column.type, _OVERRIDES),
        *exact[at + 1 :],
    ]
