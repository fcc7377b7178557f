"""The view of a model's lowest price: when it moved, from which offer to which, and why.

Offers are compared by their blended price. i is a moment at which the lowest price may have moved. Before it, endpoint
a was the cheapest, with the prices ap; from then on endpoint z, with the prices zp.
"""

from __future__ import annotations

import sqlalchemy as sa

from models.types import Id, UtcTime
from models.views.definition import MODEL, OBSERVED_AT, Columns, View, double, per_mtok, select
from models.views.dialects import Dialect
from models.views.periods import PRICES, join_previous, latest


def model_price_changes(dialect: Dialect) -> View:
    """Return the moves of the lowest price."""
    before, after = _blended(dialect, "ap"), _blended(dialect, "zp")
    columns: Columns = [
        select("model", "i.model", sa.Text, MODEL),
        select(
            "variant",
            "i.variant",
            sa.Text,
            "The endpoints' own model id. Variants such as :batch are compared only among themselves.",
        ),
        select("model_id", "i.model_id", Id, "The model (models.id)."),
        select("observed_at", "i.observed_at", UtcTime, OBSERVED_AT),
        *_offer(dialect, "before", "a", "ap"),
        *_offer(dialect, "after", "z", "zp"),
        select(
            "ratio",
            f"{double(after)} / {double(before)}",
            sa.Double,
            "after / before of the blended price; null if either is null.",
        ),
        select(
            "reason",
            _reason(dialect, before, after),
            sa.Text,
            "first, repriced, scheduled, cheapest left, cheaper came or came back.",
        ),
    ]
    last, newest = (
        latest("n.observed_at", f"i.{x}_id", f"{sign} i.observed_at") for x, sign in (("before", "<"), ("after", "<="))
    )
    source = f"""({_moments(dialect)}) i
LEFT JOIN pricing_snapshots ap ON ap.endpoint_id = i.before_id AND ap.observed_at = {last} AND {before} IS NOT NULL
LEFT JOIN pricing_snapshots zp ON zp.endpoint_id = i.after_id AND zp.observed_at = {newest} AND {after} IS NOT NULL
LEFT JOIN endpoints a ON a.id = ap.endpoint_id
LEFT JOIN endpoints z ON z.id = zp.endpoint_id
WHERE {before} {dialect.differs} {after}"""
    comment = "One row per move of a model's lowest price, and why it moved. Free and varying prices do not count."
    return View("model_price_changes", comment, columns, (source,))


def _offer(dialect: Dialect, when: str, endpoint: str, prices: str) -> Columns:
    text = {"before": "before", "after": "from now on"}[when]
    return [
        select(
            f"{when}_endpoint_id", f"{endpoint}.id", Id, f"The cheapest endpoint {text} (endpoints.id); null if none."
        ),
        select(f"{when}_provider", f"{endpoint}.provider_name", sa.Text, "Its provider."),
        select(f"{when}_route", f"{endpoint}.route", sa.Text, "Its tag."),
        *(
            select(
                f"{when}_{key}_usd_per_mtok",
                per_mtok(f"{prices}.{key}_usd"),
                sa.Double,
                f"USD per million {key} tokens.",
            )
            for key in ("prompt", "completion")
        ),
        select(
            f"{when}_blended_usd_per_mtok",
            f"{double(_blended(dialect, prices))} / 1e9",
            sa.Double,
            "Blended price, (3 * prompt + completion) / 4. The cheapest offer has the lowest.",
        ),
    ]


def _blended(dialect: Dialect, row: str) -> str:
    """Return the blended price in 1e-9 USD per million tokens; null if free, varying or not listed."""
    return f"NULLIF({dialect.blended.format(row)}, 0)"


def _moments(dialect: Dialect) -> str:
    """Return when the lowest price may have moved, and the cheapest endpoint before and from then on.

    A row p cannot have moved it if another endpoint was and is at least as cheap as both p and the previous row r.
    """
    old, new = _blended(dialect, "r"), _blended(dialect, "p")
    lower = f"CASE WHEN {old} <= {new} OR {new} IS NULL THEN {old} ELSE {new} END"
    was, is_ = (latest(_blended(dialect, "n"), "x.id", f"{sign} p.observed_at") for sign in ("<", "<="))
    offers = "FROM endpoints x WHERE x.model_id = e.model_id AND x.variant = e.variant"
    cheapest = f"ORDER BY y.price NULLS LAST, y.route{dialect.by_bytes}, y.ordinal LIMIT 1"
    return f"""SELECT DISTINCT m.openrouter_id AS model, e.variant, e.model_id, p.observed_at,
        (SELECT y.id FROM (SELECT x.id, x.route, x.ordinal, {was} AS price {offers}) y {cheapest}) AS before_id,
        (SELECT y.id FROM (SELECT x.id, x.route, x.ordinal, {is_} AS price {offers}) y {cheapest}) AS after_id
    FROM {PRICES}
    {join_previous("pricing_snapshots")}
    WHERE {old} {dialect.differs} {new}
        AND (SELECT x.id {offers} AND {was} <= {lower} AND {is_} <= {lower} LIMIT 1) IS NULL"""


def _reason(dialect: Dialect, before: str, after: str) -> str:
    fell = f"{before} IS NULL OR {after} < {before}"
    of_riser = "CASE WHEN n.listed THEN 'repriced' ELSE 'cheapest left' END"
    of_faller = "CASE WHEN n.listed THEN 'repriced' ELSE 'came back' END"
    return f"""CASE
        WHEN ap.endpoint_id IS NULL AND NOT EXISTS (
            SELECT 1 FROM endpoints x JOIN pricing_snapshots n ON n.endpoint_id = x.id
            WHERE x.model_id = i.model_id AND x.variant = i.variant AND n.observed_at < i.observed_at
                AND {_blended(dialect, "n")} IS NOT NULL) THEN 'first'
        WHEN COALESCE(zp.overrides, ap.overrides) IS NOT NULL AND EXISTS (
            SELECT 1 FROM price_changes c
            WHERE c.endpoint_id = CASE WHEN {fell} THEN zp.endpoint_id ELSE ap.endpoint_id END
                AND c.observed_at = i.observed_at AND c.price_key IN ('prompt', 'completion')
                AND c.kind = 'scheduled') THEN 'scheduled'
        WHEN {fell} THEN COALESCE({latest(of_faller, "zp.endpoint_id", "< i.observed_at")}, 'cheaper came')
        ELSE {latest(of_riser, "ap.endpoint_id", "= i.observed_at")} END"""
