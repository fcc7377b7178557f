"""Keep the tables of how well models were observed right where looks changed. Inside one write transaction."""

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
from endpoint_history.rollups.coverage import Day, Failure, Gap, Known, Look, coverage
from endpoint_history.rollups.dirty import DirtyDays
from endpoint_history.times import instant_of, midnight_of, seconds_of
from models.tables import closed_gaps, evidence_daily, models, observations, runs, target_models
from models.types import UtcTime

_o, _r, _d, _g = observations.c, runs.c, evidence_daily.c, closed_gaps.c
_EPOCH = date(1970, 1, 1)
_FOR_EVER = datetime(9999, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class _Reach:
    """When looks of a span can have changed days and gaps, and what stays as it was before, by model."""

    start: datetime
    end: datetime
    known: Mapping[int, Known]


def roll_up_coverage(connection: Connection, span: DirtyDays) -> None:
    """The days and gaps of these models, as far as looks of these days can have changed them."""
    for reach in _reaches(connection, span):
        first, after = reach.start.date(), reach.end.date()
        days: Rows = {}
        gaps: Rows = {}
        looks, failures = _load_looks(connection, reach), _load_failures(connection, reach)
        following = _load_following(connection, reach)
        for model_id, known in reach.known.items():
            new = (look for look in looks.get(model_id, []) if known.last is None or look[0] > known.last)
            seen = [*new, *following.get(model_id, [])]
            by_day, found = coverage(seen, failures.get(model_id, []), known)
            for number, day in by_day.items():
                on = _EPOCH + timedelta(days=number)
                if first <= on < after:
                    days[model_id, on] = _row(day)
            for start, end, *rest in found:
                gaps[model_id, instant_of(start)] = (instant_of(end), *rest)
        replace(connection, evidence_daily, _load_days(connection, reach), days)
        replace(connection, closed_gaps, _load_gaps(connection, reach), gaps)


def _reaches(connection: Connection, span: DirtyDays) -> Iterator[_Reach]:
    """Where each look of a model came after all that its day had, from there on; else days as a whole.

    Those with the gaps at their ends, and on until a look tells the schedule anew.
    """
    midnight = midnight_of(span.start)
    gap_follows = sa.exists().where(_g.model_id == models.c.id, _g.started_at == _d.last_evidence_at)
    query = (
        select(
            models.c.id,
            _last("time", midnight - _SECOND).label("before"),
            _first("time", span.end, scheduled=True).label("told"),
            _last("cadence", _d.last_evidence_at, scheduled=True).label("cadence"),
            gap_follows.label("gap_follows"),
            evidence_daily,
        )
        .outerjoin(evidence_daily, (_d.model_id == models.c.id) & (_d.day == midnight.date()))
        .where(models.c.id.in_(span.model_ids))
    )
    appended: dict[datetime, dict[int, Known]] = {}
    anew: dict[tuple[datetime, datetime], list[int]] = {}
    for row in connection.execute(query).mappings():
        end = midnight_of(row["told"] + timedelta(days=1)) if row["told"] else _FOR_EVER
        last = row["last_evidence_at"]
        if last and last < span.since[row["id"]] and not row["gap_follows"]:
            counts = (row["observed"], row["imported"], row["missed_observations"], 0, row["covered_seconds"])
            at = seconds_of(last)
            appended.setdefault(end, {})[row["id"]] = Known(at, at, row["cadence"], Day(*counts, at))
        else:
            anew.setdefault((midnight_of(row["before"] or midnight), end), []).append(row["id"])
    for end, known in appended.items():
        start = instant_of(min(of.since for of in known.values()))
        gaps = _load_gaps_into(connection, known, midnight)
        yield _Reach(start, end, {id_: dataclasses.replace(of, gaps=gaps.get(id_, ())) for id_, of in known.items()})
    for (start, end), ids in anew.items():
        yield _Reach(start, end, _load_before(connection, ids, start))


def _load_before(connection: Connection, ids: Sequence[int], start: datetime) -> dict[int, Known]:
    """When the last look before a midnight was, and the schedule in force then, by model."""
    until = start - _SECOND
    query = select(models.c.id, _last("time", until), _last("cadence", until, scheduled=True))
    return {
        id_: Known(seconds_of(start), seconds_of(last) if last else None, cadence)
        for id_, last, cadence in connection.execute(query.where(models.c.id.in_(ids)))
    }


def _load_following(connection: Connection, reach: _Reach) -> dict[int, list[Look]]:
    """The look after these days, which ends the gap at their end, by model."""
    query = select(models.c.id, _first("time", reach.end)).where(models.c.id.in_(reach.known))
    return {id_: [(seconds_of(at), False, None)] for id_, at in connection.execute(query) if at}


def _load_looks(connection: Connection, reach: _Reach) -> dict[int, list[Look]]:
    """The looks that count in these days, by model; of one second that of the tightest schedule first, then our own."""
    query = (
        select(_o.model_id, unix_seconds(connection, _o.observed_at), _r.kind == "collect", _r.cadence_seconds)
        .join(runs)
        .where(_o.model_id.in_(reach.known), _o.is_evidence)
        .where(_o.observed_at >= reach.start, _o.observed_at < reach.end)
        .order_by(_o.model_id, _o.observed_at, _r.cadence_seconds.nulls_last(), _r.kind.desc())
    )
    rows = connection.execute(query).all()
    return {
        id_: [(at, own, cadence) for _, at, own, cadence in group]
        for id_, group in groupby(rows, key=lambda row: row[0])
    }


def _load_failures(connection: Connection, reach: _Reach) -> dict[int, list[Failure]]:
    """The looks from these days on that failed, at all paths that ever led to a model, by its id."""
    query = (
        select(target_models.c.model_id, unix_seconds(connection, _o.observed_at), _o.run_id)
        .join(observations, _o.target_id == target_models.c.target_id)
        .where(
            target_models.c.model_id.in_(reach.known),
            _o.outcome == "failed",
            _o.observed_at >= midnight_of(reach.start),
        )
        .order_by(target_models.c.model_id, _o.observed_at)
    )
    found: dict[int, list[Failure]] = {}
    for model_id, at, run_id in connection.execute(query):
        found.setdefault(model_id, []).append((at, run_id))
    return found


def _last(what: str, until: datetime | sa.ColumnElement[Any], *, scheduled: bool = False) -> sa.ScalarSelect[Any]:
    """The time or the cadence of the last look at a model until an instant, that included."""
    o, cadence, query = _looks(what, scheduled=scheduled)
    bound = sa.literal(until, UtcTime()) if isinstance(until, datetime) else until
    query = query.where(o.c.observed_at <= bound).order_by(o.c.observed_at.desc(), cadence)
    return query.limit(1).correlate(models, evidence_daily).scalar_subquery()


def _first(what: str, since: datetime, *, scheduled: bool = False) -> sa.ScalarSelect[Any]:
    """The time or the cadence of the first look at a model from an instant on."""
    o, _, query = _looks(what, scheduled=scheduled)
    query = query.where(o.c.observed_at >= since).order_by(o.c.observed_at)
    return query.limit(1).correlate(models).scalar_subquery()


def _looks(what: str, *, scheduled: bool) -> tuple[Any, sa.ColumnElement[Any], sa.Select[Any]]:
    o, r = observations.alias(), runs.alias()
    cadence = r.c.cadence_seconds
    query = select(o.c.observed_at if what == "time" else cadence).select_from(o.join(r))
    query = query.where(o.c.model_id == models.c.id, o.c.is_evidence)
    return o, cadence, query.where(cadence.is_not(None)) if scheduled else query


def _row(day: Day) -> tuple[Any, ...]:
    last = None if day.last is None else instant_of(day.last)
    return (day.observed, day.imported, day.missed, day.failed, day.covered, last)


def _load_days(connection: Connection, reach: _Reach) -> Rows:
    first, after = reach.start.date(), reach.end.date()
    query = select(evidence_daily).where(_d.model_id.in_(reach.known), _d.day >= first, _d.day < after)
    return {(row[0], row[1]): tuple(row[2:]) for row in connection.execute(query)}


def _load_gaps(connection: Connection, reach: _Reach) -> Rows:
    within = (_g.started_at >= reach.start) & (_g.started_at < reach.end)
    query = select(closed_gaps).where(_g.model_id.in_(reach.known), within)
    return {
        (row[0], row[1]): tuple(row[2:])
        for row in connection.execute(query)
        if seconds_of(row[1]) >= reach.known[row[0]].since
    }


def _load_gaps_into(connection: Connection, known: Mapping[int, Known], midnight: datetime) -> dict[int, list[Gap]]:
    """The gaps that reach into this day and began before what changed, by model."""
    earlier = closed_gaps.alias()
    last = select(sa.func.max(earlier.c.started_at)).where(
        earlier.c.model_id == _g.model_id, earlier.c.started_at < midnight
    )
    query = (
        select(closed_gaps)
        .where(_g.model_id.in_(known), _g.ended_at > midnight)
        .where(_g.started_at >= sa.func.coalesce(last.scalar_subquery(), sa.literal(midnight, UtcTime())))
        .order_by(_g.model_id, _g.started_at)
    )
    found: dict[int, list[Gap]] = {}
    for model_id, start, end, *rest in connection.execute(query):
        if seconds_of(start) < known[model_id].since:
            found.setdefault(model_id, []).append(Gap(seconds_of(start), seconds_of(end), *rest))
    return found
