"""Summarize a stored run: what it found, and what changed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import sqlalchemy as sa
from sqlalchemy import Connection, select

from endpoint_history.collecting.changes import EndpointName, ListingChange, PriceMove, changes_of_listings, price_moves
from endpoint_history.store.dimensions import of_collect
from models.observation import Outcome, Target
from models.tables import (
    drift,
    endpoints,
    models,
    observations,
    runs,
    targets,
    uptime_samples,
)


@dataclass(frozen=True, slots=True)
class TargetOutcome:
    """The outcome of one observation. `trouble` says why it failed, or which endpoints could not be read."""

    target: Target
    outcome: Outcome
    trouble: str | None


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What one run found. `failed` names each target whose observation failed, with the reason.

    `never_seen` names those that are gone and have never shown a model. `unread` names targets with endpoints that
    could not be read. `same_model` names targets that were not counted because another path showed the same model.
    `new_models` counts models seen for the first time; their endpoints are not listing changes. `drift` holds
    what no earlier run had seen.
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
        """True if a price, a listing or the shape of the API changed."""
        return bool(self.price_moves or self.listing_changes or self.drift)


def summarize_run(connection: Connection, run_name: str, seen: Iterable[TargetOutcome]) -> RunSummary:
    """Summarize the run of this name, together with its shards if it has any.

    `seen` holds the outcomes of all its stored observations, including those that another run stored first.
    """
    run_ids = connection.execute(select(runs.c.id).where(of_collect(run_name))).scalars().all()
    looks = sorted(seen, key=lambda look: look.target)
    moves, repriced, new_prices = price_moves(connection, run_ids)
    new_models, changes = changes_of_listings(connection, run_ids)
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
    """Return the drift that an observation of these runs showed first."""
    started = select(sa.func.min(runs.c.started_at)).where(runs.c.id.in_(run_ids)).scalar_subquery()
    query = select(drift.c.path, drift.c.value).where(drift.c.first_seen_at >= started).order_by(*drift.primary_key)
    return [(path, value) for path, value in connection.execute(query)]


def count_conflicts(connection: Connection, run_name: str) -> int:
    """Count the observations of a run that contradict another of the same target and second."""
    return int(connection.execute(_conflicts(), {"run": run_name}).scalar_one())


@cache
def _conflicts() -> sa.Select[int]:
    """Build the query once: a replay runs it for thousands of bundles, and building takes longer than running it."""
    o, other = observations, observations.alias()
    disagrees = sa.exists().where(
        other.c.target_id == o.c.target_id,
        other.c.observed_at == o.c.observed_at,
        other.c.id != o.c.id,
        other.c.outcome != "failed",
    )
    of_run = (runs.c.name == sa.bindparam("run")) & (o.c.outcome != "failed")
    return select(sa.func.count()).select_from(o.join(runs)).where(of_run, disagrees)
