"""Incidents as they were known: when it was seen that one began, and that it is over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy import Connection, select

from endpoint_history.alerts.engine import IncidentTimes
from endpoint_history.alerts.observations import ObservationTimes, Subject, in_chunks, valued_samples
from endpoint_history.rollups.incidents import CLOSES_AFTER, OPENS_AFTER, REACH, SILENCE
from models.tables import incident_spans

_i = incident_spans.c


@dataclass(frozen=True, slots=True)
class KnownIncident:
    """An incident, how bad it was at its worst, and what ended it: recovered, left, silent or redefined."""

    times: IncidentTimes
    worst_uptime_pct: float
    ended_by: str | None


def load_incidents(
    connection: Connection,
    subjects: Sequence[Subject],
    last_observation_times: Mapping[int, datetime],
    looks: ObservationTimes,
    *,
    only_news: bool = False,
) -> list[tuple[Subject, KnownIncident]]:
    """The incidents of the endpoints that have one which was not known to be over at their models' last looks.

    `only_news` leaves out their other incidents.
    """
    by_id = {subject.id: subject for subject in subjects}
    rows: list[sa.RowMapping] = []
    for ids in in_chunks(list(by_id)):
        newest = select(_i.endpoint_id, sa.func.max(_i.started_at).label("at")).where(_i.started_at <= looks.until)
        last = newest.where(_i.endpoint_id.in_(ids)).group_by(_i.endpoint_id).subquery()
        same = (_i.endpoint_id == last.c.endpoint_id) & (_i.started_at == last.c.at)
        found = connection.execute(select(incident_spans).join(last, same)).mappings()
        touched = [
            row["endpoint_id"]
            for row in found
            if _may_be_news(row, last_observation_times.get(by_id[row["endpoint_id"]].model_id))
        ]
        query = select(incident_spans).where(_i.endpoint_id.in_(touched), _i.started_at <= looks.until)
        rows += connection.execute(query.order_by(_i.endpoint_id, _i.started_at)).mappings()
    if only_news:
        rows = [
            row for row in rows if _may_be_news(row, last_observation_times.get(by_id[row["endpoint_id"]].model_id))
        ]
    return [(by_id[row["endpoint_id"]], known) for row, known in _known(connection, by_id, rows, looks)]


def _may_be_news(row: sa.RowMapping, last_look: datetime | None) -> bool:
    return row["ended_at"] is None or last_look is None or row["ended_at"] + timedelta(seconds=REACH) > last_look


def _known(
    connection: Connection, by_id: Mapping[int, Subject], rows: Sequence[sa.RowMapping], looks: ObservationTimes
) -> Iterator[tuple[sa.RowMapping, KnownIncident]]:
    """The same with when it was known. Where retention has taken the samples that told it, that is when it was so."""
    opened = valued_samples(connection, [(row["endpoint_id"], row["started_at"]) for row in rows], OPENS_AFTER)
    recovered = [(row["endpoint_id"], row["ended_at"]) for row in rows if row["ended_by"] == "recovered"]
    calm = dict(zip(recovered, valued_samples(connection, recovered, CLOSES_AFTER), strict=True))
    shown = {"silent": timedelta(seconds=SILENCE - 1), "redefined": timedelta(0)}
    asked = [
        (by_id[row["endpoint_id"]], row["ended_at"] + shown[row["ended_by"]])
        for row in rows
        if row["ended_by"] in shown
    ]
    looks.prefetch(asked)
    for row, second in zip(rows, opened, strict=True):
        id_, start, end, by = (row[name] for name in ("endpoint_id", "started_at", "ended_at", "ended_by"))
        opened_at = second if second and (end is None or second < end) else start
        if by == "recovered":
            third = calm[id_, end]
            over_at = third if third and third <= end + timedelta(seconds=REACH) else end
        else:
            over_at = looks.of(by_id[id_])(end + shown[by]) if by in shown else end
        is_over = over_at is not None and over_at <= looks.until
        times = IncidentTimes(start, opened_at, end, over_at) if is_over else IncidentTimes(start, opened_at)
        if opened_at <= looks.until:
            yield row, KnownIncident(times, row["worst_uptime_pct"], by if is_over else None)
