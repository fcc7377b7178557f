"""Note in `runs` how a run ended, inside one write transaction."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

import sqlalchemy as sa

from models.observation import Outcome
from models.tables import runs
from models.types import UtcTime


def finish_run(connection: sa.Connection, name: str, counted: Counter[Outcome], last: datetime | None) -> None:
    """Note that a run is stored whole, and how many of its looks had which outcome; it ended with its `last` look.

    Its own, not the last that the database says it proves: another run may tell of the same look.
    """
    # A clock that was set back can make the last look older than the run.
    # The type is told: a plain time would stand in SQLite with microseconds, and compare as later than its own second.
    at = sa.literal(last, UtcTime())
    ended = sa.case((runs.c.started_at < at, at), else_=runs.c.started_at) if last else runs.c.started_at
    finished = sa.func.coalesce(runs.c.finished_at, ended)
    connection.execute(runs.update().where(runs.c.name == name).values(finished_at=finished, **_counts(counted)))


def record_partial_counts(connection: sa.Connection, name: str, counted: Counter[Outcome]) -> None:
    """Count what is stored of a run, which tells it from one that a crash cut: the rest is not wanted for now."""
    part = (runs.c.name == name) & runs.c.finished_at.is_(None)
    connection.execute(runs.update().where(part).values(**_counts(counted)))


def _counts(counted: Counter[Outcome]) -> dict[Outcome, int]:
    outcomes: tuple[Outcome, ...] = ("ok", "gone", "failed")
    return {outcome: counted[outcome] for outcome in outcomes}
