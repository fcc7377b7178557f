"""The newest collect, and the newest observation of each of its targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, select

from endpoint_history.archive.bundle_format import collect_name
from endpoint_history.store.dimensions import of_collect
from models.tables import observations, runs, targets

DEFAULT_CADENCE = timedelta(minutes=30)
MISSED_CADENCES = 3  # cadences without an observation before history counts as stale


@dataclass(frozen=True, slots=True)
class LastCollect:
    """The newest collect with its shards. `finished_at` is None while one of them is unfinished."""

    name: str
    started_at: datetime
    finished_at: datetime | None
    cadence: timedelta
    ok: int
    gone: int
    failed: int


def stale_targets(connection: Connection, now: datetime) -> tuple[int, int]:
    """Return how many targets of the last finished collect lack evidence for three cadences, and how many it has."""
    looks = newest_observations(connection, runs_of_last_collect(connection))
    return count_stale(looks, now - MISSED_CADENCES * cadence_of(last_collect(connection))), len(looks)


def cadence_of(run: LastCollect | None) -> timedelta:
    """Return the cadence of a collect, or the default one."""
    return run.cadence if run else DEFAULT_CADENCE


def last_collect(connection: Connection) -> LastCollect | None:
    """Return the newest collect, finished or not; None before the first one."""
    newest = connection.execute(_collects()).mappings().first()
    if newest is None:
        return None
    name = collect_name(newest["name"])
    shards = connection.execute(select(runs).where(of_collect(name))).mappings().all()
    ends = [shard["finished_at"] for shard in shards]
    # A collect by hand says nothing about the schedule: that of the newest scheduled one goes on.
    scheduled = connection.execute(_collects().where(runs.c.cadence_seconds.is_not(None))).mappings().first()
    cadence = timedelta(seconds=scheduled["cadence_seconds"]) if scheduled else DEFAULT_CADENCE
    counts = (sum(shard[outcome] for shard in shards) for outcome in ("ok", "gone", "failed"))
    return LastCollect(name, newest["started_at"], None if None in ends else max(ends), cadence, *counts)


def runs_of_last_collect(connection: Connection) -> sa.ColumnElement[bool]:
    """Return a condition for the runs of the last finished collect: a scheduled one if any, as others may be partial.

    A collect in shards may lack some of them. So it comes with the scheduled runs of the day before.
    """
    whole = _collects().where(runs.c.finished_at.is_not(None))
    is_scheduled = runs.c.cadence_seconds.is_not(None)
    scheduled = connection.execute(whole.where(is_scheduled)).mappings().first()
    row = scheduled or connection.execute(whole).mappings().first()
    if row is None:
        return sa.false()
    collect = collect_name(row["name"])
    if not scheduled or collect == row["name"]:
        return of_collect(collect)
    since: datetime = row["started_at"] - timedelta(days=1)
    return is_scheduled & (runs.c.started_at >= since)


def _collects() -> sa.Select[Any]:
    return select(runs).where(runs.c.kind == "collect").order_by(runs.c.started_at.desc(), runs.c.name.desc()).limit(1)


@dataclass(frozen=True, slots=True)
class NewestObservation:
    """The newest observation of a target, and the time of its newest evidence."""

    target: str
    outcome: str
    error: str | None
    last_good: datetime | None


def newest_observations(connection: Connection, collect: sa.ColumnElement[bool]) -> list[NewestObservation]:
    """Return the newest observation, by any run, of each target of a collect."""
    asked = select(observations.c.target_id).select_from(observations.join(runs)).where(collect)
    look = observations.alias()
    newest = _latest(observations.alias(), targets.c.id)
    good = observations.alias()
    last_good = _latest(good, targets.c.id, good.c.outcome != "failed")
    query = (
        select(targets.c.author, targets.c.slug, look.c.outcome, look.c.error, last_good)
        .select_from(targets)
        .join(look, (look.c.target_id == targets.c.id) & (look.c.observed_at == newest))
        .where(targets.c.id.in_(asked))
        .order_by(targets.c.author, targets.c.slug, look.c.outcome)
    )
    found: dict[str, NewestObservation] = {}
    for author, slug, outcome, error, since in connection.execute(query):
        target = f"{author}/{slug}"
        if target not in found or outcome != "failed":
            found[target] = NewestObservation(target, outcome, error, since)
    return list(found.values())


def count_stale(looks: Sequence[NewestObservation], before: datetime) -> int:
    """Count the targets without evidence since `before`."""
    return sum(look.last_good is None or look.last_good < before for look in looks)


def _latest(look: sa.FromClause, target_id: sa.Column[int], *where: sa.ColumnElement[bool]) -> sa.ScalarSelect[Any]:
    query = select(look.c.observed_at).where(look.c.target_id == target_id, *where)
    return query.order_by(look.c.observed_at.desc()).limit(1).scalar_subquery()
