"""Which prices and listings changed in a run: change rows of its observations, compared with the rows before them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

import sqlalchemy as sa
from sqlalchemy import Connection, select

from endpoint_history.store.rows import PRICES
from models.listing import PRICE_KEYS, Absent, PriceSet
from models.tables import endpoints, listing_changes, models, observations, pricing_snapshots, runs

ListingChange = Literal["new", "returned", "gone", "terms changed"]
_KEY = ("route", "variant", "ordinal")


@dataclass(frozen=True, slots=True)
class EndpointName:
    """An endpoint by the names that people use."""

    model: str
    provider: str
    route: str
    variant: str = ""
    ordinal: int = 0


@dataclass(frozen=True, slots=True)
class PriceMove:
    """One price of one endpoint that changed, in USD per unit; None: not charged, or it varies.

    `key` is upstream's name of the price, `discount`, or `conditions` where only conditional or unknown prices changed.
    """

    endpoint: EndpointName
    key: str
    before: Decimal | None
    after: Decimal | None


def price_moves(connection: Connection, run_ids: Sequence[int]) -> tuple[list[PriceMove], int, int]:
    """Return the prices that changed, how many endpoints they belong to, and how many price sets are new."""
    moves: list[PriceMove] = []
    repriced = new = 0
    for row, before, endpoint in _rows_with_before(connection, run_ids, pricing_snapshots):
        after_set, before_set = PRICES.from_row(row), PRICES.from_row(before) if before else None
        if isinstance(after_set, Absent):
            continue
        if not isinstance(before_set, PriceSet):
            new += 1
            continue
        repriced += 1
        moves += _moves(endpoint, before_set, after_set)
    return moves, repriced, new


def _moves(endpoint: EndpointName, before: PriceSet, after: PriceSet) -> list[PriceMove]:
    moves = [
        PriceMove(endpoint, key, old, now)
        for key in (*PRICE_KEYS, "discount")
        if (old := getattr(before, key)) != (now := getattr(after, key))
    ]
    return moves or [PriceMove(endpoint, "conditions", None, None)]


def changes_of_listings(
    connection: Connection, run_ids: Sequence[int]
) -> tuple[int, list[tuple[ListingChange, EndpointName]]]:
    """Return how many models are new, and which endpoints were added, left, returned or changed their terms."""
    changes: list[tuple[ListingChange, EndpointName]] = []
    new_models: set[str] = set()
    for row, before, endpoint in _rows_with_before(connection, run_ids, listing_changes):
        if before is None and row["model_first_seen_at"] >= row["started_at"]:
            new_models.add(endpoint.model)
        elif before is None:
            changes.append(("new", endpoint))
        elif not row["listed"]:
            changes.append(("gone", endpoint))
        else:
            changes.append(("terms changed" if before["listed"] else "returned", endpoint))
    return len(new_models), changes


def _rows_with_before(
    connection: Connection, run_ids: Sequence[int], table: sa.Table
) -> Iterator[tuple[sa.RowMapping, sa.RowMapping | None, EndpointName]]:
    """Yield the change rows of the runs' observations, each with the row before it and its endpoint."""
    query = (
        select(table, models.c.openrouter_id, models.c.first_seen_at.label("model_first_seen_at"), runs.c.started_at)
        .add_columns(endpoints.c.provider_name.label("provider"), *(endpoints.c[name] for name in _KEY))
        .select_from(table.join(observations).join(endpoints, endpoints.c.id == table.c.endpoint_id))
        .join(models, models.c.id == endpoints.c.model_id)
        .join(runs, runs.c.id == observations.c.run_id)
        .where(observations.c.run_id.in_(run_ids))
        .order_by(models.c.openrouter_id, endpoints.c.route, endpoints.c.ordinal, table.c.observed_at)
    )
    before = _before(connection, run_ids, table)
    for row in connection.execute(query).mappings():
        endpoint = EndpointName(row["openrouter_id"], row["provider"], *(row[name] for name in _KEY))
        yield row, before.get((row["endpoint_id"], row["observed_at"])), endpoint


def _before(
    connection: Connection, run_ids: Sequence[int], table: sa.Table
) -> dict[tuple[int, datetime], sa.RowMapping]:
    """Return the row just before each change row of the runs, by the endpoint id and time of the change row."""
    made, earlier = table.alias(), table.alias()
    last = (
        select(earlier.c.observed_at)
        .where(earlier.c.endpoint_id == made.c.endpoint_id, earlier.c.observed_at < made.c.observed_at)
        .order_by(earlier.c.observed_at.desc())
        .limit(1)
        .scalar_subquery()
    )
    steps = (
        select(made.c.endpoint_id, made.c.observed_at.label("ended_at"), last.label("began_at"))
        .select_from(made.join(observations))
        .where(observations.c.run_id.in_(run_ids))
        .subquery()
    )
    same_row = (table.c.endpoint_id == steps.c.endpoint_id) & (table.c.observed_at == steps.c.began_at)
    query = select(table, steps.c.ended_at).join(steps, same_row)
    return {(row["endpoint_id"], row["ended_at"]): row for row in connection.execute(query).mappings()}
