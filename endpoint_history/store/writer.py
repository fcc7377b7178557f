"""The one writer: live collection, replay and backfill all end here.

Feed the same observations in any order, in any batches, twice: the tables come out the same.
"""

from __future__ import annotations

import dataclasses
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, select

from endpoint_history.database.partitions import create_partitions
from endpoint_history.rollups.dirty import forget, mark, mark_failures, mark_new_provenance
from endpoint_history.rollups.watermark import LOOKBACK, read_watermark
from endpoint_history.store.change_rows import EvidenceWindow, load_listed, load_windows, rewrite
from endpoint_history.store.dimensions import add_drift, add_paths, endpoint_ids, model_ids, run_ids, target_ids
from endpoint_history.store.evidence import Sighting
from endpoint_history.store.observations import (
    Flip,
    Look,
    attribute,
    gones_to_reassign,
    insert_new,
    load_around,
    load_looks,
    load_rivals,
    observation_row,
    replace_provenance,
    settle,
    stored_provenance,
)
from endpoint_history.store.rows import LISTINGS, PRICES, uptime_row
from models.listing import EndpointListing, ParsedObservation
from models.observation import Observation
from models.tables import endpoints, performance_samples, uptime_samples

Read = tuple[Observation, ParsedObservation]
# Changes further apart than this are applied one after the other, so that what lies between is not loaded.
_APART = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Stored:
    """How many observations of a batch were new, how many known already, and how many change rows they moved.

    `runs` names those that the new ones are of.
    """

    new: int
    known: int
    changed: int = field(default=0, compare=False)
    runs: frozenset[str] = field(default=frozenset(), compare=False)


Listed = dict[int, dict[int, EndpointListing]]  # by observation id: what it lists, by endpoint id
Touch = tuple[datetime, int]  # when the evidence of which model (by id) may have changed


@dataclass(frozen=True, slots=True)
class _New:
    """An observation that is new, as it came and as it is stored."""

    observation: Observation
    reading: ParsedObservation
    row: dict[str, Any]


def store(connection: Connection, batch: Sequence[Read]) -> Stored:
    """Store a batch of observations inside the write transaction at hand (endpoint_history.database.engine.writing)."""
    new = _insert(connection, batch)
    add_drift(connection, [(item.observation.observed_at, item.reading.drift) for item in new.values()])
    listed = _list_endpoints(connection, new)
    moved = gones_to_reassign(connection, listed)
    freed = load_looks(connection, moved)
    gones = {id_ for id_, item in new.items() if item.reading.outcome == "gone"} | set(moved)
    attribute(connection, gones)
    looks = [_look(id_, new[id_]) for id_ in listed]
    looks += load_looks(connection, gones) + load_rivals(connection, listed)
    touches = {(look.sighting.observed_at, look.model_id) for look in looks}
    losses = {(look.sighting.observed_at, look.model_id) for look in freed if look.is_evidence}
    looks.sort(key=_observed_at)
    changed = 0
    for cluster in _clusters(touches | losses):
        start, end = cluster[0][0], cluster[-1][0]
        around = load_around(connection, {model_id for _, model_id in cluster}, start, end)
        within = looks[bisect_left(looks, start, key=_observed_at) : bisect_right(looks, end, key=_observed_at)]
        flips = settle(connection, [*around, *within], gones | listed.keys())
        changed += _apply(connection, flips, losses & set(cluster), listed)
    runs = frozenset(item.observation.run.name for item in new.values())
    return Stored(new=len(new), known=len(batch) - len(new), changed=changed, runs=runs)


def _observed_at(look: Look) -> datetime:
    return look.sighting.observed_at


def _look(id_: int, new: _New) -> Look:
    """A new `ok` row, of which nothing counts yet, as it would be loaded."""
    o, listing = new.observation, new.reading.listing
    assert listing is not None  # noqa: S101 - for mypy
    digest = new.row["body_digest"]
    sighting = Sighting(id_, o.target, o.observed_at, "ok", new.reading.complete, digest, listing.openrouter_id)
    return Look(sighting, new.row["model_id"], is_evidence=False)


def _insert(connection: Connection, batch: Sequence[Read]) -> dict[int, _New]:
    """Insert what is new of the batch, and give it by observation id."""
    batch = sorted(batch, key=_provenance)
    runs = run_ids(connection, {observation.run for observation, _ in batch})
    targets = target_ids(connection, {observation.target for observation, _ in batch})
    models = model_ids(connection, [(o.observed_at, r.listing) for o, r in batch if r.listing])
    items: dict[tuple[Any, ...], _New] = {}
    for observation, reading in batch:
        model_id = models[reading.listing.openrouter_id] if reading.listing else None
        target_id = targets[observation.target]
        row = observation_row(observation, reading, runs[observation.run.name], target_id, model_id)
        key = (target_id, observation.observed_at, reading.outcome, row["body_digest"])
        items.setdefault(key, _New(observation, reading, row))
    ids = insert_new(connection, [item.row for item in items.values()])
    _prove_better(connection, {key: item for key, item in items.items() if key not in ids})
    shown = ((item.row["target_id"], item.row["model_id"]) for item in items.values())
    paths = add_paths(connection, {(target_id, model_id) for target_id, model_id in shown if model_id})
    mark_failures(connection, [id_ for key, id_ in ids.items() if key[2] == "failed"], paths)
    return {id_: items[key] for key, id_ in ids.items()}


def _provenance(read: Read) -> tuple[Any, ...]:
    """Of two runs that tell of one look, our own goes before an import, then the older run, then its first line."""
    observation = read[0]
    return (observation.run.kind != "collect", observation.run.name, observation.archive_line or 0)


def _prove_better(connection: Connection, known: dict[tuple[Any, ...], _New]) -> None:
    stored = stored_provenance(connection, known) if known else {}
    better = []
    for key, (id_, *standing) in stored.items():
        told = known[key]
        if _provenance((told.observation, told.reading)) < tuple(standing):
            better.append((id_, told.row))
    replace_provenance(connection, better)
    mark_new_provenance(connection, [id_ for id_, _ in better])


def _list_endpoints(connection: Connection, new: dict[int, _New]) -> Listed:
    """What each new `ok` observation lists, its endpoints found or added."""
    listings = [
        (id_, item.observation.observed_at, item.row["model_id"], item.reading.listing.endpoints)
        for id_, item in new.items()
        if item.reading.listing
    ]
    seen = [(at, model_id, endpoint) for _, at, model_id, endpoints in listings for endpoint in endpoints]
    ids = endpoint_ids(connection, seen, {model_id for _, _, model_id, _ in listings})
    return {
        id_: {ids[model_id, endpoint.key]: endpoint for endpoint in endpoints}
        for id_, _, model_id, endpoints in listings
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
    stretches = _fill(connection, load_windows(connection, {id_ for _, id_ in touched}, start, end), listed)
    changed = rewrite(connection, PRICES, stretches) + rewrite(connection, LISTINGS, stretches)
    settled = read_watermark(connection)
    off = [flip.look for flip in flips if not flip.on and flip.look.sighting.outcome == "ok"]
    _remove_samples(connection, off, settled)
    _add_samples(connection, [flip.look for flip in flips if flip.on], listed, settled)
    return changed


def _fill(connection: Connection, stretches: list[EvidenceWindow], listed: Listed) -> list[EvidenceWindow]:
    """The stretches with what their evidence lists and with the endpoints of their models."""
    by_model: dict[int, list[int]] = {stretch.model_id: [] for stretch in stretches}
    query = select(endpoints.c.id, endpoints.c.model_id).where(endpoints.c.model_id.in_(by_model))
    for id_, model_id in connection.execute(query):
        by_model[model_id].append(id_)
    return [
        dataclasses.replace(
            stretch,
            endpoint_ids=by_model[stretch.model_id],
            listed=listed,
            seen={
                item.observation_id: load_listed(connection, stretch.model_id, item.observed_at)
                for item in stretch.evidence
                if not item.complete and item.observation_id not in listed
            },
        )
        for stretch in stretches
    ]


def _remove_samples(connection: Connection, looks: Iterable[Look], settled: datetime | None) -> None:
    lost = [(look.sighting.observed_at, look.model_id) for look in looks]
    forget(connection, [(at, model_id) for at, model_id in lost if settled is None or at >= settled])
    keys = [{"at": at, "model": model_id} for at, model_id in lost]
    for table in (uptime_samples, performance_samples) if keys else ():
        of_model = select(endpoints.c.id).where(endpoints.c.model_id == sa.bindparam("model"))
        where = table.c.endpoint_id.in_(of_model) & (table.c.observed_at == sa.bindparam("at"))
        connection.execute(table.delete().where(where), keys)


def _add_samples(connection: Connection, looks: Iterable[Look], listed: Listed, settled: datetime | None) -> None:
    seen = [
        (endpoint_id, look.sighting, endpoint)
        for look in looks
        for endpoint_id, endpoint in listed.get(look.sighting.id, {}).items()
    ]
    uptimes = [
        {"endpoint_id": id_, "observed_at": sighting.observed_at, **uptime_row(e.uptime)}
        for id_, sighting, e in seen
        # What an incomplete look lists, nothing but its samples tells.
        if settled is None or sighting.observed_at >= settled - LOOKBACK or not sighting.complete
    ]
    performances = [
        {"endpoint_id": id_, "observed_at": sighting.observed_at, **dataclasses.asdict(e.performance)}
        for id_, sighting, e in seen
        if e.performance
    ]
    if uptimes:
        create_partitions(connection, {row["observed_at"] for row in uptimes})
        connection.execute(uptime_samples.insert(), uptimes)
    if performances:
        connection.execute(performance_samples.insert(), performances)
