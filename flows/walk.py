"""One walk over targets: fetch -> archive -> parse -> store, batch by batch."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from flows.answer_date import clock_trouble
from flows.archive import Archive, BundleWriter
from flows.database import told, writing
from flows.errors import ClockError, HistoryError, UnreachableError
from flows.fetch import Fetcher, Response
from flows.outcome import Seen
from flows.parse import read_observation
from flows.store import store
from models.observation import Observation, Run, Target

_LEAST_BATCH = 128
_MOST_BATCHES = 16  # each is a task run, of which Prefect keeps some 20 kB
# This many first answers that never came, and none that did, mean that the API is away and not a few targets.
_GIVE_UP_AFTER = 12

Progress = Callable[[int, int], None]
BatchStep = Callable[[Sequence[Target]], Coroutine[Any, Any, None]]


@dataclass(slots=True)
class Walk:
    """One walk over the targets. A batch of them is fetched, archived, read and stored together."""

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
    is_dated: bool = False
    waiting: int = 0
    waiting_reason: str | None = None
    seen: list[Seen] = field(default_factory=list)
    storing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def collect_batch(self, targets: Sequence[Target]) -> None:
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
        self._check_clock(observation, response)
        self.progress(self.done, len(self.targets))
        return observation

    def _check_clock(self, observation: Observation, response: Response) -> None:
        """Stop if not one answer has a date near this machine's clock: one wrong date may be that of a server."""
        trouble = clock_trouble(observation)
        self.is_dated = self.is_dated or (response.reached and trouble is None)
        if trouble and not self.is_dated and self.done >= min(_GIVE_UP_AFTER, len(self.targets)):
            raise ClockError(f"nothing was stored: {trouble}; set the clock that is wrong")

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


def plainly(walk: Walk) -> BatchStep:
    """Run a batch as it is; the Prefect flow puts a task around it."""
    return walk.collect_batch


async def walked(walk: Walk, archive: Archive, step: Callable[[Walk], BatchStep]) -> list[str]:
    """Walk, and give what kept the bundle from being finished: all was seen and stored by then."""
    targets = walk.targets
    size = max(_LEAST_BATCH, math.ceil(len(targets) / _MOST_BATCHES))
    batches = [targets[start : start + size] for start in range(0, len(targets), size)]
    is_over = False
    try:
        with archive.open_bundle(walk.run) as walk.bundle:
            await _run_all(step(walk), batches)
            is_over = True
    except HistoryError as error:
        if not is_over:
            raise
        return [f"{error}; the next collect finishes it"]
    return []


async def _run_all(step: BatchStep, batches: Sequence[Sequence[Target]]) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            for batch in batches:
                group.create_task(step(batch))
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
