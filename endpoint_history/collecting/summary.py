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

from endpoint_history.store.dimensions import of_collect
from endpoint_history.store.rows import PRICES
from models.listing import PRICE_KEYS, Absent, PriceSet
from models.observation import Outcome, Target
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

ListingChange = Literal["new", "returned", "gone", "terms changed"]
_KEY = ("route", "variant", "ordinal")


@dataclass(frozen=True, slots=True)
class EndpointName:
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

    endpoint: EndpointName
    key: str
    before: Decimal | None
    after: Decimal | None


@dataclass(frozen=True, slots=True)
class TargetOutcome:
    """What one look of a run proved. `trouble` says why it failed, or which endpoints could not be read."""

    target: Target
    outcome: Outcome
    trouble: str | None


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What one run brought. `failed` names each target that proved nothing, with the reason.

    `never_seen` names those that are gone and have never shown a model. `unread` names targets with endpoints that
    could not be read. `same_model` names targets that were not counted because another path showed the same model.
    `new_models` are models seen for the first time: their endpoints are no news. `drift` holds what no earlier run had
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
    new_models: int
    listing_changes: Sequence[tuple[ListingChange, EndpointName]]
    drift: Sequence[tuple[str, str]]

    @property
    def changed(self) -> bool:
        """Whether anything is news."""
        return bool(self.price_moves or self.listing_changes or self.drift)


def summarize_run(connection: Connection, run_name: str, seen: Iterable[TargetOutcome]) -> RunSummary:
    """Gather what the run of this name brought, with its shards where it has any.

    `seen` is all that it saw and that is stored, also by another run.
    """
    run_ids = connection.execute(select(runs.c.id).where(of_collect(run_name))).scalars().all()
    looks = sorted(seen, key=lambda look: look.target)
    moves, repriced, new_prices = _prices(connection, run_ids)
    new_models, changes = _listing_changes(connection, run_ids)
    return RunSummary(
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
        new_models=new_models,
        listing_changes=changes,
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


def _listing_changes(
    connection: Connection, run_ids: Sequence[int]
) -> tuple[int, list[tuple[ListingChange, EndpointName]]]:
    """How many models are seen for the first time, and which endpoints came, left, returned or changed terms."""
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
    """The change rows that a run's observations made, each with the row it ended and the endpoint it is about."""
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
