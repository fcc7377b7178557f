"""What a history needs now and then, without Prefect: nothing of it changes what an analyst sees of prices."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from flows.database import location, opened, told, writing
from flows.partitions import make_months
from flows.retention import thin
from flows.rollups import roll_up
from flows.settings import Settings
from flows.stale import settled_before

_AHEAD = timedelta(days=62)


@dataclass(frozen=True, slots=True)
class Maintained:
    """What was done: `removed` raw samples are gone, and the rollups before `settled_before` final; None: all kept."""

    database: str
    removed: int
    settled_before: datetime | None

    def __str__(self) -> str:
        if self.settled_before is None:
            return f"{self.database} is in order; all raw samples are kept"
        since = f"{self.settled_before:%Y-%m-%d}"
        return f"{self.database} is in order; {self.removed:,} raw samples removed, rollups before {since} are final"


def maintain(settings: Settings, now: datetime) -> Maintained:
    """Roll up what was left, make the partitions of the months ahead, and thin raw samples where that is asked for.

    `now` is aware. Raises HistoryError; what was done until then stays done.
    """
    with opened(settings.database_url.get_secret_value()) as engine, told(engine):
        roll_up(engine)
        with writing(engine) as connection:
            make_months(connection, [now, now + _AHEAD / 2, now + _AHEAD])
        removed = thin(engine, settings.retention_days, now) if settings.retention_days else 0
        with writing(engine) as connection:
            _measure(connection)
            return Maintained(location(engine), removed, settled_before(connection))


def _measure(connection: sa.Connection) -> None:
    """Let the database learn how its tables have grown: it plans questions by that."""
    connection.exec_driver_sql("PRAGMA optimize" if connection.dialect.name == "sqlite" else "ANALYZE")
