"""The database's clock: PostgreSQL's own; for SQLite, this machine's. Observations dated after it are refused.

It protects against wrong clocks where nothing else has a date to compare with. It is no rule of the history: once the
time of a refused observation has come, it can be loaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from endpoint_history.database.engine import translated_errors
from endpoint_history.errors import ClockError, HistoryError
from endpoint_history.parsing.answer_date import TOLERANCE
from endpoint_history.refusals import Refused
from models.observation import Observation


@dataclass(frozen=True, slots=True)
class AheadOfClock(Refused):
    """A bundle with observations dated in the future. Its reason names the command that helps."""


def latest_accepted_time(engine: sa.Engine) -> datetime:
    """Return the latest time of an observation that may be stored now: a day ahead of the database's clock."""
    return _now(engine) + TOLERANCE


def refuse_future(
    observations: Iterable[Observation | Refused], latest: datetime, path: str
) -> Iterator[Observation | Refused]:
    """Yield a bundle's observations up to `latest`, and one refusal if any are later."""
    is_refused = False
    for observation in observations:
        if isinstance(observation, Refused) or observation.observed_at <= latest:
            yield observation
        elif not is_refused:
            is_refused = True
            yield AheadOfClock(path, _ahead_of_clock(observation))


def _ahead_of_clock(observation: Observation) -> str:
    at = f"{observation.observed_at:%Y-%m-%d %H:%M} UTC"
    return (
        f"line {observation.archive_line} is dated {at}, more than a day ahead of the database's clock; if a clock was"
        f" wrong: endpoint-history runs withdraw {observation.run.name} --reason TEXT"
    )


def refuse_clock_ahead(engine: sa.Engine, now: datetime, *, must_answer: bool = True) -> None:
    """Raise ClockError if this machine's clock, which says `now`, is more than a day ahead of the database's.

    With `must_answer=False`, an unreachable database is ignored.
    """
    try:
        trouble = clock_ahead(engine, now)
    except HistoryError:
        if must_answer:
            raise
        return
    if trouble:
        raise ClockError(f"nothing was done: {trouble}; set this machine's clock")


def clock_ahead(engine: sa.Engine, now: datetime) -> str | None:
    """Return a message if this machine's clock is more than a day ahead. With SQLite, both are one clock."""
    if engine.dialect.name == "sqlite":
        return None
    there = _now(engine)
    if now <= there + TOLERANCE:
        return None
    return f"this machine's clock says {now:%Y-%m-%d %H:%M} UTC, the database's {there:%Y-%m-%d %H:%M} UTC"


def _now(engine: sa.Engine) -> datetime:
    if engine.dialect.name == "sqlite":
        return datetime.now(UTC)
    with translated_errors(engine), engine.connect() as connection:
        at: datetime = connection.execute(sa.select(sa.func.now())).scalar_one()
        return at.astimezone(UTC)
