"""Remove raw uptime samples that are old enough, where their rollups stand. Prices and listings are never thinned.

Rollups before `settled_before` are final: what came of their samples can't be worked out again. Samples are kept a few
days longer than that, as those of the first days that are not final need what lies before them.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy import select

from flows.database import writing
from flows.incidents import REACH
from flows.partitions import drop_months
from flows.rollups import roll_up
from flows.stale import WINDOW, settled_before
from models.rollups import incident_spans, retention
from models.tables import endpoints, uptime_samples

_ENDPOINTS_AT_ONCE = 100
_LOOKED_BACK = timedelta(seconds=REACH) + WINDOW


def thin(engine: sa.Engine, days: int, now: datetime) -> int:
    """Remove the samples of more than so many days (30 at least) ago, and give how many they were.

    Those of an incident that goes on stay. In bounded parts, each in a write transaction of its own.
    """
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days)
    roll_up(engine)
    with writing(engine) as connection:
        limit = max(midnight, settled_before(connection) or midnight)
        connection.execute(retention.delete())
        connection.execute(retention.insert().values(settled_before=limit))
        kept = select(incident_spans.c.endpoint_id).where(incident_spans.c.ended_at.is_(None))
        ids = connection.execute(select(endpoints.c.id).where(endpoints.c.id.not_in(kept))).scalars().all()
    removed = 0
    for part in (ids[start : start + _ENDPOINTS_AT_ONCE] for start in range(0, len(ids), _ENDPOINTS_AT_ONCE)):
        old = uptime_samples.c.endpoint_id.in_(part) & (uptime_samples.c.observed_at < limit - _LOOKED_BACK)
        with writing(engine) as connection:
            removed += connection.execute(uptime_samples.delete().where(old)).rowcount
    with writing(engine) as connection:
        drop_months(connection, limit - _LOOKED_BACK)
    return removed
