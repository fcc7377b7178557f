"""Is history being kept? Read from the database and the archive."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, select

from endpoint_history.monitoring.collects import (
    MISSED_CADENCES,
    LastCollect,
    cadence_of,
    count_stale,
    last_collect,
    newest_observations,
    runs_of_last_collect,
)
from endpoint_history.text import count_text, printable
from endpoint_history.times import duration_text
from models.tables import drift, endpoints, models, observations, runs, targets
from models.views import observation_gaps

_MOST = 20
_CLOCK_ERROR = timedelta(minutes=5)
_LATELY = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Gaps:
    """Of the last seven days: how many gaps of how many models, the looks that lack in them, and those that failed."""

    gaps: int
    models: int
    missed: int
    failed: int


@dataclass(frozen=True, slots=True)
class Status:
    """What is kept and how fresh it is.

    `targets` counts those of the last finished collect; if it was in shards, those of its last day. `failing` are those
    whose newest observation failed, with the reason and the time of the newest evidence. `stale` counts targets without
    evidence for three cadences; `never_seen` are those that never showed a model. `archive_bytes` is None if the
    archive can't be reached.
    """

    now: datetime
    last_run: LastCollect | None
    newest_observation: datetime | None
    newest_run: str | None
    targets: int
    stale: int
    failing: Sequence[tuple[str, str, datetime | None]]
    never_seen: Sequence[str]
    gaps: Gaps
    models: int
    endpoints: int
    observations: int
    drift: Sequence[tuple[str, str, datetime, int]]
    schema: str
    archive_bytes: int | None
    database: str
    archive: str

    @property
    def age(self) -> timedelta | None:
        """How old the newest evidence is."""
        return None if self.newest_observation is None else self.now - self.newest_observation

    @property
    def problems(self) -> list[str]:
        """Why history is not being kept: that takes fresh evidence, of most targets, and an archive that is filled."""
        found = []
        if self.age is None:
            found.append("nothing is kept yet; run: endpoint-history collect")
        elif self.age < -_CLOCK_ERROR:
            at = _time(self.newest_observation)
            found.append(
                f"the newest evidence is in the future ({at}, by run {self.newest_run}): set this machine's clock,"
                f" or, if that run's was wrong: endpoint-history runs withdraw {self.newest_run} --reason TEXT"
            )
        elif self.age > MISSED_CADENCES * cadence_of(self.last_run):
            found.append(f"the newest evidence is {duration_text(self.age)} old")
        if 2 * self.stale > self.targets:
            found.append(f"{stale_text(self.stale, self.targets)}")
        if not self.archive_bytes:
            found.append(f"the archive {self.archive} {'is empty' if self.archive_bytes == 0 else 'has no answer'}")
        return found


def read_status(
    connection: Connection, *, now: datetime, schema: str, archive_bytes: int | None, database: str, archive: str
) -> Status:
    """Ask the database."""
    o = observations
    evidence = select(o.c.observed_at, runs.c.name).select_from(o.join(runs)).where(o.c.is_evidence)
    newest = connection.execute(evidence.order_by(o.c.observed_at.desc()).limit(1)).one_or_none() or (None, None)
    last_run = last_collect(connection)
    collect = runs_of_last_collect(connection)
    looks = newest_observations(connection, collect)
    return Status(
        now=now,
        last_run=last_run,
        newest_observation=newest[0],
        newest_run=newest[1],
        targets=len(looks),
        stale=count_stale(looks, now - MISSED_CADENCES * cadence_of(last_run)),
        failing=[(look.target, look.error or "", look.last_good) for look in looks if look.outcome == "failed"],
        never_seen=_never_seen(connection, collect),
        gaps=_gaps(connection, now - _LATELY),
        models=_count(connection, models),
        endpoints=_count(connection, endpoints),
        observations=int(connection.execute(_observations()).scalar_one() or 0),
        drift=[tuple(row) for row in connection.execute(_drift())],
        schema=schema,
        archive_bytes=archive_bytes,
        database=database,
        archive=archive,
    )


def stale_text(stale: int, targets: int) -> str:
    """Return how many targets are stale, in words."""
    return f"{stale} of {count_text(targets, 'target')} without evidence for {MISSED_CADENCES} cadences"


def status_lines(status: Status) -> Iterator[str]:
    """The same for a terminal."""
    yield f"History    {_verdict(status)}"
    yield f"Last run   {_last_run_line(status.last_run)}"
    kept = {"model": status.models, "endpoint": status.endpoints, "observation": status.observations}
    yield f"Kept       {', '.join(count_text(count, name) for name, count in kept.items())}"
    yield f"Failing    {len(status.failing)} of {count_text(status.targets, 'target')}"
    for target, reason, since in status.failing[:_MOST]:
        yield f"  {target}: {printable(reason)} (last good {_time(since)})"
    yield f"Never seen {count_text(len(status.never_seen), 'target')}"
    yield from (f"  {target}" for target in status.never_seen[:_MOST])
    gaps = status.gaps
    missed = f"{count_text(gaps.missed, 'observation')} missed, {gaps.failed} of them failed"
    yield f"Gaps       {gaps.gaps} in {count_text(gaps.models, 'model')} in {_LATELY.days} days: {missed}"
    drift_count = count_text(len(status.drift), "field or value", "fields or values")
    yield f"Drift      {drift_count} that this version does not know"
    for path, value, since, times in status.drift[:_MOST]:
        where = printable(f"{path} = {value}" if value else path)
        yield f"  {where}: since {_time(since)}, {count_text(times, 'time')}"
    yield f"Database   {status.database}, schema {status.schema}"
    size = "can't be reached" if status.archive_bytes is None else f"{status.archive_bytes / 1e3:,.0f} kB"
    yield f"Archive    {status.archive}, {size}"


def _verdict(status: Status) -> str:
    if status.age is None:
        return "nothing yet; run: endpoint-history collect"
    newest = f"newest evidence {duration_text(status.age)} old ({_time(status.newest_observation)})"
    if status.age < -_CLOCK_ERROR:
        newest = f"newest evidence is in the future ({_time(status.newest_observation)}); which clock is wrong?"
    if status.stale:
        newest += f", {stale_text(status.stale, status.targets)}"
    return f"{'IS NOT BEING KEPT' if status.problems else 'is being kept'}: {newest}"


def _last_run_line(run: LastCollect | None) -> str:
    if run is None:
        return "none"
    counts = f"{run.ok} ok, {run.gone} gone, {run.failed} failed"
    return f"{_time(run.started_at)}, {counts}" if run.finished_at else f"{_time(run.started_at)}, not finished"


def _time(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at else "never"


def _observations() -> sa.Select[Any]:
    """By the counts of runs, which are few: counting the rows of a year took 1.5 s."""
    return select(sa.func.sum(runs.c.ok + runs.c.gone + runs.c.failed))


def _never_seen(connection: Connection, collect: sa.ColumnElement[bool]) -> list[str]:
    o, shown = observations, observations.alias()
    ever = sa.exists().where(shown.c.target_id == o.c.target_id, shown.c.outcome == "ok")
    query = (
        select(targets.c.author, targets.c.slug)
        .select_from(o.join(targets).join(runs))
        .where(collect, ~ever)
        .distinct()
    )
    return [f"{author}/{slug}" for author, slug in connection.execute(query.order_by(targets.c.author, targets.c.slug))]


def _gaps(connection: Connection, since: datetime) -> Gaps:
    c = observation_gaps.c
    counts = (
        sa.func.count(),
        sa.func.count(c.model_id.distinct()),
        sa.func.sum(c.missed_observations),
        sa.func.sum(c.failed),
    )
    row = connection.execute(select(*counts).where(c.ended_at.is_(None) | (c.ended_at >= since))).one()
    return Gaps(*(int(count or 0) for count in row))


def _drift() -> sa.Select[Any]:
    return select(drift.c.path, drift.c.value, drift.c.first_seen_at, drift.c.observations).order_by(
        drift.c.last_seen_at.desc(), drift.c.path, drift.c.value
    )


def _count(connection: Connection, table: sa.Table) -> int:
    return int(connection.execute(select(sa.func.count()).select_from(table)).scalar_one())
