"""Note which rollups must be made anew: of which models, on which days, from when on. Inside one write transaction.

Whoever writes looks notes it in the same transaction, so that no killed process leaves a rollup wrong for good.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from itertools import groupby
from operator import itemgetter

import sqlalchemy as sa
from sqlalchemy import Connection, select

from endpoint_history.database.dialect import insert
from endpoint_history.times import hour_of, instant_of, midnight_of, seconds_of
from models.listing import UPTIME_WINDOW
from models.tables import endpoints, observations, stale_rollups, target_models, uptime_daily, uptime_hourly

_DAY_SECONDS = 86_400
_MARKS_AT_ONCE = 500
_DAYS_AT_ONCE = 32  # of few models rather than one day of all: what lies around a span is read once for each


@dataclass(frozen=True, slots=True)
class DirtyDays:
    """From a whole hour to before a midnight (UTC), of some models by id.

    `since` tells when on the first day the evidence of each changed first.
    """

    start: datetime
    end: datetime
    since: Mapping[int, datetime]

    @property
    def model_ids(self) -> tuple[int, ...]:
        """The models."""
        return tuple(self.since)

    @property
    def days(self) -> tuple[date, date]:
        """The first day, and the one after the last."""
        return self.start.date(), self.end.date()

    def from_(self, instant: datetime | None) -> DirtyDays | None:
        """What of it is not before a midnight, if anything is."""
        start = max(self.start, instant) if instant else self.start
        return replace(self, start=start) if start < self.end else None


def mark(connection: Connection, touched: Iterable[tuple[datetime, int]]) -> None:
    """Note that the evidence of these models (by id) changed at these instants.

    A sample stands for the minutes since the one before it: one that comes or goes changes the next, so its day too.
    """
    since: dict[tuple[int, int], datetime] = {}
    for at, id_ in touched:
        for instant in (at, max(at, midnight_of(at + UPTIME_WINDOW))):
            key = (id_, seconds_of(instant) // _DAY_SECONDS)
            since[key] = min(since.get(key, instant), instant)
    if since:
        rows = [{"model_id": id_, "day": day, "since": since[id_, day]} for id_, day in sorted(since)]
        new = insert(connection, stale_rollups)
        earlier = new.excluded.since < stale_rollups.c.since
        connection.execute(
            new.on_conflict_do_update(
                index_elements=["model_id", "day"], set_={"since": new.excluded.since}, where=earlier
            ),
            rows,
        )


def mark_new_provenance(connection: Connection, ids: Sequence[int]) -> None:
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
    o, p, later = observations, target_models, observations.alias()
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
        {"model": id_, "hour": hour_of(utc), "date": utc.date()}
        for utc, id_ in ((at.astimezone(UTC), id_) for at, id_ in lost)
    ]
    for table, column, name in ((uptime_hourly, "hour_at", "hour"), (uptime_daily, "day", "date")) if buckets else ():
        where = table.c.endpoint_id.in_(of_model) & (table.c[column] == sa.bindparam(name))
        connection.execute(table.delete().where(where), buckets)


def is_dirty(connection: Connection, before: datetime | None = None) -> bool:
    """Whether anything is noted, or anything of the days before a midnight."""
    query = select(stale_rollups.c.day).limit(1)
    if before:
        query = query.where(stale_rollups.c.day < int(before.timestamp()) // _DAY_SECONDS)
    return connection.execute(query).first() is not None


def take_dirty_days(connection: Connection) -> list[DirtyDays]:
    """Some of what is noted, its notes removed; empty if nothing is."""
    s = stale_rollups.c
    query = select(s.model_id, s.day, s.since).order_by(s.day // _DAYS_AT_ONCE, s.model_id, s.day)
    marks = connection.execute(query.limit(_MARKS_AT_ONCE)).all()
    if not marks:
        return []
    gone = [{"model": model_id, "on": day} for model_id, day, _ in marks]
    key = (s.model_id == sa.bindparam("model")) & (s.day == sa.bindparam("on"))
    connection.execute(stale_rollups.delete().where(key), gone)
    since = {(model_id, day): instant for model_id, day, instant in marks}
    spans: dict[tuple[datetime, datetime], dict[int, datetime]] = {}
    for model_id, first, last in _runs(since):
        instant = since[model_id, first]
        spans.setdefault((hour_of(instant), _midnight(last + 1)), {})[model_id] = instant
    return [DirtyDays(*bounds, of_models) for bounds, of_models in sorted(spans.items(), key=itemgetter(0))]


def _runs(marks: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int, int]]:
    """Each run of days of a model without a day between: (model id, first, last)."""
    numbered = enumerate(sorted(marks))
    for (model_id, _), run in groupby(numbered, key=lambda item: (item[1][0], item[1][1] - item[0])):
        days = [day for _, (_, day) in run]
        yield model_id, days[0], days[-1]


def _midnight(day: int) -> datetime:
    return instant_of(day * _DAY_SECONDS)
