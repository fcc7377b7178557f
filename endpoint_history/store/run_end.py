"""Record in `runs` how a run ended. Inside one write transaction."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

import sqlalchemy as sa

from models.observation import Outcome
from models.tables import runs
from models.types import UtcTime


def finish_run(connection: sa.Connection, name: str, counted: Counter[Outcome], last: datetime | None) -> None:
    """Record that a run is completely stored, and its observations by outcome. `last` is the time of its last one.

    The caller passes `last`, as the provenance of a stored observation may be another run.
    """
    # A clock that was set back can make the last observation older than the run. The type is explicit: SQLite would
    # store a plain datetime with microseconds, which compares as later than its own second.
    at = sa.literal(last, UtcTime())
    ended = sa.case((runs.c.started_at < at, at), else_=runs.c.started_at) if last else runs.c.started_at
    finished = sa.func.coalesce(runs.c.finished_at, ended)
    connection.execute(runs.update().where(runs.c.name == name).values(finished_at=finished, **_counts(counted)))


def record_partial_counts(connection: sa.Connection, name: str, counted: Counter[Outcome]) -> None:
    """Record the counts of a run that was loaded in part on request. Counts of zero mark a run cut off by a crash."""
    part = (runs.c.name == name) & runs.c.finished_at.is_(None)
    connection.execute(runs.update().where(part).values(**_counts(counted)))


def _counts(counted: Counter[Outcome]) -> dict[Outcome, int]:
    outcomes: tuple[Outcome, ...] = ("ok", "gone", "failed")
    return {outcome: counted[outcome] for outcome in outcomes}
