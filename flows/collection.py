"""Collect every target once: the steps, without Prefect.

targets -> fetch -> archive -> parse -> store -> outcome. A failed target never stops the others, and a database that
goes away never stops the archive.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from flows.archive import Archive, BundleWriter, run_name
from flows.catalogue import run_ids
from flows.database import location, opened, told, writing
from flows.errors import ConfigurationError, HistoryError, UnreachableError
from flows.fetch import Clock, Fetcher, Response, now
from flows.loading import finish_run, seldom_collected, take_up
from flows.outcome import Outcome, Seen, outcome_of
from flows.parse import read_observation
from flows.rollups import roll_up
from flows.settings import Settings
from flows.store import store
from flows.targets import TargetList
from models.observation import Observation, Run, Target
from models.tables import targets as asked

SHARD_SIZE = 128
# This many first answers that never came, and none that did, mean that the API is away and not a few targets.
_GIVE_UP_AFTER = 12

Progress = Callable[[int, int], None]
ShardStep = Callable[[Sequence[Target]], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class Collected:
    """How a collect ended: what it brought, and what of it still waits in the archive, with the reason.

    `troubles` has a line for each bundle, of this run or an earlier one, that can't be finished or read whole, and for
    a models listing that could not be had.
    """

    outcome: Outcome
    targets: int
    waiting: int
    waiting_reason: str | None
    database: str
    archive: str
    troubles: Sequence[str] = ()

    @property
    def observed(self) -> int:
        """How many targets gave evidence that is stored."""
        return self.outcome.ok + self.outcome.gone

    @property
    def exit_code(self) -> int:
        """0 all targets observed, 1 none, 3 some."""
        if self.observed == self.targets:
            return 0
        return 3 if self.observed else 1


@dataclass(slots=True)
class Walk:
    """One walk over the targets. A shard of them is fetched, archived, read and stored together."""

    run: Run
    targets: Sequence[Target]
    fetcher: Fetcher
    engine: sa.Engine
    base_url: str
    progress: Progress
    bundle: BundleWriter = field(init=False)
    done: int = 0
    last: datetime | None = None
    reached: bool = False
    waiting: int = 0
    waiting_reason: str | None = None
    seen: list[Seen] = field(default_factory=list)
    storing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def collect_shard(self, targets: Sequence[Target]) -> None:
        """Fetch these targets side by side, then store what came in one transaction."""
        async with asyncio.TaskGroup() as group:
            looks = [group.create_task(self._look(target)) for target in targets]
        observations = [look.result() for look in looks]
        async with self.storing:
            await asyncio.to_thread(self._store, observations)

    async def _look(self, target: Target) -> Observation:
        response = await self.fetcher.fetch_endpoints(target)
        observation = self.bundle.add(_observation(self.run, target, response))
        self.done += 1
        self.last = max(self.last or observation.observed_at, observation.observed_at)
        self.reached = self.reached or response.reached
        if not self.reached and self.done >= min(_GIVE_UP_AFTER, len(self.targets)):
            raise UnreachableError(f"{self.base_url} can't be reached: {response.error}")
        self.progress(self.done, len(self.targets))
        return observation

    def _store(self, observations: Sequence[Observation]) -> None:
        self.bundle.sync()
        read = [(observation, read_observation(observation)) for observation in observations]
        try:
            with told(self.engine), writing(self.engine) as connection:
                store(connection, read)
        except HistoryError as error:
            self.waiting += len(observations)
            self.waiting_reason = str(error)
        else:
            self.seen += [Seen(observation.target, reading.outcome, reading.trouble) for observation, reading in read]


def plainly(walk: Walk) -> ShardStep:
    """Run a shard as it is; the Prefect flow puts a task around it."""
    return walk.collect_shard


async def collect_targets(
    settings: Settings,
    entries: TargetList,
    *,
    cadence_seconds: int | None = None,
    progress: Progress = lambda *_: None,
    step: Callable[[Walk], ShardStep] = plainly,
    clock: Clock = now,
) -> Collected:
    """Collect every target once. Raises HistoryError where nothing could be done, with nothing half-written."""
    with seldom_collected(), opened(settings.database_url.get_secret_value()) as engine:
        archive = Archive(settings.archive_url.get_secret_value())
        troubles = await asyncio.to_thread(take_up, engine, archive)
        async with AsyncExitStack() as stack:
            fetcher = await stack.enter_async_context(Fetcher(settings, clock=clock))
            targets = await _resolve_or_recall(fetcher, entries, engine, troubles)
            run = _begin(engine, clock(), cadence_seconds)
            walk = Walk(run, targets, fetcher, engine, settings.openrouter_base_url, progress)
            troubles += await _archived(walk, archive, step)
        return _end(walk, archive, troubles)


async def resolve(fetcher: Fetcher, entries: TargetList) -> list[Target]:
    """What the target list means now; the models listing is asked for only where a pattern needs it."""
    listed = await fetcher.fetch_models() if entries.needs_listing else []
    return entries.resolve(listed)


async def _resolve_or_recall(
    fetcher: Fetcher, entries: TargetList, engine: sa.Engine, troubles: list[str]
) -> list[Target]:
    """What the list means now; where the models listing fails, what it means among the targets asked for before."""
    try:
        return await resolve(fetcher, entries)
    except (ConfigurationError, UnreachableError):
        raise
    except HistoryError as error:
        with told(engine), engine.connect() as connection:
            known = [f"{author}/{slug}" for author, slug in connection.execute(sa.select(asked.c.author, asked.c.slug))]
        if not known:
            raise
        troubles.append(f"{error}; the {len(known)} targets asked for before stand for it")
        return entries.resolve(known)


async def _archived(walk: Walk, archive: Archive, step: Callable[[Walk], ShardStep]) -> list[str]:
    """Walk, and give what kept the bundle from being finished: all was seen and stored by then."""
    targets = walk.targets
    shards = [targets[start : start + SHARD_SIZE] for start in range(0, len(targets), SHARD_SIZE)]
    walked = False
    try:
        with archive.open_bundle(walk.run) as walk.bundle:
            await _run_all(step(walk), shards)
            walked = True
    except HistoryError as error:
        if not walked:
            raise
        return [f"{error}; the next collect finishes it"]
    return []


async def _run_all(step: ShardStep, shards: Sequence[Sequence[Target]]) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            for shard in shards:
                group.create_task(step(shard))
    except BaseExceptionGroup as group_error:
        raise _first(group_error) from None


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _observation(run: Run, target: Target, response: Response) -> Observation:
    return Observation(
        run=run,
        target=target,
        observed_at=response.observed_at,
        status=response.status,
        error=response.error,
        elapsed_ms=response.elapsed_ms,
        headers=response.headers,
        body=response.body,
    )


def _begin(engine: sa.Engine, at: datetime, cadence_seconds: int | None) -> Run:
    run = Run(run_name("collect", at, secrets.token_hex(3)), "collect", "live", cadence_seconds)
    with told(engine), writing(engine) as connection:
        run_ids(connection, [run])
    return run


def _end(walk: Walk, archive: Archive, troubles: Sequence[str]) -> Collected:
    try:
        with told(walk.engine):
            if not walk.waiting:
                with writing(walk.engine) as connection:
                    finish_run(connection, walk.run.name, Counter(look.outcome for look in walk.seen), walk.last)
            roll_up(walk.engine)
            with walk.engine.connect() as connection:
                outcome = outcome_of(connection, walk.run.name, walk.seen)
    except HistoryError as error:
        raise HistoryError(
            f"{error}; all {walk.done} answers are kept in the archive, bundle {walk.run.name}:"
            " the next collect loads them, or: endpoint-history backfill archive"
        ) from None
    return Collected(
        outcome=outcome,
        targets=len(walk.targets),
        waiting=walk.waiting,
        waiting_reason=walk.waiting_reason,
        database=location(walk.engine),
        archive=archive.location,
        troubles=troubles,
    )
