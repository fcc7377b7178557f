"""The watermark: the time before which rollups of uptime are final, as raw samples may be gone."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, select

from endpoint_history.rollups.incidents import REACH
from models.listing import UPTIME_WINDOW
from models.tables import retention

# How far before an instant its rollups need samples.
LOOKBACK = timedelta(seconds=REACH) + UPTIME_WINDOW


def read_watermark(connection: Connection) -> datetime | None:
    """Return the watermark, a midnight (UTC); None while all raw samples are kept."""
    return connection.execute(select(retention.c.final_before)).scalar_one_or_none()
