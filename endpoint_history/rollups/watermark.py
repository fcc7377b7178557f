"""Before when rollups of uptime are final, as raw samples may be gone: where somebody asked for that."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, select

from endpoint_history.rollups.incidents import REACH
from models.listing import UPTIME_WINDOW
from models.tables import retention

# Rollups after an instant are worked out from samples of so long before it.
LOOKBACK = timedelta(seconds=REACH) + UPTIME_WINDOW


def read_watermark(connection: Connection) -> datetime | None:
    """The midnight (UTC) before which they are; None while all raw samples are kept."""
    return connection.execute(select(retention.c.final_before)).scalar_one_or_none()
