"""The one writer. Live collection, replay and backfill all end here.

The same observations in any order, in any batches, and more than once give the same tables.
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
from endpoint_history.store.evidence import Candidate, observed_at
from endpoint_history.store.observations import (
    EvidenceChange,
    assign_gones,
    gones_to_reassign,
    insert_new,
    load_around,
    load_same_instant,
    observation_row,
    reconcile,
    replace_provenance,
    stored_provenance,
)
from endpoint_history.store.rows import LISTINGS, PRICES, uptime_row
from models.listing import EndpointListing, ParsedObservation
from models.observation import Observation
from models.tables import endpoints, performance_samples, uptime_samples

Read = tuple[Observation, ParsedObservation]
# Changes further apart than this are applied one after the other, so that the rows between them are not loaded.
_APART = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Stored:
    """How many observations of a batch were new, how many were known, and how many change rows they changed.

    `runs` names the runs of the new ones.
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
    """Store a batch of observations inside a write transaction (see endpoint_history.database.engine.writing)."""
    new = _insert(connection, batch)
    add_drift(connection, [(item.observation.observed_at, item.reading.drift) for item in new.values()])
    listed = _list_endpoints(connection, new)
    moved = gones_to_reassign(connection, listed)
    before_move = load_same_instant(connection, moved)
    gones = {id_ for id_, item in new.items() if item.reading.outcome == "gone"} | set(moved)
    assign_gones(connection, gones)
    candidates = [_candidate(id_, new[id_]) for id_ in listed]
    candidates += load_same_instant(connection, gones) + load_same_instant(connection, listed, others_only=True)
    touches = {(item.observed_at, item.model_id) for item in candidates}
    losses = {(item.observed_at, item.model_id) for item in before_move if item.is_evidence}
    candidates.sort(key=observed_at)
    changed = 0
    for cluster in _clusters(touches | losses):
        start, end = cluster[0][0], cluster[-1][0]
        around = load_around(connection, {model_id for _, model_id in cluster}, start, end)
        first, after = bisect_left(candidates, start, key=observed_at), bisect_right(candidates, end, key=observed_at)
        change = reconcile(connection, [*around, *candidates[first:after]], gones | listed.keys())
        changed += _apply(connection, change, losses & set(cluster), listed)
    runs = frozenset(item.observation.run.name for item in new.values())
    return Stored(new=len(new), known=len(batch) - len(new), changed=changed, runs=runs)


def _candidate(id_: int, new: _New) -> Candidate:
    """Return a new `ok` row, which does not count yet, as it would be loaded."""
    o, listing = new.observation, new.reading.listing
    assert listing is not None  # noqa: S101 - for mypy
    complete, digest = new.reading.complete, new.row["body_digest"]
    model, model_id = listing.openrouter_id, new.row["model_id"]
    return Candidate(id_, o.target, o.observed_at, "ok", complete, digest, model, model_id)


def _insert(connection: Connection, batch: Sequence[Read]) -> dict[int, _New]:
    """Insert the new observations of the batch, and return them by observation id."""
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
    _improve_provenance(connection, {key: item for key, item in items.items() if key not in ids})
    shown = ((item.row["target_id"], item.row["model_id"]) for item in items.values())
    paths = add_paths(connection, {(target_id, model_id) for target_id, model_id in shown if model_id})
    mark_failures(connection, [id_ for key, id_ in ids.items() if key[2] == "failed"], paths)
    return {id_: items[key] for key, id_ in ids.items()}


def _provenance(read: Read) -> tuple[Any, ...]:
    """Return the sort key of an observation's source. If two runs report the same observation, the lowest key wins.

    A collect comes before a backfill, then the run with the earlier name, then the earlier line.
    """
    observation = read[0]
    return (observation.run.kind != "collect", observation.run.name, observation.archive_line or 0)


def _improve_provenance(connection: Connection, known: dict[tuple[Any, ...], _New]) -> None:
    stored = stored_provenance(connection, known) if known else {}
    better = []
    for key, (id_, *provenance) in stored.items():
        item = known[key]
        if _provenance((item.observation, item.reading)) < tuple(provenance):
            better.append((id_, item.row))
    replace_provenance(connection, better)
    mark_new_provenance(connection, [id_ for id_, _ in better])


def _list_endpoints(connection: Connection, new: dict[int, _New]) -> Listed:
    """Return what each new `ok` observation lists. Endpoints that are new are added."""
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
    """Sort the touches by time, and split them where nothing is touched for `_APART`."""
    cluster: list[Touch] = []
    for touch in sorted(touches):
        if cluster and touch[0] - cluster[-1][0] > _APART:
            yield cluster
            cluster = []
        cluster.append(touch)
    if cluster:
        yield cluster


def _apply(connection: Connection, change: EvidenceChange, losses: set[Touch], listed: Listed) -> int:
    """Update samples and change rows after a change of evidence. Returns how many change rows changed."""
    touched = {(item.observed_at, item.model_id) for item in (*change.added, *change.removed)} | losses
    if not touched:
        return 0
    mark(connection, touched)
    start, end = min(touched)[0], max(touched)[0]
    windows = _fill(connection, load_windows(connection, {id_ for _, id_ in touched}, start, end), listed)
    changed = rewrite(connection, PRICES, windows) + rewrite(connection, LISTINGS, windows)
    watermark = read_watermark(connection)
    _remove_samples(connection, [item for item in change.removed if item.outcome == "ok"], watermark)
    _add_samples(connection, change.added, listed, watermark)
    return changed


def _fill(connection: Connection, windows: list[EvidenceWindow], listed: Listed) -> list[EvidenceWindow]:
    """Return the windows with what their evidence lists, and with the endpoints of their models."""
    by_model: dict[int, list[int]] = {window.model_id: [] for window in windows}
    query = select(endpoints.c.id, endpoints.c.model_id).where(endpoints.c.model_id.in_(by_model))
    for id_, model_id in connection.execute(query):
        by_model[model_id].append(id_)
    return [
        dataclasses.replace(
            window,
            endpoint_ids=by_model[window.model_id],
            listed=listed,
            seen={
                item.observation_id: load_listed(connection, window.model_id, item.observed_at)
                for item in window.evidence
                if not item.complete and item.observation_id not in listed
            },
        )
        for window in windows
    ]


def _remove_samples(connection: Connection, removed: Iterable[Candidate], watermark: datetime | None) -> None:
    lost = [(item.observed_at, item.model_id) for item in removed]
    forget(connection, [(at, model_id) for at, model_id in lost if watermark is None or at >= watermark])
    keys = [{"at": at, "model": model_id} for at, model_id in lost]
    for table in (uptime_samples, performance_samples) if keys else ():
        of_model = select(endpoints.c.id).where(endpoints.c.model_id == sa.bindparam("model"))
        where = table.c.endpoint_id.in_(of_model) & (table.c.observed_at == sa.bindparam("at"))
        connection.execute(table.delete().where(where), keys)


def _add_samples(
    connection: Connection, added: Iterable[Candidate], listed: Listed, watermark: datetime | None
) -> None:
    seen = [
        (endpoint_id, item, endpoint) for item in added for endpoint_id, endpoint in listed.get(item.id, {}).items()
    ]
    uptimes = [
        {"endpoint_id": id_, "observed_at": item.observed_at, **uptime_row(endpoint.uptime)}
        for id_, item, endpoint in seen
        # Of an incomplete observation, only its samples show what it lists, so they are kept at any age.
        if watermark is None or item.observed_at >= watermark - LOOKBACK or not item.complete
    ]
    performances = [
        {"endpoint_id": id_, "observed_at": item.observed_at, **dataclasses.asdict(endpoint.performance)}
        for id_, item, endpoint in seen
        if endpoint.performance
    ]
    if uptimes:
        create_partitions(connection, {row["observed_at"] for row in uptimes})
        connection.execute(uptime_samples.insert(), uptimes)
    if performances:
        connection.execute(performance_samples.insert(), performances)
