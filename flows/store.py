"""The one writer: live collection, replay and backfill all end here.

Feed the same observations in any order, in any batches, twice: the tables come out the same.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, select

from flows.catalogue import add_drift, add_paths, endpoint_ids, known_targets, model_ids, run_ids, target_ids
from flows.looks import (
    Flip,
    Look,
    attribute,
    insert_new,
    known_looks,
    load_around,
    load_looks,
    observation_row,
    orphaned_gones,
    prove_by,
    settle,
)
from flows.rows import LISTINGS, PRICES
from flows.stale import forget, mark, mark_looks
from flows.timeline import Evidence, Stretch, load_seen, load_stretches, rewrite
from models.listing import EndpointListing, Reading
from models.observation import Observation
from models.tables import endpoints, performance_samples, uptime_samples

Read = tuple[Observation, Reading]
# Changes further apart than this are applied one after the other, so that what lies between is not loaded.
_APART = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Stored:
    """How many observations of a batch were new, how many known already, and how many change rows they moved."""

    new: int
    known: int
    changed: int = field(default=0, compare=False)


Listed = dict[int, dict[int, EndpointListing]]  # by observation id: what it lists, by endpoint id
Touch = tuple[datetime, int]  # when the evidence of which model (by id) may have changed


def store(connection: Connection, batch: Sequence[Read]) -> Stored:
    """Store a batch of observations inside the write transaction at hand (flows.database.writing)."""
    new = _insert(connection, batch)
    add_drift(connection, [(observation.observed_at, reading.drift) for observation, reading in new.values()])
    listed = _list_endpoints(connection, new)
    moved = orphaned_gones(connection, listed)
    freed = load_looks(connection, moved)
    gones = {id_ for id_, (_, reading) in new.items() if reading.outcome == "gone"} | set(moved)
    attribute(connection, gones)
    unsettled = gones | listed.keys()
    looks = load_looks(connection, unsettled)
    touches = {(look.sighting.observed_at, look.model_id) for look in looks}
    losses = {(look.sighting.observed_at, look.model_id) for look in freed if look.is_evidence}
    changed = 0
    for cluster in _clusters(touches | losses):
        start, end = cluster[0][0], cluster[-1][0]
        around = load_around(connection, {model_id for _, model_id in cluster}, start, end)
        within = [look for look in looks if start <= look.sighting.observed_at <= end]
        flips = settle(connection, [*around, *within], unsettled)
        changed += _apply(connection, flips, losses & set(cluster), listed)
    return Stored(new=len(new), known=len(batch) - len(new), changed=changed)


def known(connection: Connection, looks: Sequence[Observation]) -> list[bool]:
    """Which of these looks, all `ok`, the tables hold already."""
    ids = known_targets(connection, {look.target for look in looks})
    keys = [(ids.get(look.target), look.observed_at, "ok", look.body_digest) for look in looks]
    stored = known_looks(connection, [key for key in keys if key[0] is not None])
    return [key in stored for key in keys]


def _insert(connection: Connection, batch: Sequence[Read]) -> dict[int, Read]:
    """Insert what is new of the batch, and give it by observation id."""
    batch = sorted(batch, key=_provenance)
    runs = run_ids(connection, [observation.run for observation, _ in batch])
    targets = target_ids(connection, [observation.target for observation, _ in batch])
    models = model_ids(connection, [(o.observed_at, r.listing) for o, r in batch if r.listing])
    rows: dict[tuple[Any, ...], tuple[Read, dict[str, Any]]] = {}
    for observation, reading in batch:
        model_id = models[reading.listing.openrouter_id] if reading.listing else None
        target_id = targets[observation.target]
        row = observation_row(observation, reading, runs[observation.run.name], target_id, model_id)
        key = (target_id, observation.observed_at, reading.outcome, observation.body_digest)
        rows.setdefault(key, ((observation, reading), row))
    ids = insert_new(connection, [row for _, row in rows.values()])
    _prove_better(connection, {key: item for key, item in rows.items() if key not in ids})
    add_paths(connection, {(row["target_id"], row["model_id"]) for _, row in rows.values() if row["model_id"]})
    return {id_: rows[key][0] for key, id_ in ids.items()}


def _provenance(read: Read) -> tuple[Any, ...]:
    """Of two runs that tell of one look, our own goes before an import, then the older run, then its first line."""
    observation = read[0]
    return (observation.run.kind != "collect", observation.run.name, observation.archive_line or 0)


def _prove_better(connection: Connection, known: dict[tuple[Any, ...], tuple[Read, dict[str, Any]]]) -> None:
    stored = known_looks(connection, known) if known else {}
    better = []
    for key, (id_, *standing) in stored.items():
        read, row = known[key]
        if _provenance(read) < tuple(standing):
            better.append((id_, row))
    prove_by(connection, better)
    mark_looks(connection, [id_ for id_, _ in better])


def _list_endpoints(connection: Connection, new: dict[int, Read]) -> Listed:
    """What each new `ok` observation lists, its endpoints found or added."""
    listings = {id_: (o.observed_at, r.listing) for id_, (o, r) in new.items() if r.listing}
    models = model_ids(connection, list(listings.values()))
    seen = [(at, models[m.openrouter_id], endpoint) for at, m in listings.values() for endpoint in m.endpoints]
    ids = endpoint_ids(connection, seen, models.values())
    return {
        id_: {ids[models[m.openrouter_id], endpoint.key]: endpoint for endpoint in m.endpoints}
        for id_, (_, m) in listings.items()
    }


def _clusters(touches: Iterable[Touch]) -> Iterator[list[Touch]]:
    """The touches in order of time, cut where nothing is touched for long."""
    cluster: list[Touch] = []
    for touch in sorted(touches):
        if cluster and touch[0] - cluster[-1][0] > _APART:
            yield cluster
            cluster = []
        cluster.append(touch)
    if cluster:
        yield cluster


def _apply(connection: Connection, flips: list[Flip], losses: set[Touch], listed: Listed) -> int:
    """Carry looks that count now, or no longer do, into samples and change rows."""
    touched = {(flip.look.sighting.observed_at, flip.look.model_id) for flip in flips} | losses
    if not touched:
        return 0
    mark(connection, touched)
    start, end = min(touched)[0], max(touched)[0]
    stretches = _fill(connection, load_stretches(connection, {id_ for _, id_ in touched}, start, end), listed)
    changed = rewrite(connection, PRICES, stretches) + rewrite(connection, LISTINGS, stretches)
    _remove_samples(connection, [flip.look for flip in flips if not flip.on and flip.look.sighting.outcome == "ok"])
    _add_samples(connection, [flip.look for flip in flips if flip.on], listed)
    return changed


def _fill(connection: Connection, stretches: list[Stretch], listed: Listed) -> list[Stretch]:
    """The stretches with what their evidence lists and with the endpoints of their models."""
    by_model: dict[int, list[int]] = {stretch.model_id: [] for stretch in stretches}
    query = select(endpoints.c.id, endpoints.c.model_id).where(endpoints.c.model_id.in_(by_model))
    for id_, model_id in connection.execute(query):
        by_model[model_id].append(id_)
    return [
        dataclasses.replace(
            stretch,
            endpoint_ids=by_model[stretch.model_id],
            evidence=[_filled(connection, stretch.model_id, item, listed) for item in stretch.evidence],
        )
        for stretch in stretches
    ]


def _filled(connection: Connection, model_id: int, item: Evidence, listed: Listed) -> Evidence:
    if item.observation_id in listed:
        return dataclasses.replace(item, listed=listed[item.observation_id])
    if item.complete:
        return item
    return dataclasses.replace(item, seen=load_seen(connection, model_id, item.observed_at))


def _remove_samples(connection: Connection, looks: Iterable[Look]) -> None:
    lost = [(look.sighting.observed_at, look.model_id) for look in looks]
    forget(connection, lost)
    keys = [{"at": at, "model": model_id} for at, model_id in lost]
    for table in (uptime_samples, performance_samples) if keys else ():
        of_model = select(endpoints.c.id).where(endpoints.c.model_id == sa.bindparam("model"))
        where = table.c.endpoint_id.in_(of_model) & (table.c.observed_at == sa.bindparam("at"))
        connection.execute(table.delete().where(where), keys)


def _add_samples(connection: Connection, looks: Iterable[Look], listed: Listed) -> None:
    seen = [
        ({"endpoint_id": endpoint_id, "observed_at": look.sighting.observed_at}, endpoint)
        for look in looks
        for endpoint_id, endpoint in listed.get(look.sighting.id, {}).items()
    ]
    uptimes = [key | dataclasses.asdict(endpoint.uptime) for key, endpoint in seen]
    performances = [key | dataclasses.asdict(e.performance) for key, e in seen if e.performance]
    if uptimes:
        connection.execute(uptime_samples.insert(), uptimes)
    if performances:
        connection.execute(performance_samples.insert(), performances)
