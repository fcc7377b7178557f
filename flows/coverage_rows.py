"""Keep the tables of how well models were observed right where looks changed. Inside one write transaction."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, select

from flows.coverage import Look, coverage
from flows.dialect import unix_seconds
from flows.replace import Rows, replace
from flows.stale import Span
from models.rollups import evidence_daily, evidence_gaps
from models.tables import models, observations, runs
from models.types import UtcTime

_o, _r = observations.c, runs.c
_EPOCH = date(1970, 1, 1)
_FOR_EVER = datetime(9999, 1, 1, tzinfo=UTC)


def roll_up_coverage(connection: Connection, span: Span) -> None:
    """The days and gaps of these models, as far as looks of these days can have changed them."""
    for reach in _reaches(connection, span):
        first, after = reach.days
        days: Rows = {}
        gaps: Rows = {}
        for model_id, looks, cadence in _load_looks(connection, reach):
            by_day, found = coverage(looks, cadence)
            for number, day in by_day.items():
                on = _EPOCH + timedelta(days=number)
                if first <= on < after:
                    days[model_id, on] = (day.observed, day.imported, day.lacking, day.covered)
            gaps |= {(model_id, _time(gap.start)): (_time(gap.end), gap.cadence, gap.lacking) for gap in found}
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
        found.setdefault((_midnight(start), _midnight(end)), []).append(id_)
    return [Span(start, end, tuple(ids)) for (start, end), ids in found.items()]


def _load_looks(connection: Connection, reach: Span) -> Iterator[tuple[int, Iterator[Look], int | None]]:
    """The looks that count in these days, the one before them and the one after, and the schedule before, by model."""
    cadence = _nearest("cadence", reach.start, before=True, scheduled=True)
    of_models = models.c.id.in_(reach.model_ids)
    cadences = dict(connection.execute(select(models.c.id, cadence).where(of_models)).tuples().all())
    before = sa.func.coalesce(_nearest("time", reach.start, before=True), sa.literal(reach.start, UtcTime()))
    after = sa.func.coalesce(_nearest("time", reach.end), sa.literal(reach.end, UtcTime()))
    query = (
        select(_o.model_id, unix_seconds(connection, _o.observed_at), _r.kind == "collect", _r.cadence_seconds)
        .select_from(models.join(observations, _o.model_id == models.c.id).join(runs))
        .where(of_models, _o.is_evidence, _o.observed_at >= before, _o.observed_at <= after)
        .order_by(_o.model_id, _o.observed_at, _r.cadence_seconds.nulls_last(), _r.kind.desc())
    )
    for id_, rows in groupby(connection.execute(query), key=lambda row: row[0]):
        yield id_, (Look(at, own, its_cadence) for _, at, own, its_cadence in rows), cadences[id_]


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
    """The gaps that begin in these days, and the one before them, which may reach into them."""
    c, earlier = evidence_gaps.c, evidence_gaps.alias()
    last = select(sa.func.max(earlier.c.started_at)).where(
        earlier.c.model_id == c.model_id, earlier.c.started_at < reach.start
    )
    query = select(evidence_gaps).where(
        c.model_id.in_(reach.model_ids),
        c.started_at >= sa.func.coalesce(last.scalar_subquery(), sa.literal(reach.start, UtcTime())),
        c.started_at < reach.end,
        c.ended_at >= reach.start,
    )
    return {(row[0], row[1]): tuple(row[2:]) for row in connection.execute(query)}


def _midnight(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0)


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
