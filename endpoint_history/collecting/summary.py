"""What a run brought, asked of the database once it is stored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Literal

import sqlalchemy as sa
from sqlalchemy import Connection, select

from endpoint_history.store.dimensions import of_walk
from endpoint_history.store.rows import PRICES
from models.listing import PRICE_KEYS, Absent, PriceSet
from models.observation import Outcome as LookOutcome
from models.observation import Target
from models.tables import (
    drift,
    endpoints,
    listing_changes,
    models,
    observations,
    pricing_snapshots,
    runs,
    targets,
    uptime_samples,
)

Arrival = Literal["new", "returned", "gone", "terms changed"]
_KEY = ("route", "variant", "ordinal")


@dataclass(frozen=True, slots=True)
class Offer:
    """One endpoint by the names people know it by."""

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

    offer: Offer
    key: str
    before: Decimal | None
    after: Decimal | None


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look of a run proved. `trouble` says why it failed, or which endpoints could not be read."""

    target: Target
    outcome: LookOutcome
    trouble: str | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run brought. `failed` names each target that proved nothing, with the reason.

    `never_seen` names those that are gone and have never shown a model. `unread` names targets with endpoints that
    could not be read. `same_model` names targets that were not counted because another path showed the same model.
    `first_looks` are models seen for the first time: their endpoints are no news. `drift` holds what no earlier run had
    seen.
    """

    run: str
    ok: int
    gone: int
    failed: Sequence[tuple[str, str]]
    never_seen: Sequence[str]
    unread: Sequence[tuple[str, str]]
    same_model: Sequence[tuple[str, str]]
    endpoints: int
    new_prices: int
    price_moves: Sequence[PriceMove]
    repriced: int
    first_looks: int
    arrivals: Sequence[tuple[Arrival, Offer]]
    drift: Sequence[tuple[str, str]]

    @property
    def changed(self) -> bool:
        """Whether anything is news."""
        return bool(self.price_moves or self.arrivals or self.drift)


def outcome_of(connection: Connection, run_name: str, seen: Iterable[Seen]) -> Outcome:
    """Gather what the run of this name brought, with its shards where it has any.

    `seen` is all that it saw and that is stored, also by another run.
    """
    run_ids = connection.execute(select(runs.c.id).where(of_walk(run_name))).scalars().all()
    looks = sorted(seen, key=lambda look: look.target)
    moves, repriced, new_prices = _prices(connection, run_ids)
    first, arrivals = _arrivals(connection, run_ids)
    return Outcome(
        run=run_name,
        ok=sum(look.outcome == "ok" for look in looks),
        gone=sum(look.outcome == "gone" for look in looks),
        failed=[(str(look.target), look.trouble or "") for look in looks if look.outcome == "failed"],
        never_seen=_never_seen(connection, run_ids),
        unread=[(str(look.target), look.trouble) for look in looks if look.outcome == "ok" and look.trouble],
        same_model=_same_model(connection, run_ids),
        endpoints=_count_endpoints(connection, run_ids),
        new_prices=new_prices,
        price_moves=moves,
        repriced=repriced,
        first_looks=first,
        arrivals=arrivals,
        drift=_drift(connection, run_ids),
    )


def _never_seen(connection: Connection, run_ids: Sequence[int]) -> list[str]:
    o = observations
    query = select(targets.c.author, targets.c.slug).select_from(o.join(targets)).distinct()
    nothing = query.where(o.c.run_id.in_(run_ids), o.c.outcome == "gone", o.c.model_id.is_(None))
    return [f"{author}/{slug}" for author, slug in connection.execute(nothing.order_by(*query.selected_columns))]


def _same_model(connection: Connection, run_ids: Sequence[int]) -> list[tuple[str, str]]:
    o = observations
    query = (
        select(targets.c.author, targets.c.slug, models.c.openrouter_id)
        .select_from(o.join(targets).join(models))
        .where(o.c.run_id.in_(run_ids), o.c.outcome == "ok", ~o.c.is_evidence)
        .order_by(targets.c.author, targets.c.slug)
    )
    found = {(f"{author}/{slug}", model) for author, slug, model in connection.execute(query)}
    return sorted((target, model) for target, model in found if target != model)


def _prices(connection: Connection, run_ids: Sequence[int]) -> tuple[list[PriceMove], int, int]:
    """The prices that changed, of how many endpoints, and how many price sets were not there before."""
    moves: list[PriceMove] = []
    repriced = new = 0
    for row, before, offer in _rows_with_before(connection, run_ids, pricing_snapshots):
        after_set, before_set = PRICES.from_row(row), PRICES.from_row(before) if before else None
        if isinstance(after_set, Absent):
            continue
        if not isinstance(before_set, PriceSet):
            new += 1
            continue
        repriced += 1
        moves += _moves(offer, before_set, after_set)
    return moves, repriced, new


def _moves(offer: Offer, before: PriceSet, after: PriceSet) -> list[PriceMove]:
    moves = [
        PriceMove(offer, key, old, now)
        for key in (*PRICE_KEYS, "discount")
        if (old := getattr(before, key)) != (now := getattr(after, key))
    ]
    return moves or [PriceMove(offer, "conditions", None, None)]


def _arrivals(connection: Connection, run_ids: Sequence[int]) -> tuple[int, list[tuple[Arrival, Offer]]]:
    """How many models are seen for the first time, and which endpoints came, left, returned or changed terms."""
    arrivals: list[tuple[Arrival, Offer]] = []
    first_looks: set[str] = set()
    for row, before, offer in _rows_with_before(connection, run_ids, listing_changes):
        if before is None and row["model_first_seen_at"] >= row["started_at"]:
            first_looks.add(offer.model)
        elif before is None:
            arrivals.append(("new", offer))
        elif not row["listed"]:
            arrivals.append(("gone", offer))
        else:
            arrivals.append(("terms changed" if before["listed"] else "returned", offer))
    return len(first_looks), arrivals


def _rows_with_before(
    connection: Connection, run_ids: Sequence[int], table: sa.Table
) -> Iterator[tuple[sa.RowMapping, sa.RowMapping | None, Offer]]:
    """The change rows that a run's observations made, each with the row it ended and the offer it is about."""
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
        offer = Offer(row["openrouter_id"], row["provider"], *(row[name] for name in _KEY))
        yield row, before.get((row["endpoint_id"], row["observed_at"])), offer


def _before(
    connection: Connection, run_ids: Sequence[int], table: sa.Table
) -> dict[tuple[int, datetime], sa.RowMapping]:
    """The rows in force just before those that a run's observations made, by endpoint id and instant of the latter."""
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


def _count_endpoints(connection: Connection, run_ids: Sequence[int]) -> int:
    o = observations
    of_run = o.c.is_evidence & (o.c.run_id.in_(run_ids))
    looks = {(row.model_id, row.observed_at) for row in connection.execute(select(o).where(of_run))}
    times = [at for _, at in looks]
    if not times:
        return 0
    samples = (
        select(endpoints.c.model_id, uptime_samples.c.observed_at)
        .select_from(endpoints.join(uptime_samples))
        .where(endpoints.c.model_id.in_(select(o.c.model_id).where(of_run)))
        .where(uptime_samples.c.observed_at.between(min(times), max(times)))
    )
    return sum(tuple(sample) in looks for sample in connection.execute(samples))


def _drift(connection: Connection, run_ids: Sequence[int]) -> list[tuple[str, str]]:
    """What was first seen by a look of this run."""
    started = select(sa.func.min(runs.c.started_at)).where(runs.c.id.in_(run_ids)).scalar_subquery()
    query = select(drift.c.path, drift.c.value).where(drift.c.first_seen_at >= started).order_by(*drift.primary_key)
    return [(path, value) for path, value in connection.execute(query)]


def count_conflicts(connection: Connection, run_name: str) -> int:
    """How many looks of a run disagree with another of the same target in the same second."""
    return int(connection.execute(_conflicts(), {"run": run_name}).scalar_one())


@cache
def _conflicts() -> sa.Select[int]:
    """Made once: a replay asks for each of thousands of bundles, and making it takes longer than the answer."""
    o, other = observations, observations.alias()
    disagrees = sa.exists().where(
        other.c.target_id == o.c.target_id,
        other.c.observed_at == o.c.observed_at,
        other.c.id != o.c.id,
        other.c.outcome != "failed",
    )
    of_run = (runs.c.name == sa.bindparam("run")) & (o.c.outcome != "failed")
    return select(sa.func.count()).select_from(o.join(runs)).where(of_run, disagrees)
