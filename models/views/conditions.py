"""The view of conditional prices, and the windows of time in which they apply.

A row of `pricing_snapshots` lists conditional prices in `overrides`; an entry of the list is w. The price key at hand
is k.name.
"""

from __future__ import annotations

import sqlalchemy as sa

from models.listing import PRICE_KEYS
from models.types import ExactDecimal, Json, UtcTime
from models.views.definition import Columns, View, endpoint_names, per_mtok, rows_of, select
from models.views.dialects import Dialect
from models.views.periods import PRICES, next_time


def conditional_prices(dialect: Dialect) -> View:
    """Return the conditional prices, one by one."""
    tokens, days = "'min_prompt_tokens'", "'utc_days'"
    min_tokens = f"CASE WHEN {dialect.is_count.format(tokens)} THEN CAST({dialect.field.format(tokens)} AS BIGINT) END"
    utc_days = f"CASE WHEN {dialect.field.format(days)} IS NOT NULL THEN {dialect.json_field.format(days)} END"
    given = dialect.field.format("k.name")
    price = entry_price(dialect)
    columns: Columns = [
        *endpoint_names(),
        select("valid_from", "p.observed_at", UtcTime, "When it is first published (UTC)."),
        select(
            "valid_to", next_time("pricing_snapshots"), UtcTime, "End of that, exclusive (UTC); null: still published."
        ),
        select(
            "position",
            dialect.entry_position,
            sa.BigInteger,
            "Position of its entry in the list, from 1; if several apply, the last one takes precedence.",
        ),
        select("min_prompt_tokens", min_tokens, sa.BigInteger, "Applies to prompts longer than this; null: any."),
        *_times_of_day(dialect),
        select("utc_days", utc_days, Json, "Weekdays (UTC) on which it applies, such as monday; null: all."),
        select("price_key", "k.name", sa.Text, "Which price, such as prompt."),
        select(
            "price_usd", price, ExactDecimal, "Exact USD per unit while all conditions hold; null if the price varies."
        ),
        select("usd_per_mtok", per_mtok(price), sa.Double, "price_usd per million."),
    ]
    keys = rows_of(f"'{key}' AS name" for key in PRICE_KEYS)
    entries = dialect.entries.format("p.overrides")
    source = f"{PRICES}\nCROSS JOIN {entries}\nCROSS JOIN ({keys}) k\nWHERE {given} IS NOT NULL"
    comment = "One row per price in an entry of published overrides. A price that the entry omits stays as it is."
    return View("conditional_prices", comment, columns, (source,))


def _times_of_day(dialect: Dialect) -> Columns:
    comments = {
        "utc_start": "Applies from this time of day (UTC, HHMM); null: midnight.",
        "utc_end": "Applies until then, exclusive; if before utc_start, on the next day.",
    }
    return [select(name, _time_of_day(dialect, name), sa.Text, comment) for name, comment in comments.items()]


def entry_price(dialect: Dialect) -> str:
    """Return the price that the entry w gives for the key at hand; null if none, or if it varies."""
    return dialect.price.format(dialect.field.format("k.name"))


def windows(dialect: Dialect) -> str:
    """Return FROM and WHERE of the entries w of p that change the price at hand by time alone."""
    tokens, from_, until, on = (
        dialect.field.format(f"'{name}'") for name in ("min_prompt_tokens", "utc_start", "utc_end", "utc_days")
    )
    return f"""FROM {dialect.entries.format("p.overrides")}
            WHERE {dialect.field.format("k.name")} IS NOT NULL AND {tokens} IS NULL
                AND COALESCE({from_}, {until}, {on}) IS NOT NULL"""


def is_open(dialect: Dialect) -> str:
    """Return whether the window of the entry w is open at p.observed_at."""
    start, end = (
        f"COALESCE({_time_of_day(dialect, name)}, '{default}')"
        for name, default in (("utc_start", "0000"), ("utc_end", "2400"))
    )
    now = dialect.hhmm.format("p.observed_at")
    days = f"""lower(CAST({dialect.json_field.format("'utc_days'")} AS TEXT))"""
    without_today = f"""replace({days}, '"' || {dialect.weekday.format("p.observed_at")}, '')"""
    return f"""({dialect.field.format("'utc_days'")} IS NULL OR {without_today} <> {days})
                AND CASE WHEN {start} <= {end} THEN {now} >= {start} AND {now} < {end}
                    ELSE {now} >= {start} OR {now} < {end} END"""


def _time_of_day(dialect: Dialect, name: str) -> str:
    """Return a time of the entry w as four digits; OpenRouter gives the number HHMM, such as 30 for 0030."""
    value = dialect.field.format(f"'{name}'")
    return f"substr('0000' || {value}, length({value}) + 1)"
