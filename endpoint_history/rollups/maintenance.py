"""The regular upkeep of a history, without Prefect. It changes nothing that an analyst sees of prices."""

from __future__ import annotations

from datetime import datetime, timedelta

from endpoint_history.database.clock import refuse_clock_ahead
from endpoint_history.database.engine import location, opened, translated_errors, writing
from endpoint_history.database.partitions import create_partitions
from endpoint_history.rollups.refresh import roll_up
from endpoint_history.rollups.retention import remove_old_samples
from endpoint_history.rollups.watermark import read_watermark
from endpoint_history.settings import Settings

_AHEAD = timedelta(days=62)


def maintain(settings: Settings, now: datetime) -> str:
    """Refresh dirty rollups, create the next partitions, remove old samples if configured, and update table statistics.

    `now` is aware. Returns one line that reports the result. Raises HistoryError; completed steps stay done.
    """
    with opened(settings.database_url.get_secret_value()) as engine, translated_errors(engine):
        refuse_clock_ahead(engine, now)  # a clock ahead would remove too many samples
        roll_up(engine)
        with writing(engine) as connection:
            create_partitions(connection, [now, now + _AHEAD / 2, now + _AHEAD])
        removed = remove_old_samples(engine, settings.retention_days, now) if settings.retention_days else 0
        with writing(engine) as connection:
            # The query planner needs current statistics.
            connection.exec_driver_sql("PRAGMA optimize" if engine.dialect.name == "sqlite" else "ANALYZE")
            watermark = read_watermark(connection)
        kept = "all raw samples are kept"
        if watermark:
            kept = f"{removed:,} raw uptime samples removed, rollups of uptime before {watermark:%Y-%m-%d} are final"
        return f"{location(engine)} is in order; {kept}"
