"""Refresh dirty rollups: hours and days of uptime, incidents, and the coverage of each model.

Each rollup is a function of the rows below it and is computed again where they changed, so loading order has no effect.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy import Connection, bindparam

from endpoint_history.database.engine import writing
from endpoint_history.rollups.coverage_table import roll_up_coverage
from endpoint_history.rollups.dirty import DirtyDays, take_dirty_days
from endpoint_history.rollups.incident_table import roll_up_incidents
from endpoint_history.rollups.watermark import read_watermark
from endpoint_history.times import midnight_of
from models.listing import UPTIME_WINDOW
from models.tables import catalogue_daily
from models.types import UtcEpoch


class _Spelling(NamedTuple):
    """The SQL in which the two databases differ; {} is an operand."""

    seconds: str
    hour: str
    day: str
    least: str
    whole: str
    differs: str


_SPELLINGS = {
    "sqlite": _Spelling(
        seconds="({})",
        hour="observed_at - observed_at % 3600",
        day="date(hour_at, 'unixepoch')",
        least="min",
        whole="CAST({} + 0.5 AS INTEGER)",
        differs="IS NOT",
    ),
    "postgresql": _Spelling(
        seconds="CAST(extract(epoch FROM {}) AS INTEGER)",
        hour="date_trunc('hour', observed_at, 'UTC')",
        day="CAST(hour_at AT TIME ZONE 'UTC' AS DATE)",
        least="least",
        whole="CAST(floor({} + 0.5) AS BIGINT)",
        differs="IS DISTINCT FROM",
    ),
}
_WINDOW = int(UPTIME_WINDOW.total_seconds())
_SUMS = (
    "uptime_pct",
    "min_uptime_pct",
    "samples",
    "covered_seconds",
    "null_seconds",
    "below_95_seconds",
    "below_80_seconds",
)
# Sums are of whole numbers, 1e-9 percent times seconds, so the order of adding has no effect and both databases agree
# to the last bit. Sums of a day stay below 2^53, and the sum of an hour can be computed from its mean.
_HOURS = """
INSERT INTO uptime_hourly (endpoint_id, hour_at, {sums})
WITH weighed AS (
    SELECT endpoint_id, observed_at, uptime_30m_pct AS uptime, {least}({window}, coalesce({since_last}, {window})) AS s
    FROM uptime_samples
    WHERE endpoint_id IN (SELECT id FROM endpoints WHERE model_id IN :models)
      AND observed_at >= :before AND observed_at < :end
), summed AS (
    SELECT endpoint_id, {hour} AS hour_at, sum({nanos} * s) AS total, min(uptime) AS worst, count(uptime) AS samples,
        sum(CASE WHEN uptime IS NULL THEN 0 ELSE s END) AS covered,
        sum(CASE WHEN uptime IS NULL THEN s ELSE 0 END) AS nulls,
        sum(CASE WHEN uptime < 95 THEN s ELSE 0 END) AS below_95,
        sum(CASE WHEN uptime < 80 THEN s ELSE 0 END) AS below_80
    FROM weighed WHERE observed_at >= :start GROUP BY 1, 2
)
"""
_DAYS = """
INSERT INTO uptime_daily (endpoint_id, day, {sums})
WITH summed AS (
    SELECT endpoint_id, {day} AS day, sum({total}) AS total, min(min_uptime_pct) AS worst, sum(samples) AS samples,
        sum(covered_seconds) AS covered, sum(null_seconds) AS nulls,
        sum(below_95_seconds) AS below_95, sum(below_80_seconds) AS below_80
    FROM uptime_hourly
    WHERE endpoint_id IN (SELECT id FROM endpoints WHERE model_id IN :models) AND hour_at >= :start AND hour_at < :end
    GROUP BY 1, 2
)
"""
# Unchanged rows are not written: most hours of a day are unchanged.
_REPLACE = """
SELECT endpoint_id, {bucket}, CAST(total AS DOUBLE PRECISION) / (NULLIF(covered, 0) * 1e9), worst, samples,
    covered, nulls, below_95, below_80
FROM summed WHERE true
ON CONFLICT (endpoint_id, {bucket}) DO UPDATE SET {assignments}
WHERE ({stored}) {differs} ({excluded})
"""
_CATALOGUE = """
INSERT INTO catalogue_daily (day, sampled_endpoints, endpoints_with_uptime)
SELECT day, count(*), count(NULLIF(samples, 0)) FROM uptime_daily WHERE day >= :first AND day < :after GROUP BY day
"""


def roll_up(engine: sa.Engine) -> None:
    """Compute all dirty rollups again, a bounded part in each write transaction."""
    while True:
        with writing(engine) as connection:
            spans = take_dirty_days(connection)
            watermark = read_watermark(connection)
            for span in spans:
                if (open_days := span.from_(watermark)) is not None:
                    roll_up_uptime(connection, open_days)
                    roll_up_incidents(connection, open_days, watermark)
                roll_up_coverage(connection, span)
        if not spans:
            return


def roll_up_uptime(connection: Connection, span: DirtyDays) -> None:
    """Update the hours and days of all endpoints of these models, and the days of the whole catalogue."""
    of = {"models": list(span.model_ids), "end": span.end}
    dialect = connection.dialect.name
    connection.execute(_hours(dialect), {"before": span.start - UPTIME_WINDOW, "start": span.start, **of})
    connection.execute(_days(dialect), {"start": midnight_of(span.start), **of})
    first, after = span.days
    day = catalogue_daily.c.day
    connection.execute(catalogue_daily.delete().where(day >= first, day < after))
    connection.execute(_typed(_CATALOGUE), {"first": first, "after": after})


@cache
def _hours(dialect: str) -> sa.TextClause:
    d = _SPELLINGS[dialect]
    last = "lag(observed_at) OVER (PARTITION BY endpoint_id ORDER BY observed_at)"
    weighed = _HOURS.format(
        sums=", ".join(_SUMS),
        least=d.least,
        window=_WINDOW,
        since_last=d.seconds.format(f"observed_at - {last}"),
        hour=d.hour,
        nanos=d.whole.format("uptime * 1e9"),
    )
    return _typed(weighed + _replace(d, "uptime_hourly", "hour_at")).bindparams(bindparam("models", expanding=True))


@cache
def _days(dialect: str) -> sa.TextClause:
    d = _SPELLINGS[dialect]
    total = d.whole.format("uptime_pct * covered_seconds * 1e9")
    summed = _DAYS.format(sums=", ".join(_SUMS), day=d.day, total=total)
    return _typed(summed + _replace(d, "uptime_daily", "day")).bindparams(bindparam("models", expanding=True))


def _replace(d: _Spelling, table: str, bucket: str) -> str:
    return _REPLACE.format(
        bucket=bucket,
        assignments=", ".join(f"{name} = excluded.{name}" for name in _SUMS),
        stored=", ".join(f"{table}.{name}" for name in _SUMS),
        excluded=", ".join(f"excluded.{name}" for name in _SUMS),
        differs=d.differs,
    )


def _typed(sql: str) -> sa.TextClause:
    types = {"before": UtcEpoch, "start": UtcEpoch, "end": UtcEpoch, "first": sa.Date, "after": sa.Date}
    return sa.text(sql).bindparams(*(bindparam(n, type_=type_()) for n, type_ in types.items() if f":{n}" in sql))
