"""Note which rollups must be made anew: of which models, on which days. Inside one write transaction.

Whoever writes looks notes it in the same transaction, so that no killed process leaves a rollup wrong for good.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from itertools import groupby

import sqlalchemy as sa
from sqlalchemy import Connection, select

from flows.dialect import insert
from models.listing import UPTIME_WINDOW
from models.rollups import stale_rollups, uptime_daily, uptime_hourly
from models.tables import endpoints, observations, paths

_DAY_SECONDS = 86_400
_MARKS_AT_ONCE = 500
_DAYS_AT_ONCE = 32  # of few models rather than one day of all: what lies around a span is read once for each


@dataclass(frozen=True, slots=True)
class Span:
    """Whole UTC days, from `start` to before `end`, of some models by id."""

    start: datetime
    end: datetime
    model_ids: tuple[int, ...]

    @property
    def days(self) -> tuple[date, date]:
        """The first day, and the one after the last."""
        return self.start.date(), self.end.date()

    def from_(self, instant: datetime | None) -> Span | None:
        """What of it is not before a midnight, if anything is."""
        start = max(self.start, instant) if instant else self.start
        return replace(self, start=start) if start < self.end else None


def mark(connection: Connection, touched: Iterable[tuple[datetime, int]]) -> None:
    """Note that the evidence of these models (by id) changed at these instants.

    A sample stands for the minutes since the one before it: one that comes or goes changes the next, so its day too.
    """
    days = {(id_, int(t.timestamp()) // _DAY_SECONDS) for at, id_ in touched for t in (at, at + UPTIME_WINDOW)}
    if days:
        rows = [{"model_id": id_, "day": day} for id_, day in sorted(days)]
        connection.execute(insert(connection, stale_rollups).on_conflict_do_nothing(), rows)


def mark_proofs(connection: Connection, ids: Sequence[int]) -> None:
    """Note that these looks, by id, are proved by another run, which may be under another schedule."""
    o = observations
    if ids:
        proved = connection.execute(select(o.c.observed_at, o.c.model_id).where(o.c.id.in_(ids), o.c.is_evidence))
        mark(connection, [(at, model_id) for at, model_id in proved])
        mark_failures(connection, ids)


def mark_failures(connection: Connection, ids: Sequence[int], paths_: Iterable[tuple[int, int]] = ()) -> None:
    """Note that these looks, by id, may have failed in gaps, and all that failed at new paths (target id, model id).

    A gap ends with a look that counts. Where none has come yet, it will note the day itself.
    """
    o, p, later = observations, paths, observations.alias()
    ended = (later.c.model_id == p.c.model_id) & later.c.is_evidence & (later.c.observed_at > o.c.observed_at)
    query = (
        select(o.c.observed_at, p.c.model_id)
        .join(p, p.c.target_id == o.c.target_id)
        .where(o.c.outcome == "failed", sa.exists().where(ended))
    )
    wheres: list[sa.ColumnElement[bool]] = [o.c.id.in_(ids)] if ids else []
    wheres += [(p.c.target_id == target_id) & (p.c.model_id == model_id) for target_id, model_id in paths_]
    for where in wheres:
        mark(connection, [(at, model_id) for at, model_id in connection.execute(query.where(where))])


def forget(connection: Connection, lost: Iterable[tuple[datetime, int]]) -> None:
    """Remove the hours and days of samples that models (by id) lost: of what has others left they are made anew."""
    of_model = select(endpoints.c.id).where(endpoints.c.model_id == sa.bindparam("model"))
    buckets = [
        {"model": id_, "hour": utc.replace(minute=0, second=0), "date": utc.date()}
        for utc, id_ in ((at.astimezone(UTC), id_) for at, id_ in lost)
    ]
    for table, column, name in ((uptime_hourly, "hour_at", "hour"), (uptime_daily, "day", "date")) if buckets else ():
        where = table.c.endpoint_id.in_(of_model) & (table.c[column] == sa.bindparam(name))
        connection.execute(table.delete().where(where), buckets)


def is_stale(connection: Connection, before: datetime | None = None) -> bool:
    """Whether anything is noted, or anything of the days before a midnight."""
    query = select(stale_rollups.c.day).limit(1)
    if before:
        query = query.where(stale_rollups.c.day < int(before.timestamp()) // _DAY_SECONDS)
    return connection.execute(query).first() is not None


def take_spans(connection: Connection) -> list[Span]:
    """Some of what is noted, its notes removed; empty if nothing is."""
    s = stale_rollups.c
    query = select(s.model_id, s.day).order_by(s.day // _DAYS_AT_ONCE, s.model_id, s.day)
    marks = connection.execute(query.limit(_MARKS_AT_ONCE)).all()
    if not marks:
        return []
    gone = [{"model": model_id, "on": day} for model_id, day in marks]
    key = (s.model_id == sa.bindparam("model")) & (s.day == sa.bindparam("on"))
    connection.execute(stale_rollups.delete().where(key), gone)
    models_of: dict[tuple[int, int], list[int]] = {}
    for model_id, first, last in _runs((model_id, day) for model_id, day in marks):
        models_of.setdefault((first, last + 1), []).append(model_id)
    return [Span(_midnight(first), _midnight(end), tuple(ids)) for (first, end), ids in sorted(models_of.items())]


def _runs(marks: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int, int]]:
    """Each run of days of a model without a day between: (model id, first, last)."""
    numbered = enumerate(sorted(marks))
    for (model_id, _), run in groupby(numbered, key=lambda item: (item[1][0], item[1][1] - item[0])):
        days = [day for _, (_, day) in run]
        yield model_id, days[0], days[-1]


def _midnight(day: int) -> datetime:
    return datetime.fromtimestamp(day * _DAY_SECONDS, UTC)
