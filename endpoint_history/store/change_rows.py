"""Apply the change rule to the tables: rewrite the rows that new evidence affects, and no others.

If evidence of a model is added or removed within a span of time, only rows inside the span and at the next evidence
after it can change. For the other evidence inside, the values are read from the rows as they were.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection, select

from endpoint_history.store.change_rule import changes, value_at
from endpoint_history.store.observations import FOR_EVER
from endpoint_history.store.rows import ChangeTable
from models.listing import ABSENT, Absent, EndpointListing
from models.tables import endpoints, models, observations, targets, uptime_samples

V = TypeVar("V")
Rows = dict[datetime, tuple[V | Absent, int]]  # (value, observation id) by instant


@dataclass(frozen=True, slots=True)
class Evidence:
    """One observation that counts. `gone`: it lists no endpoints."""

    observation_id: int
    observed_at: datetime
    complete: bool
    gone: bool


@dataclass(frozen=True, slots=True)
class EvidenceWindow:
    """The evidence of one model from `start` to `end`, in order of time. No row outside can change.

    `listed` holds what new evidence lists: by observation id, then endpoint id. `seen` holds, for stored evidence that
    is incomplete, the endpoints that it lists; it proves nothing about the others.
    """

    model_id: int
    start: datetime
    end: datetime
    evidence: Sequence[Evidence]
    endpoint_ids: Sequence[int] = ()
    listed: Mapping[int, Mapping[int, EndpointListing]] = field(default_factory=dict)
    seen: Mapping[int, frozenset[int]] = field(default_factory=dict)


def load_windows(
    connection: Connection, model_ids: Iterable[int], start: datetime, end: datetime
) -> list[EvidenceWindow]:
    """Load the evidence of each model from `start` to the next complete evidence after `end`."""
    o = observations
    reach = _next_complete(connection, set(model_ids), end)
    closed = [id_ for id_, at in reach.items() if at != FOR_EVER]
    open_ended = [id_ for id_, at in reach.items() if at == FOR_EVER]
    last = max((reach[id_] for id_ in closed), default=end)
    query = (
        select(o.c.id, o.c.model_id, o.c.observed_at, o.c.complete, o.c.outcome)
        .join(targets)
        .where(o.c.is_evidence, o.c.observed_at >= start)
        .where(o.c.model_id.in_(open_ended) | (o.c.model_id.in_(closed) & (o.c.observed_at <= last)))
        .order_by(o.c.observed_at, targets.c.author, targets.c.slug)
    )
    found: dict[int, list[Evidence]] = {id_: [] for id_ in reach}
    for id_, model_id, at, complete, outcome in connection.execute(query):
        of_model = found[model_id]
        twice = of_model and of_model[-1].observed_at == at  # two paths may return `gone` in the same second
        if at <= reach[model_id] and not twice:
            of_model.append(Evidence(id_, at, complete, gone=outcome == "gone"))
    return [EvidenceWindow(id_, start, reach[id_], items) for id_, items in found.items()]


def _next_complete(connection: Connection, model_ids: set[int], end: datetime) -> dict[int, datetime]:
    o = observations
    after = (
        select(o.c.observed_at)
        .where(o.c.model_id == models.c.id, o.c.is_evidence, o.c.complete, o.c.observed_at > end)
        .order_by(o.c.observed_at)
        .limit(1)
        .scalar_subquery()
    )
    query = select(models.c.id, after).where(models.c.id.in_(model_ids))
    return {id_: at or FOR_EVER for id_, at in connection.execute(query)}


def load_listed(connection: Connection, model_id: int, at: datetime) -> frozenset[int]:
    """Return the endpoints that a stored incomplete observation lists: those with a sample of it."""
    query = (
        select(uptime_samples.c.endpoint_id)
        .join(endpoints)
        .where(endpoints.c.model_id == model_id, uptime_samples.c.observed_at == at)
    )
    return frozenset(connection.execute(query).scalars())


def rewrite(connection: Connection, history: ChangeTable[V], windows: Sequence[EvidenceWindow]) -> int:
    """Rewrite a change table inside these windows. Returns how many rows were inserted, deleted or replaced."""
    by_endpoint = {id_: window for window in windows for id_ in window.endpoint_ids}
    if not by_endpoint:
        return 0
    start = min(window.start for window in windows)
    before = _load_before(connection, history, by_endpoint, start)
    present = _load_rows(connection, history, by_endpoint, start)
    delete: list[dict[str, Any]] = []
    insert: list[dict[str, Any]] = []
    for endpoint_id, window in by_endpoint.items():
        old = present.get(endpoint_id, {})
        wanted = _wanted(history, endpoint_id, window, old, before.get(endpoint_id, ABSENT))
        delete += [{"endpoint": endpoint_id, "at": at} for at, row in old.items() if wanted.get(at) != row]
        insert += [
            {"endpoint_id": endpoint_id, "observed_at": at, "observation_id": proof, **history.to_row(value)}
            for at, (value, proof) in wanted.items()
            if old.get(at) != (value, proof)
        ]
    _apply(connection, history.table, delete, insert)
    return len(
        {(row["endpoint"], row["at"]) for row in delete} | {(r["endpoint_id"], r["observed_at"]) for r in insert}
    )


def _wanted(
    history: ChangeTable[V], endpoint_id: int, window: EvidenceWindow, old: Rows[V], before: V | Absent
) -> Rows[V]:
    """Return the rows that the evidence gives: (value, observation id) by instant."""
    proofs = {item.observed_at: item.observation_id for item in window.evidence}
    values = _values(history, endpoint_id, window, old, before)
    rows = changes(before, values)
    return {at: (value, proofs[at]) for at, value in rows.items()}


def _values(
    history: ChangeTable[V], endpoint_id: int, window: EvidenceWindow, old: Rows[V], before: V | Absent
) -> Iterator[tuple[datetime, V | Absent]]:
    """Yield the value of one endpoint at each evidence that proves one."""
    known = {at: value for at, (value, _) in old.items()}
    for item in window.evidence:
        listed = window.listed.get(item.observation_id)
        if item.gone:
            yield item.observed_at, ABSENT
        elif listed is None:
            if item.complete or endpoint_id in window.seen[item.observation_id]:
                yield item.observed_at, value_at(item.observed_at, known, before)
        elif endpoint_id in listed:
            yield item.observed_at, history.value(listed[endpoint_id])
        elif item.complete:
            yield item.observed_at, ABSENT


def _load_before(
    connection: Connection, history: ChangeTable[V], by_endpoint: dict[int, EvidenceWindow], start: datetime
) -> dict[int, V | Absent]:
    """Return the value just before `start`, by endpoint id."""
    table = history.table
    latest = (
        select(table.c.observed_at)
        .where(table.c.endpoint_id == endpoints.c.id, table.c.observed_at < start)
        .order_by(table.c.observed_at.desc())
        .limit(1)
        .scalar_subquery()
    )
    model_ids = {window.model_id for window in by_endpoint.values()}
    at = select(endpoints.c.id, latest.label("at")).where(endpoints.c.model_id.in_(model_ids)).subquery()
    query = select(table).join(at, (table.c.endpoint_id == at.c.id) & (table.c.observed_at == at.c.at))
    return {row["endpoint_id"]: history.from_row(row) for row in connection.execute(query).mappings().all()}


def _load_rows(
    connection: Connection, history: ChangeTable[V], by_endpoint: dict[int, EvidenceWindow], start: datetime
) -> dict[int, Rows[V]]:
    """Return the rows inside each endpoint's window, in order of time: (value, observation id) by instant."""
    table = history.table
    end = max(window.end for window in by_endpoint.values())
    model_ids = {window.model_id for window in by_endpoint.values()}
    query = (
        select(table)
        .join(endpoints, endpoints.c.id == table.c.endpoint_id)
        .where(endpoints.c.model_id.in_(model_ids), table.c.observed_at.between(start, end))
        .order_by(table.c.endpoint_id, table.c.observed_at)
    )
    found: dict[int, Rows[V]] = {}
    for row in connection.execute(query).mappings().all():
        if row["observed_at"] <= by_endpoint[row["endpoint_id"]].end:
            value = (history.from_row(row), row["observation_id"])
            found.setdefault(row["endpoint_id"], {})[row["observed_at"]] = value
    return found


def _apply(connection: Connection, table: sa.Table, delete: list[dict[str, Any]], insert: list[dict[str, Any]]) -> None:
    if delete:
        key = (table.c.endpoint_id == sa.bindparam("endpoint")) & (table.c.observed_at == sa.bindparam("at"))
        connection.execute(table.delete().where(key), delete)
    if insert:
        connection.execute(table.insert(), insert)
