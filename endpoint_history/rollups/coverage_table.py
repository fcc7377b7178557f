"""Keep the coverage tables up to date where evidence changed. Inside one write transaction."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, select

from endpoint_history.database.dialect import unix_seconds
from endpoint_history.database.replace import Rows, replace
from endpoint_history.rollups.coverage import CoverageDay, CoverageState, EvidencePoint, Failure, Gap, coverage
from endpoint_history.rollups.dirty import DirtyDays
from endpoint_history.times import instant_of, midnight_of, seconds_of
from models.tables import closed_gaps, evidence_daily, models, observations, runs, target_models
from models.types import UtcTime

_o, _r, _d, _g = observations.c, runs.c, evidence_daily.c, closed_gaps.c
_EPOCH = date(1970, 1, 1)
_FOR_EVER = datetime(9999, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class _AffectedRange:
    """A span of time in which days and gaps can have changed, and the state of each model before it, by id."""

    start: datetime
    end: datetime
    states: Mapping[int, CoverageState]


def roll_up_coverage(connection: Connection, span: DirtyDays) -> None:
    """Update the days and gaps of these models that the evidence of these days can have changed."""
    for affected in _affected_ranges(connection, span):
        first, after = affected.start.date(), affected.end.date()
        days: Rows = {}
        gaps: Rows = {}
        evidence, failures = _load_evidence(connection, affected), _load_failures(connection, affected)
        following = _load_following(connection, affected)
        for model_id, state in affected.states.items():
            new = (point for point in evidence.get(model_id, []) if state.last is None or point[0] > state.last)
            points = [*new, *following.get(model_id, [])]
            by_day, found = coverage(points, failures.get(model_id, []), state)
            for number, day in by_day.items():
                on = _EPOCH + timedelta(days=number)
                if first <= on < after:
                    days[model_id, on] = _row(day)
            for start, end, *rest in found:
                gaps[model_id, instant_of(start)] = (instant_of(end), *rest)
        replace(connection, evidence_daily, _load_days(connection, affected), days)
        replace(connection, closed_gaps, _load_gaps(connection, affected), gaps)


def _affected_ranges(connection: Connection, span: DirtyDays) -> Iterator[_AffectedRange]:
    """Yield what to update. A model whose evidence is newer than all that its day had continues from that state.

    For others, whole days are computed again, with the gaps at their ends. Both reach to the next scheduled evidence,
    which sets the cadence.
    """
    midnight = midnight_of(span.start)
    gap_follows = sa.exists().where(_g.model_id == models.c.id, _g.started_at == _d.last_evidence_at)
    query = (
        select(
            models.c.id,
            _last("time", midnight - _SECOND).label("before"),
            _first("time", span.end, scheduled=True).label("scheduled_at"),
            _last("cadence", _d.last_evidence_at, scheduled=True).label("cadence"),
            gap_follows.label("gap_follows"),
            evidence_daily,
        )
        .outerjoin(evidence_daily, (_d.model_id == models.c.id) & (_d.day == midnight.date()))
        .where(models.c.id.in_(span.model_ids))
    )
    appended: dict[datetime, dict[int, CoverageState]] = {}
    recomputed: dict[tuple[datetime, datetime], list[int]] = {}
    for row in connection.execute(query).mappings():
        end = midnight_of(row["scheduled_at"] + timedelta(days=1)) if row["scheduled_at"] else _FOR_EVER
        last = row["last_evidence_at"]
        if last and last < span.since[row["id"]] and not row["gap_follows"]:
            counts = (row["observed"], row["imported"], row["missed_observations"], 0, row["covered_seconds"])
            at = seconds_of(last)
            appended.setdefault(end, {})[row["id"]] = CoverageState(at, at, row["cadence"], CoverageDay(*counts, at))
        else:
            recomputed.setdefault((midnight_of(row["before"] or midnight), end), []).append(row["id"])
    for end, states in appended.items():
        start = instant_of(min(of.since for of in states.values()))
        gaps = _load_gaps_into(connection, states, midnight)
        yield _AffectedRange(
            start, end, {id_: dataclasses.replace(of, gaps=gaps.get(id_, ())) for id_, of in states.items()}
        )
    for (start, end), ids in recomputed.items():
        yield _AffectedRange(start, end, _load_before(connection, ids, start))


def _load_before(connection: Connection, ids: Sequence[int], start: datetime) -> dict[int, CoverageState]:
    """Return the state of each model before a midnight: its last evidence, and the cadence in force."""
    until = start - _SECOND
    query = select(models.c.id, _last("time", until), _last("cadence", until, scheduled=True))
    return {
        id_: CoverageState(seconds_of(start), seconds_of(last) if last else None, cadence)
        for id_, last, cadence in connection.execute(query.where(models.c.id.in_(ids)))
    }


def _load_following(connection: Connection, affected: _AffectedRange) -> dict[int, list[EvidencePoint]]:
    """Return the first evidence after the range, which ends the gap at its end, by model id."""
    query = select(models.c.id, _first("time", affected.end)).where(models.c.id.in_(affected.states))
    return {id_: [(seconds_of(at), False, None)] for id_, at in connection.execute(query) if at}


def _load_evidence(connection: Connection, affected: _AffectedRange) -> dict[int, list[EvidencePoint]]:
    """Return the evidence in the range by model id. In one second: shortest cadence first, then live."""
    query = (
        select(_o.model_id, unix_seconds(connection, _o.observed_at), _r.kind == "collect", _r.cadence_seconds)
        .join(runs)
        .where(_o.model_id.in_(affected.states), _o.is_evidence)
        .where(_o.observed_at >= affected.start, _o.observed_at < affected.end)
        .order_by(_o.model_id, _o.observed_at, _r.cadence_seconds.nulls_last(), _r.kind.desc())
    )
    rows = connection.execute(query).all()
    return {
        id_: [(at, own, cadence) for _, at, own, cadence in group]
        for id_, group in groupby(rows, key=lambda row: row[0])
    }


def _load_failures(connection: Connection, affected: _AffectedRange) -> dict[int, list[Failure]]:
    """Return the failed observations from these days on, by model id, for all paths that ever led to the model."""
    query = (
        select(target_models.c.model_id, unix_seconds(connection, _o.observed_at), _o.run_id)
        .join(observations, _o.target_id == target_models.c.target_id)
        .where(
            target_models.c.model_id.in_(affected.states),
            _o.outcome == "failed",
            _o.observed_at >= midnight_of(affected.start),
        )
        .order_by(target_models.c.model_id, _o.observed_at)
    )
    found: dict[int, list[Failure]] = {}
    for model_id, at, run_id in connection.execute(query):
        found.setdefault(model_id, []).append((at, run_id))
    return found


def _last(what: str, until: datetime | sa.ColumnElement[Any], *, scheduled: bool = False) -> sa.ScalarSelect[Any]:
    """Select the time or cadence of a model's last evidence at or before an instant."""
    o, cadence, query = _evidence(what, scheduled=scheduled)
    bound = sa.literal(until, UtcTime()) if isinstance(until, datetime) else until
    query = query.where(o.c.observed_at <= bound).order_by(o.c.observed_at.desc(), cadence)
    return query.limit(1).correlate(models, evidence_daily).scalar_subquery()


def _first(what: str, since: datetime, *, scheduled: bool = False) -> sa.ScalarSelect[Any]:
    """Select the time or cadence of a model's first evidence at or after an instant."""
    o, _, query = _evidence(what, scheduled=scheduled)
    query = query.where(o.c.observed_at >= since).order_by(o.c.observed_at)
    return query.limit(1).correlate(models).scalar_subquery()


def _evidence(what: str, *, scheduled: bool) -> tuple[Any, sa.ColumnElement[Any], sa.Select[Any]]:
    o, r = observations.alias(), runs.alias()
    cadence = r.c.cadence_seconds
    query = select(o.c.observed_at if what == "time" else cadence).select_from(o.join(r))
    query = query.where(o.c.model_id == models.c.id, o.c.is_evidence)
    return o, cadence, query.where(cadence.is_not(None)) if scheduled else query


def _row(day: CoverageDay) -> tuple[Any, ...]:
    last = None if day.last is None else instant_of(day.last)
    return (day.observed, day.imported, day.missed, day.failed, day.covered, last)


def _load_days(connection: Connection, affected: _AffectedRange) -> Rows:
    first, after = affected.start.date(), affected.end.date()
    query = select(evidence_daily).where(_d.model_id.in_(affected.states), _d.day >= first, _d.day < after)
    return {(row[0], row[1]): tuple(row[2:]) for row in connection.execute(query)}


def _load_gaps(connection: Connection, affected: _AffectedRange) -> Rows:
    within = (_g.started_at >= affected.start) & (_g.started_at < affected.end)
    query = select(closed_gaps).where(_g.model_id.in_(affected.states), within)
    return {
        (row[0], row[1]): tuple(row[2:])
        for row in connection.execute(query)
        if seconds_of(row[1]) >= affected.states[row[0]].since
    }


def _load_gaps_into(
    connection: Connection, states: Mapping[int, CoverageState], midnight: datetime
) -> dict[int, list[Gap]]:
    """Return the gaps that reach into this day and began before the change, by model id."""
    earlier = closed_gaps.alias()
    last = select(sa.func.max(earlier.c.started_at)).where(
        earlier.c.model_id == _g.model_id, earlier.c.started_at < midnight
    )
    query = (
        select(closed_gaps)
        .where(_g.model_id.in_(states), _g.ended_at > midnight)
        .where(_g.started_at >= sa.func.coalesce(last.scalar_subquery(), sa.literal(midnight, UtcTime())))
        .order_by(_g.model_id, _g.started_at)
    )
    found: dict[int, list[Gap]] = {}
    for model_id, start, end, *rest in connection.execute(query):
        if seconds_of(start) < states[model_id].since:
            found.setdefault(model_id, []).append(Gap(seconds_of(start), seconds_of(end), *rest))
    return found
