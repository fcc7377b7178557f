"""Record the models, days and start times whose rollups are dirty. Inside one write transaction.

A writer of observations marks them in its own transaction, so a killed process never leaves a wrong rollup unmarked.
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
_DAYS_AT_ONCE = 32  # of few models rather than one day of all, as the rows around a span are read once for each span


@dataclass(frozen=True, slots=True)
class DirtyDays:
    """Days to roll up: from a whole hour to a midnight (UTC), exclusive, of some models.

    `since` holds, by model id, the time of the first change of evidence on the first day.
    """

    start: datetime
    end: datetime
    since: Mapping[int, datetime]

    @property
    def model_ids(self) -> tuple[int, ...]:
        """Return the ids of the models."""
        return tuple(self.since)

    @property
    def days(self) -> tuple[date, date]:
        """Return the first day, and the day after the last."""
        return self.start.date(), self.end.date()

    def from_(self, instant: datetime | None) -> DirtyDays | None:
        """Return the part from a midnight on; None if there is none."""
        start = max(self.start, instant) if instant else self.start
        return replace(self, start=start) if start < self.end else None


def mark(connection: Connection, touched: Iterable[tuple[datetime, int]]) -> None:
    """Mark the days on which the evidence of these models (by id) changed.

    A sample covers the minutes since the sample before, so adding or removing one also changes the next, and its day.
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
    """Mark the days of these observations, by id, whose provenance changed: the other run may have another cadence."""
    o = observations
    if ids:
        proved = connection.execute(select(o.c.observed_at, o.c.model_id).where(o.c.id.in_(ids), o.c.is_evidence))
        mark(connection, [(at, model_id) for at, model_id in proved])
        mark_failures(connection, ids)


def mark_failures(connection: Connection, ids: Sequence[int], paths_: Iterable[tuple[int, int]] = ()) -> None:
    """Mark the days of failed observations that may be in gaps: these (ids), and all of these (target, model) paths.

    A gap ends with evidence. If there is none after the failure yet, it will mark the day itself.
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
    """Delete the rollups of samples that models (by id) lost. If other samples are left, they are computed again."""
    of_model = select(endpoints.c.id).where(endpoints.c.model_id == sa.bindparam("model"))
    buckets = [
        {"model": id_, "hour": hour_of(utc), "date": utc.date()}
        for utc, id_ in ((at.astimezone(UTC), id_) for at, id_ in lost)
    ]
    for table, column, name in ((uptime_hourly, "hour_at", "hour"), (uptime_daily, "day", "date")) if buckets else ():
        where = table.c.endpoint_id.in_(of_model) & (table.c[column] == sa.bindparam(name))
        connection.execute(table.delete().where(where), buckets)


def is_dirty(connection: Connection, before: datetime | None = None) -> bool:
    """True if any day, or any day before a midnight, is dirty."""
    query = select(stale_rollups.c.day).limit(1)
    if before:
        query = query.where(stale_rollups.c.day < int(before.timestamp()) // _DAY_SECONDS)
    return connection.execute(query).first() is not None


def take_dirty_days(connection: Connection) -> list[DirtyDays]:
    """Return some dirty days and unmark them; empty if none are dirty."""
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
    for model_id, first, last in _consecutive(since):
        instant = since[model_id, first]
        spans.setdefault((hour_of(instant), _midnight(last + 1)), {})[model_id] = instant
    return [DirtyDays(*bounds, of_models) for bounds, of_models in sorted(spans.items(), key=itemgetter(0))]


def _consecutive(marks: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int, int]]:
    """Yield consecutive days of each model: (model id, first, last)."""
    numbered = enumerate(sorted(marks))
    for (model_id, _), run in groupby(numbered, key=lambda item: (item[1][0], item[1][1] - item[0])):
        days = [day for _, (_, day) in run]
        yield model_id, days[0], days[-1]


def _midnight(day: int) -> datetime:
    return instant_of(day * _DAY_SECONDS)
