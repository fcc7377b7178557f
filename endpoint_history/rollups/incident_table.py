"""Keep the table of incidents up to date where samples changed. Inside one write transaction.

For each endpoint, only the samples that matter are read: from the last ones before the span that can be in a row with
samples of it, to the point after its end where no incident can continue.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, select

from endpoint_history.database.dialect import unix_seconds
from endpoint_history.database.replace import Rows, replace
from endpoint_history.rollups.dirty import DirtyDays
from endpoint_history.rollups.incidents import BAD_BELOW, CLOSES_AFTER, OPENS_AFTER, REACH, SILENCE, Incident, incidents
from endpoint_history.rollups.watermark import LOOKBACK
from endpoint_history.times import hour_of, instant_of, midnight_of, seconds_of
from models.tables import endpoints, incident_spans, listing_changes, uptime_daily, uptime_hourly, uptime_samples
from models.types import UtcTime

_SAMPLES_AT_ONCE = 200
_LONGEST_ROW = max(OPENS_AFTER, CLOSES_AFTER) - 1  # of samples that have not opened or closed an incident yet
Sample = tuple[int, float | None]  # unix seconds, percent
_u, _i, _d, _h = uptime_samples.c, incident_spans.c, uptime_daily.c, uptime_hourly.c


def roll_up_incidents(connection: Connection, span: DirtyDays, watermark: datetime | None = None) -> None:
    """Update the incidents of these models' endpoints that the samples of these days can have changed.

    Incidents that ended more than `LOOKBACK` before the watermark are final: their samples may be gone.
    """
    since = midnight_of(span.start - timedelta(seconds=REACH))
    stored = _load_incidents(connection, span, since, watermark and watermark - LOOKBACK)
    ids = stored.keys() | _in_trouble(connection, span, since)
    absences = _load_absences(connection, ids)
    cuts = _load_cuts(connection, ids, span.start, since)
    samples = _load_samples(connection, cuts, span.end)
    sampled_later = _sampled_later(connection, ids, span.end)
    old: Rows = {}
    new: Rows = {}
    for id_ in sorted(ids):
        cut = cuts[id_]
        before = [incident for incident in stored.get(id_, []) if _matters(incident, cut, since)]
        later = _load_until_calm(connection, id_, span.end) if id_ in sampled_later else []
        running = _load_running(connection, id_, before, cut)
        found = incidents([*samples.get(id_, []), *later], absences.get(id_, []), *running)
        new |= {(id_, instant_of(incident.started_at)): _row(incident) for incident in found}
        reached = [incident for incident in before if not later or incident.started_at <= later[-1][0]]
        old |= {(id_, instant_of(incident.started_at)): _row(incident) for incident in reached}
    replace(connection, incident_spans, old, new)


def _load_incidents(
    connection: Connection, span: DirtyDays, since: datetime, final_before: datetime | None
) -> dict[int, list[Incident]]:
    """Return the incidents that continue at `since` or began later, by endpoint id, in order of time."""
    earlier = incident_spans.alias()
    last = select(sa.func.max(earlier.c.started_at)).where(
        earlier.c.endpoint_id == _i.endpoint_id, earlier.c.started_at < since
    )
    query = (
        select(incident_spans)
        .join(endpoints)
        .where(endpoints.c.model_id.in_(span.model_ids))
        .where(_i.started_at >= sa.func.coalesce(last.scalar_subquery(), sa.literal(since, UtcTime())))
        .order_by(_i.endpoint_id, _i.started_at)
    )
    found: dict[int, list[Incident]] = {}
    for row in connection.execute(query).mappings():
        goes_on = row["ended_at"] is None or row["ended_at"] > since or row["started_at"] >= since
        is_final = final_before is not None and row["ended_at"] is not None and row["ended_at"] < final_before
        if goes_on or (not is_final and _may_continue(connection, row, span.start)):
            found.setdefault(row["endpoint_id"], []).append(_incident(row))
    return found


def _may_continue(connection: Connection, row: sa.RowMapping, start: datetime) -> bool:
    """True if the gap that ended this incident is only visible through samples of the span or later.

    If those are removed, the incident continues.
    """
    if row["ended_by"] != "silent":
        return False
    shown_from = row["ended_at"] - timedelta(seconds=1) + timedelta(seconds=SILENCE)
    between = (_u.endpoint_id == row["endpoint_id"]) & (_u.observed_at >= shown_from) & (_u.observed_at < start)
    return connection.execute(select(_u.observed_at).where(between).limit(1)).first() is None


def _in_trouble(connection: Connection, span: DirtyDays, since: datetime) -> set[int]:
    """Return the endpoints that have a bad sample on a day from `since` on."""
    bad = (_d.endpoint_id == endpoints.c.id) & (_d.day >= since.date()) & (_d.below_95_seconds > 0)
    query = select(endpoints.c.id).where(endpoints.c.model_id.in_(span.model_ids), sa.exists().where(bad))
    return set(connection.execute(query).scalars())


def _load_cuts(connection: Connection, ids: Iterable[int], start: datetime, since: datetime) -> dict[int, datetime]:
    """Return the hour from which each endpoint's samples matter: no earlier one is in a row that reaches `start`."""
    value = (_u.observed_at >= since) & (_u.observed_at < start) & _u.uptime_30m_pct.is_not(None)
    first_in_row = (
        select(_u.observed_at)
        .where(_u.endpoint_id == endpoints.c.id, value)
        .order_by(_u.observed_at.desc())
        .offset(_LONGEST_ROW - 1)
        .limit(1)
        .scalar_subquery()
    )
    rows = connection.execute(select(endpoints.c.id, first_in_row).where(endpoints.c.id.in_(ids)))
    return {id_: hour_of(at) if at else since for id_, at in rows}


def _matters(incident: Incident, cut: datetime, since: datetime) -> bool:
    """True if the incident continues at the cut or began later, or was loaded because it may continue."""
    ended_at = incident.ended_at
    return ended_at is None or ended_at > seconds_of(cut) or ended_at <= seconds_of(since)


def _load_samples(connection: Connection, cuts: Mapping[int, datetime], end: datetime) -> dict[int, list[Sample]]:
    """Return the samples of each endpoint from its cut to `end`."""
    from_cut: dict[datetime, list[int]] = {}
    for id_, cut in cuts.items():
        from_cut.setdefault(cut, []).append(id_)
    query = select(_u.endpoint_id, unix_seconds(connection, _u.observed_at), _u.uptime_30m_pct)
    query = query.where(_u.observed_at < end).order_by(_u.endpoint_id, _u.observed_at)
    found: dict[int, list[Sample]] = {}
    for cut, ids in from_cut.items():
        rows = connection.execute(query.where(_u.endpoint_id.in_(ids), _u.observed_at >= cut)).all()
        for id_, group in groupby(rows, key=lambda row: row[0]):
            found[id_] = [(at, uptime) for _, at, uptime in group]
    return found


def _sampled_later(connection: Connection, ids: Iterable[int], end: datetime) -> set[int]:
    later = sa.exists().where(_u.endpoint_id == endpoints.c.id, _u.observed_at >= end)
    return set(connection.execute(select(endpoints.c.id).where(endpoints.c.id.in_(ids), later)).scalars())


def _load_until_calm(connection: Connection, id_: int, end: datetime) -> list[Sample]:
    """Return the samples from `end` to where enough good ones in a row end any incident, or to the last."""
    query = (
        select(unix_seconds(connection, _u.observed_at), _u.uptime_30m_pct, _u.observed_at)
        .where(_u.endpoint_id == id_)
        .order_by(_u.observed_at)
        .limit(_SAMPLES_AT_ONCE)
    )
    found: list[Sample] = []
    good, after = 0, end - timedelta(seconds=1)
    while rows := connection.execute(query.where(_u.observed_at > after)).all():
        after = rows[-1][2]
        for at, uptime, _ in rows:
            found.append((at, uptime))
            good = good if uptime is None else good + 1 if uptime >= BAD_BELOW else 0
            if good == CLOSES_AFTER:
                return found
    return found


def _load_absences(connection: Connection, ids: Iterable[int]) -> dict[int, list[int]]:
    """Return the times at which each of these endpoints was no longer listed, in unix seconds."""
    c = listing_changes.c
    query = select(c.endpoint_id, c.observed_at).where(c.endpoint_id.in_(ids), ~c.listed)
    found: dict[int, list[int]] = {}
    for id_, at in connection.execute(query.order_by(c.endpoint_id, c.observed_at)):
        found.setdefault(id_, []).append(seconds_of(at))
    return found


def _load_running(
    connection: Connection, id_: int, stored: Sequence[Incident], cut: datetime
) -> tuple[()] | tuple[Incident, int]:
    """Return the incident that continues at the cut, as it was then, and the time of its last sample with a value."""
    if not stored or stored[0].started_at >= seconds_of(cut):
        return ()
    start = instant_of(stored[0].started_at)
    day_after, midnight = midnight_of(start) + timedelta(days=1), midnight_of(cut)
    samples = select(sa.func.count(_u.uptime_30m_pct), sa.func.min(_u.uptime_30m_pct))
    first_day = (_u.observed_at >= start) & (_u.observed_at < min(day_after, cut))
    days = select(sa.func.coalesce(sa.func.sum(_d.samples), 0), sa.func.min(_d.min_uptime_pct))
    between = (_d.day >= day_after.date()) & (_d.day < cut.date())
    hours = select(sa.func.coalesce(sa.func.sum(_h.samples), 0), sa.func.min(_h.min_uptime_pct))
    last_day = (_h.hour_at >= max(day_after, midnight)) & (_h.hour_at < cut)
    parts = [
        connection.execute(samples.where(_u.endpoint_id == id_, first_day)).one(),
        connection.execute(days.where(_d.endpoint_id == id_, between)).one(),
        connection.execute(hours.where(_h.endpoint_id == id_, last_day)).one(),
    ]
    has_value = (_u.endpoint_id == id_) & (_u.observed_at < cut) & _u.uptime_30m_pct.is_not(None)
    last = select(_u.observed_at).where(has_value).order_by(_u.observed_at.desc()).limit(1)
    # Before the watermark, late observations may have removed samples.
    worst = min((worst for _, worst in parts if worst is not None), default=stored[0].worst)
    running = Incident(stored[0].started_at, sum(count for count, _ in parts), worst)
    return running, seconds_of(connection.execute(last).scalar() or start)


def _incident(row: sa.RowMapping) -> Incident:
    ended_at = None if row["ended_at"] is None else seconds_of(row["ended_at"])
    return Incident(seconds_of(row["started_at"]), row["samples"], row["worst_uptime_pct"], ended_at, row["ended_by"])


def _row(incident: Incident) -> tuple[Any, ...]:
    ended_at = None if incident.ended_at is None else instant_of(incident.ended_at)
    return (ended_at, incident.ended_by, incident.samples, incident.worst)
