"""The clock of the database: PostgreSQL's own, for SQLite that of this machine. What lies ahead of it is refused.

It guards what has no date of its own to compare with. A rule of the history it is not: once the time of an observation
has come, the same observation is loaded.
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
    """A bundle with observations of the future. Its reason names the command that helps."""


def latest_accepted_time(engine: sa.Engine) -> datetime:
    """The latest time of an observation that may be stored now: a day ahead of the database's clock."""
    return _now(engine) + TOLERANCE


def refuse_future(
    looks: Iterable[Observation | Refused], latest: datetime, path: str
) -> Iterator[Observation | Refused]:
    """Yield what a bundle holds, and a refusal in place of the first observation that is later than `latest`.

    The other later ones are left out.
    """
    is_refused = False
    for look in looks:
        if isinstance(look, Refused) or look.observed_at <= latest:
            yield look
        elif not is_refused:
            is_refused = True
            yield AheadOfClock(path, _ahead_of_clock(look))


def _ahead_of_clock(look: Observation) -> str:
    return (
        f"line {look.archive_line} is dated {look.observed_at:%Y-%m-%d %H:%M} UTC, more than a day ahead of the"
        f" database's clock; if a clock was wrong: endpoint-history runs withdraw {look.run.name} --reason TEXT"
    )


def refuse_clock_ahead(engine: sa.Engine, now: datetime, *, must_answer: bool = True) -> None:
    """Raise ClockError if this machine's clock, which says `now`, is more than a day ahead of the database's.

    Unless the database must answer, one that is away has no clock to differ from.
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
    """How far this machine's clock is ahead, if it is by more than a day. On SQLite both are one clock."""
    if engine.dialect.name == "sqlite":
        return None
    there = _now(engine)
    if now <= there + TOLERANCE:
        return None
    return f"this machine's clock says {now:%Y-%m-%d %H:%M} UTC, that of the database {there:%Y-%m-%d %H:%M} UTC"


def _now(engine: sa.Engine) -> datetime:
    if engine.dialect.name == "sqlite":
        return datetime.now(UTC)
    with translated_errors(engine), engine.connect() as connection:
        at: datetime = connection.execute(sa.select(sa.func.now())).scalar_one()
        return at.astimezone(UTC)
