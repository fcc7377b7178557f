"""The view of price changes.

p is the new row, r the endpoint's previous row, and b its latest earlier row that is listed. k is the price at hand: n
its number, name its key.
"""

from __future__ import annotations

import sqlalchemy as sa

from models.listing import PRICE_KEYS
from models.types import ExactDecimal, Json, UtcTime
from models.views.conditions import entry_price, is_open, windows
from models.views.definition import OBSERVED_AT, Columns, View, double, endpoint_names, rows_of, select
from models.views.dialects import Dialect
from models.views.periods import PRICES, join_before, latest, next_time

_NUMBERS = (*(f"{key}_usd" for key in PRICE_KEYS), "discount")
_KEYS = (*PRICE_KEYS, "discount", "varies", "overrides", "other_prices")


def price_changes(dialect: Dialect) -> View:
    """Return the changes of each price, and of what kind each is."""
    before, after = _number("b"), _number("p")
    ratio = f"CASE WHEN k.n <= {len(PRICE_KEYS)} THEN {double(after)} / NULLIF({double(before)}, 0) END"
    columns: Columns = [
        *endpoint_names(),
        select("observed_at", "p.observed_at", UtcTime, OBSERVED_AT),
        select(
            "price_key",
            "k.name",
            sa.Text,
            "Which price, by OpenRouter's name, or discount, varies, overrides, other_prices.",
        ),
        select(
            "before",
            before,
            ExactDecimal,
            "Exact USD per unit, or the discount, when the endpoint was last listed; null if none or varying.",
        ),
        select("after", after, ExactDecimal, "The same from now on."),
        select("ratio", ratio, sa.Double, "after / before of a price; null if before is null or 0."),
        select(
            "before_json",
            _json("b"),
            Json,
            "varies, overrides or other_prices when the endpoint was last listed; null if none.",
        ),
        select("after_json", _json("p"), Json, "The same from now on."),
        select(
            "kind",
            _kind(dialect),
            sa.Text,
            "The first that applies: first, listed again, scheduled, reverted, repriced.",
        ),
    ]
    keys = rows_of(f"{n} AS n, '{name}' AS name" for n, name in enumerate(_KEYS, 1))
    changed = f"{after} {dialect.differs} {before} OR {_json('p')} {dialect.differs} {_json('b')}"
    source = f"{PRICES}\n{join_before('pricing_snapshots')}\nCROSS JOIN ({keys}) k\nWHERE p.listed AND ({changed})"
    comment = "One row per price of an endpoint that differs from when the endpoint was last listed."
    return View("price_changes", comment, columns, (source,))


def _number(row: str) -> str:
    """Return the price at hand, or the discount."""
    return f"CASE k.n {' '.join(f'WHEN {n} THEN {row}.{column}' for n, column in enumerate(_NUMBERS, 1))} END"


def _json(row: str) -> str:
    """Return the value at hand if it is not a number."""
    n = len(_NUMBERS) + 1
    return (
        f"CASE WHEN k.n = {n} AND {row}.varies THEN 'true'"
        f" WHEN k.n = {n + 1} THEN {row}.overrides WHEN k.n = {n + 2} THEN {row}.other_prices END"
    )


def _kind(dialect: Dialect) -> str:
    # Never null, so that a false condition ends the evaluation of the others.
    same_overrides = "COALESCE(p.overrides = b.overrides, false)"
    return f"""CASE
        WHEN b.endpoint_id IS NULL THEN 'first'
        WHEN NOT r.listed THEN 'listed again'
        WHEN k.n <= {len(PRICE_KEYS)} AND {same_overrides} AND {_is_scheduled(dialect)} THEN 'scheduled'
        WHEN k.n <= {len(_NUMBERS)} AND {_is_reverted(dialect)} THEN 'reverted'
        ELSE 'repriced' END"""


def _is_scheduled(dialect: Dialect) -> str:
    """Return whether p has the price of the window that is open, or is back at the plain price while none is.

    The plain price is that of the latest earlier row with the same overrides whose price is in none of the windows:
    b, if b was not in a window. Without such a row, no change of the plain price is known.
    """
    price = entry_price(dialect)
    all_windows = windows(dialect)
    after, older = (f"COALESCE({_number(row)}, '0')" for row in ("p", "n"))
    is_plain = f"n.overrides = p.overrides AND {older} NOT IN (SELECT {price} {all_windows})"
    plain = latest(older, "p.endpoint_id", f"< p.observed_at AND {is_plain}")
    open_price = f"SELECT {price} {all_windows} AND {is_open(dialect)} ORDER BY {dialect.entry_position} DESC LIMIT 1"
    return f"""CASE COALESCE(({open_price}), '-1')
            WHEN {after} THEN 1
            WHEN '-1' THEN CASE WHEN COALESCE({plain}, {after}) = {after} THEN 1 END
            END = 1"""


def _is_reverted(dialect: Dialect) -> str:
    """Return whether p is back at the price from before its last change, a week ago at most.

    q is the latest row with another price than b, or not listed. The row after q is that change.
    """
    other = f"< p.observed_at AND (NOT n.listed OR {_number('n')} {dialect.differs} {_number('b')})"
    return f"""p.observed_at <= {dialect.add_week.format("b.observed_at")} AND EXISTS (
            SELECT 1 FROM pricing_snapshots q
            WHERE q.endpoint_id = p.endpoint_id AND q.observed_at = {latest("n.observed_at", "p.endpoint_id", other)}
                AND q.listed AND NOT {_number("q")} {dialect.differs} {_number("p")}
                AND p.observed_at <= {dialect.add_week.format(next_time("pricing_snapshots", "q"))})"""
