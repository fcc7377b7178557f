"""Keep the tables of how well models were observed right where looks changed. Inside one write transaction."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, select

from flows.coverage import Failure, Look, coverage
from flows.dialect import unix_seconds
from flows.instants import instant_of, midnight_of, seconds_of
from flows.replace import Rows, replace
from flows.stale import Span
from models.rollups import evidence_daily, evidence_gaps
from models.tables import models, observations, paths, runs

_o, _r = observations.c, runs.c
_EPOCH = date(1970, 1, 1)
_FOR_EVER = datetime(9999, 1, 1, tzinfo=UTC)


def roll_up_coverage(connection: Connection, span: Span) -> None:
    """The days and gaps of these models, as far as looks of these days can have changed them."""
    for reach in _reaches(connection, span):
        first, after = reach.days
        days: Rows = {}
        gaps: Rows = {}
        looks, failures = _load_looks(connection, reach), _load_failures(connection, reach)
        for model_id, (last, following, cadence) in _load_around(connection, reach).items():
            seen = [*looks.get(model_id, []), *following]
            by_day, found = coverage(seen, failures.get(model_id, []), cadence, last)
            for number, day in by_day.items():
                on = _EPOCH + timedelta(days=number)
                if first <= on < after:
                    days[model_id, on] = (day.observed, day.imported, day.lacking, day.failed, day.covered)
            for start, end, *rest in found:
                if instant_of(start) >= reach.start:  # what began before ends with a look that is as it was
                    gaps[model_id, instant_of(start)] = (instant_of(end), *rest)
        replace(connection, evidence_daily, _load_days(connection, reach), days)
        replace(connection, evidence_gaps, _load_gaps(connection, reach), gaps)


def _reaches(connection: Connection, span: Span) -> list[Span]:
    """The days of the span with the gaps at its ends, and on until a look tells the schedule anew."""
    last = _nearest("time", span.start, before=True)
    told = _nearest("time", span.end, scheduled=True)
    query = select(models.c.id, last, told).where(models.c.id.in_(span.model_ids))
    found: dict[tuple[datetime, datetime], list[int]] = {}
    for id_, before, after in connection.execute(query):
        start = before or span.start
        end = after + timedelta(days=1) if after else _FOR_EVER
        found.setdefault((midnight_of(start), midnight_of(end)), []).append(id_)
    return [Span(start, end, tuple(ids)) for (start, end), ids in found.items()]


def _load_around(connection: Connection, reach: Span) -> dict[int, tuple[int | None, list[Look], int | None]]:
    """When the look before these days was, the one after them, and the schedule in force before, by model."""
    query = select(
        models.c.id,
        _nearest("time", reach.start, before=True),
        _nearest("time", reach.end),
        _nearest("cadence", reach.start, before=True, scheduled=True),
    )
    return {
        id_: (seconds_of(last) if last else None, [(seconds_of(following), False, None)] if following else [], cadence)
        for id_, last, following, cadence in connection.execute(query.where(models.c.id.in_(reach.model_ids)))
    }


def _load_looks(connection: Connection, reach: Span) -> dict[int, list[Look]]:
    """The looks that count in these days, by model; of one second that of the tightest schedule first, then our own."""
    query = (
        select(_o.model_id, unix_seconds(connection, _o.observed_at), _r.kind == "collect", _r.cadence_seconds)
        .join(runs)
        .where(_o.model_id.in_(reach.model_ids), _o.is_evidence)
        .where(_o.observed_at >= reach.start, _o.observed_at < reach.end)
        .order_by(_o.model_id, _o.observed_at, _r.cadence_seconds.nulls_last(), _r.kind.desc())
    )
    rows = connection.execute(query).all()
    return {
        id_: [(at, own, cadence) for _, at, own, cadence in group]
        for id_, group in groupby(rows, key=lambda row: row[0])
    }


def _load_failures(connection: Connection, reach: Span) -> dict[int, list[Failure]]:
    """The looks from these days on that failed, at all paths that ever led to a model, by its id."""
    query = (
        select(paths.c.model_id, unix_seconds(connection, _o.observed_at), _o.run_id)
        .join(observations, _o.target_id == paths.c.target_id)
        .where(paths.c.model_id.in_(reach.model_ids), _o.outcome == "failed", _o.observed_at >= reach.start)
        .order_by(paths.c.model_id, _o.observed_at)
    )
    found: dict[int, list[Failure]] = {}
    for model_id, at, run_id in connection.execute(query):
        found.setdefault(model_id, []).append((at, run_id))
    return found


def _nearest(what: str, at: datetime, *, before: bool = False, scheduled: bool = False) -> sa.ScalarSelect[Any]:
    """The time or the cadence of the last look at a model before an instant, or of the first from it on."""
    o, r = observations.alias(), runs.alias()
    column = o.c.observed_at if what == "time" else r.c.cadence_seconds
    query = select(column).select_from(o.join(r)).where(o.c.model_id == models.c.id, o.c.is_evidence)
    if scheduled:
        query = query.where(r.c.cadence_seconds.is_not(None))
    if before:
        query = query.where(o.c.observed_at < at).order_by(o.c.observed_at.desc(), r.c.cadence_seconds)
    else:
        query = query.where(o.c.observed_at >= at).order_by(o.c.observed_at)
    return query.limit(1).correlate(models).scalar_subquery()


def _load_days(connection: Connection, reach: Span) -> Rows:
    first, after = reach.days
    c = evidence_daily.c
    query = select(evidence_daily).where(c.model_id.in_(reach.model_ids), c.day >= first, c.day < after)
    return {(row[0], row[1]): tuple(row[2:]) for row in connection.execute(query)}


def _load_gaps(connection: Connection, reach: Span) -> Rows:
    c = evidence_gaps.c
    within = (c.started_at >= reach.start) & (c.started_at < reach.end)
    query = select(evidence_gaps).where(c.model_id.in_(reach.model_ids), within)
    return {(row[0], row[1]): tuple(row[2:]) for row in connection.execute(query)}
