"""Is history being kept? Asked of the database and the archive."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, select

from flows.report import printable
from models.tables import drift, endpoints, models, observations, runs, targets

DEFAULT_CADENCE = timedelta(minutes=30)
_MISSED = 3  # cadences without an observation before history counts as stale
_MOST = 20


@dataclass(frozen=True, slots=True)
class LastRun:
    """The newest collect: when it began and ended (None: it did not), its cadence, and its counts."""

    name: str
    started_at: datetime
    finished_at: datetime | None
    cadence: timedelta
    ok: int
    gone: int
    failed: int


@dataclass(frozen=True, slots=True)
class Status:
    """What is kept and how fresh it is. `failing` are targets whose newest look failed, with the reason and since when
    nothing came; `never_seen` are targets that were asked for and never showed a model.
    """

    now: datetime
    last_run: LastRun | None
    newest_observation: datetime | None
    failing: Sequence[tuple[str, str, datetime | None]]
    never_seen: Sequence[str]
    models: int
    endpoints: int
    observations: int
    drift: Sequence[tuple[str, str, datetime, int]]
    schema: str
    archive_bytes: int
    database: str
    archive: str

    @property
    def age(self) -> timedelta | None:
        """How old the newest evidence is."""
        return None if self.newest_observation is None else self.now - self.newest_observation

    @property
    def healthy(self) -> bool:
        """Whether history is being kept: evidence no older than three cadences."""
        cadence = self.last_run.cadence if self.last_run else DEFAULT_CADENCE
        return self.age is not None and self.age <= _MISSED * cadence


def read_status(
    connection: Connection, *, now: datetime, schema: str, archive_bytes: int, database: str, archive: str
) -> Status:
    """Ask the database."""
    o = observations
    newest = select(o.c.observed_at).where(o.c.is_evidence).order_by(o.c.observed_at.desc()).limit(1)
    run_id, last_run = _last_run(connection)
    return Status(
        now=now,
        last_run=last_run,
        newest_observation=connection.execute(newest).scalar(),
        failing=_failing(connection, run_id),
        never_seen=_never_seen(connection, run_id),
        models=_count(connection, models),
        endpoints=_count(connection, endpoints),
        observations=_count(connection, observations),
        drift=[tuple(row) for row in connection.execute(_drift())],
        schema=schema,
        archive_bytes=archive_bytes,
        database=database,
        archive=archive,
    )


def status_lines(status: Status) -> Iterator[str]:
    """The same for a terminal."""
    yield f"History    {_verdict(status)}"
    yield f"Last run   {_last_run_line(status.last_run)}"
    yield f"Kept       {status.models} models, {status.endpoints} endpoints, {status.observations} observations"
    yield f"Failing    {len(status.failing)} targets"
    for target, reason, since in status.failing[:_MOST]:
        yield f"  {target}: {printable(reason)} (last good {_time(since)})"
    yield f"Never seen {len(status.never_seen)} targets"
    yield from (f"  {target}" for target in status.never_seen[:_MOST])
    yield f"Drift      {len(status.drift)} things that this version does not know"
    for path, value, since, times in status.drift[:_MOST]:
        yield f"  {printable(path)}{' = ' + printable(value) if value else ''}: since {_time(since)}, {times} times"
    yield f"Database   {status.database}, schema {status.schema}"
    yield f"Archive    {status.archive}, {status.archive_bytes / 1e6:.1f} MB"


def _verdict(status: Status) -> str:
    if status.age is None:
        return "nothing yet; run: endpoint-history collect"
    minutes = int(status.age.total_seconds() // 60)
    kept = "is being kept" if status.healthy else "IS NOT BEING KEPT"
    return f"{kept}: newest evidence {minutes} minutes old ({_time(status.newest_observation)})"


def _last_run_line(run: LastRun | None) -> str:
    if run is None:
        return "none"
    counts = f"{run.ok} ok, {run.gone} gone, {run.failed} failed"
    return f"{_time(run.started_at)}, {counts}" if run.finished_at else f"{_time(run.started_at)}, not finished"


def _time(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at else "never"


def _last_run(connection: Connection) -> tuple[int | None, LastRun | None]:
    query = select(runs).where(runs.c.kind == "collect").order_by(runs.c.started_at.desc(), runs.c.name.desc()).limit(1)
    row = connection.execute(query).mappings().first()
    if row is None:
        return None, None
    cadence = timedelta(seconds=row["cadence_seconds"]) if row["cadence_seconds"] else DEFAULT_CADENCE
    counts = (row["ok"], row["gone"], row["failed"])
    return row["id"], LastRun(row["name"], row["started_at"], row["finished_at"], cadence, *counts)


def _failing(connection: Connection, run_id: int | None) -> list[tuple[str, str, datetime | None]]:
    """Targets that failed in the newest run: those dropped from the list are no news."""
    o, good = observations, observations.alias()
    last_good = (
        select(good.c.observed_at)
        .where(good.c.target_id == o.c.target_id, good.c.outcome != "failed")
        .order_by(good.c.observed_at.desc())
        .limit(1)
        .scalar_subquery()
    )
    query = (
        select(targets.c.author, targets.c.slug, o.c.error, last_good)
        .select_from(o.join(targets))
        .where(o.c.run_id == run_id, o.c.outcome == "failed")
        .order_by(targets.c.author, targets.c.slug)
    )
    return [(f"{author}/{slug}", error or "", since) for author, slug, error, since in connection.execute(query)]


def _never_seen(connection: Connection, run_id: int | None) -> list[str]:
    o, shown = observations, observations.alias()
    ever = sa.exists().where(shown.c.target_id == o.c.target_id, shown.c.outcome == "ok")
    query = select(targets.c.author, targets.c.slug).select_from(o.join(targets)).where(o.c.run_id == run_id, ~ever)
    return [f"{author}/{slug}" for author, slug in connection.execute(query.order_by(targets.c.author, targets.c.slug))]


def _drift() -> sa.Select[Any]:
    return select(drift.c.path, drift.c.value, drift.c.first_seen_at, drift.c.observations).order_by(
        drift.c.last_seen_at.desc(), drift.c.path, drift.c.value
    )


def _count(connection: Connection, table: sa.Table) -> int:
    return int(connection.execute(select(sa.func.count()).select_from(table)).scalar_one())
