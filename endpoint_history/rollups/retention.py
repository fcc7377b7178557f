"""Retention: remove old raw uptime samples whose rollups are final. Prices and listings are always kept.

Before the watermark, rollups of uptime are final, as they can no longer be computed. Samples that later rollups need,
and samples that prove a listing, stay.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy import Connection, select

from endpoint_history.database.dialect import unix_seconds
from endpoint_history.database.engine import writing
from endpoint_history.database.partitions import release_partitions
from endpoint_history.rollups.dirty import is_dirty
from endpoint_history.rollups.refresh import roll_up
from endpoint_history.rollups.watermark import LOOKBACK, read_watermark
from endpoint_history.times import midnight_of
from models.tables import endpoints, incident_spans, observations, retention, uptime_samples

_ENDPOINTS_AT_ONCE = 100
_u, _i, _o = uptime_samples.c, incident_spans.c, observations.c


def remove_old_samples(engine: sa.Engine, days: int, now: datetime) -> int:
    """Remove raw samples older than the UTC midnight `days` before `now` (aware). Returns how many.

    Works in bounded parts, each in its own write transaction. The watermark never moves back, even if `days` has grown.
    """
    watermark = _advance_watermark(engine, midnight_of(now.astimezone(UTC)) - timedelta(days=days))
    with engine.connect() as connection:
        rows = connection.execute(select(endpoints.c.id, endpoints.c.model_id).order_by(endpoints.c.id)).all()
    removed = 0
    for start in range(0, len(rows), _ENDPOINTS_AT_ONCE):
        with writing(engine) as connection:
            for id_, model_id in rows[start : start + _ENDPOINTS_AT_ONCE]:
                removed += _remove(connection, id_, model_id, watermark)
    release_partitions(engine, watermark - LOOKBACK)
    return removed


def _advance_watermark(engine: sa.Engine, limit: datetime) -> datetime:
    """Move the watermark to this midnight, once no rollup before it is dirty. Returns the watermark."""
    while True:
        roll_up(engine)
        with writing(engine) as connection:
            if is_dirty(connection, before=limit):
                continue  # another run added dirty days meanwhile
            limit = max(limit, read_watermark(connection) or limit)
            connection.execute(retention.delete())
            connection.execute(retention.insert().values(final_before=limit))
            return limit


def _remove(connection: Connection, endpoint_id: int, model_id: int, watermark: datetime) -> int:
    """Remove the samples of an endpoint that nothing needs. Returns how many."""
    before = _needed_from(connection, endpoint_id, watermark)
    old = (_u.endpoint_id == endpoint_id) & (_u.observed_at < before)
    oldest = connection.execute(select(sa.func.min(_u.observed_at)).where(old)).scalar()
    if oldest is None:
        return 0
    # For an incomplete observation, only its samples show what it listed.
    proofs = select(unix_seconds(connection, _o.observed_at)).where(
        _o.model_id == model_id, _o.is_evidence, ~_o.complete, _o.observed_at.between(oldest, before)
    )
    is_proof = unix_seconds(connection, _u.observed_at).in_(proofs)
    return connection.execute(uptime_samples.delete().where(old, ~is_proof)).rowcount


def _needed_from(connection: Connection, endpoint_id: int, watermark: datetime) -> datetime:
    """Return when the samples in need begin: at the last before the lookback, or at an incident that may change."""
    lookback_start = watermark - LOOKBACK
    newest = select(sa.func.max(_u.observed_at)).where(_u.endpoint_id == endpoint_id, _u.observed_at < lookback_start)
    begun = select(sa.func.min(_i.started_at)).where(
        _i.endpoint_id == endpoint_id, _i.ended_at.is_(None) | (_i.ended_at >= lookback_start)
    )
    last, start = (connection.execute(query).scalar() for query in (newest, begun))
    needed: datetime = min(last or lookback_start, start or lookback_start)
    return needed
