"""Remove raw uptime samples that are old enough, where their rollups stand. Prices and listings are never thinned.

Before `final_before` rollups of uptime are final: what came of their samples can't be worked out again. What later
rollups need of the time before it stays, and so does what proves a listing.
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
    """Remove raw samples from before the UTC midnight so many days before `now` (aware), and give how many.

    In bounded parts, each in a write transaction of its own. What was settled stays so, should `days` have grown.
    """
    settled = _settle(engine, midnight_of(now.astimezone(UTC)) - timedelta(days=days))
    with engine.connect() as connection:
        rows = connection.execute(select(endpoints.c.id, endpoints.c.model_id).order_by(endpoints.c.id)).all()
    removed = 0
    for start in range(0, len(rows), _ENDPOINTS_AT_ONCE):
        with writing(engine) as connection:
            for id_, model_id in rows[start : start + _ENDPOINTS_AT_ONCE]:
                removed += _remove(connection, id_, model_id, settled)
    release_partitions(engine, settled - LOOKBACK)
    return removed


def _settle(engine: sa.Engine, limit: datetime) -> datetime:
    """Make the rollups before this midnight final, once all stand."""
    while True:
        roll_up(engine)
        with writing(engine) as connection:
            if is_dirty(connection, before=limit):
                continue  # a run beside was quicker
            limit = max(limit, read_watermark(connection) or limit)
            connection.execute(retention.delete())
            connection.execute(retention.insert().values(final_before=limit))
            return limit


def _remove(connection: Connection, endpoint_id: int, model_id: int, settled: datetime) -> int:
    """Remove the samples of an endpoint that nothing needs any more."""
    before = _needed_from(connection, endpoint_id, settled)
    old = (_u.endpoint_id == endpoint_id) & (_u.observed_at < before)
    oldest = connection.execute(select(sa.func.min(_u.observed_at)).where(old)).scalar()
    if oldest is None:
        return 0
    # An incomplete look proves nothing but what its samples name.
    proofs = select(unix_seconds(connection, _o.observed_at)).where(
        _o.model_id == model_id, _o.is_evidence, ~_o.complete, _o.observed_at.between(oldest, before)
    )
    is_proof = unix_seconds(connection, _u.observed_at).in_(proofs)
    return connection.execute(uptime_samples.delete().where(old, ~is_proof)).rowcount


def _needed_from(connection: Connection, endpoint_id: int, settled: datetime) -> datetime:
    """When what is looked back on begins: with the last sample before, or with an incident that may still change."""
    looked_back = settled - LOOKBACK
    newest = select(sa.func.max(_u.observed_at)).where(_u.endpoint_id == endpoint_id, _u.observed_at < looked_back)
    begun = select(sa.func.min(_i.started_at)).where(
        _i.endpoint_id == endpoint_id, _i.ended_at.is_(None) | (_i.ended_at >= looked_back)
    )
    last, start = (connection.execute(query).scalar() for query in (newest, begun))
    needed: datetime = min(last or looked_back, start or looked_back)
    return needed
