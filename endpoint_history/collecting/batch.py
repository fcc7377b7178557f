"""One live run: fetch, archive, parse and store its targets, batch by batch."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from endpoint_history.archive.bundles import Archive, BundleWriter
from endpoint_history.collecting.summary import TargetOutcome
from endpoint_history.database.engine import translated_errors, writing
from endpoint_history.errors import ClockError, HistoryError, UnreachableError, reason_of, unexpected
from endpoint_history.openrouter.client import Fetcher, Response
from endpoint_history.parsing.answer_date import clock_trouble
from endpoint_history.parsing.safe_parse import parse_or_fail
from endpoint_history.store.writer import Read, store
from models.observation import Observation, Run, Target

_LEAST_BATCH = 128
_MOST_BATCHES = 16  # each is a task run, of which Prefect keeps some 20 kB
# If the first this many requests all get no answer, the API is down, not a few targets.
_GIVE_UP_AFTER = 12

Progress = Callable[[int, int], None]
BatchStep = Callable[[Sequence[Target]], Coroutine[Any, Any, None]]


@dataclass(slots=True)
class LiveRun:
    """A run of a collect or shard. Each batch of targets is fetched, archived, parsed and stored together."""

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
    seen: list[TargetOutcome] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    storing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def collect_batch(self, targets: Sequence[Target]) -> None:
        """Fetch these targets concurrently, then store the observations in one transaction."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._observe(target)) for target in targets]
        observations = [look.result() for look in tasks]
        async with self.storing:
            await asyncio.to_thread(self._store, [observation for observation in observations if observation])

    async def _observe(self, target: Target) -> Observation | None:
        """Fetch and archive one target; return None if archiving fails for a reason that concerns this target alone."""
        response = await self.fetcher.fetch_endpoints(target)
        try:
            observation = self.bundle.add(_observation(self.run, target, response))
        except HistoryError:
            raise
        except Exception as error:  # noqa: BLE001 - one answer that can't be archived must not stop the others
            self.troubles.append(f"{target} can't be archived: {unexpected(error)}")
            return None
        self.done += 1
        self.last = max(self.last or observation.observed_at, observation.observed_at)
        self.reached = self.reached or response.reached
        if not self.reached and self.done >= min(_GIVE_UP_AFTER, len(self.targets)):
            raise UnreachableError(f"{self.base_url} can't be reached: {response.error}")
        self._check_clock(observation, response)
        with contextlib.suppress(Exception):  # a display that fails must not cost an observation
            self.progress(self.done, len(self.targets))
        return observation

    def _check_clock(self, observation: Observation, response: Response) -> None:
        """Raise ClockError if no answer has a date near this machine's clock; one wrong date may be a server's."""
        trouble = clock_trouble(observation)
        self.is_dated = self.is_dated or (response.reached and trouble is None)
        if trouble and not self.is_dated and self.done >= min(_GIVE_UP_AFTER, len(self.targets)):
            raise ClockError(f"nothing was stored: {trouble}; set the clock that is wrong")

    def _store(self, observations: Sequence[Observation]) -> None:
        self.bundle.sync()
        read = [(observation, parse_or_fail(observation)) for observation in observations]
        try:
            self._store_read(read)
        except HistoryError as error:
            self.leave_waiting(len(read), str(error))
        except Exception:  # noqa: BLE001 - one observation that can't be stored must not keep out its batch
            for one in read:
                try:
                    self._store_read([one])
                except Exception as error:  # noqa: BLE001 - as above
                    self.leave_waiting(1, f"{one[0].target} can't be stored: {reason_of(error)}")

    def _store_read(self, read: Sequence[Read]) -> None:
        with translated_errors(self.engine), writing(self.engine) as connection:
            store(connection, read)
        self.seen += [
            TargetOutcome(observation.target, reading.outcome, reading.trouble) for observation, reading in read
        ]

    def leave_waiting(self, answers: int, reason: str) -> None:
        """Count answers that are archived but not stored: the run stays unfinished, so a later run loads them."""
        self.waiting += answers
        self.waiting_reason = reason


def without_task(live: LiveRun) -> BatchStep:
    """Run a batch without a Prefect task around it."""
    return live.collect_batch


async def run_batches(live: LiveRun, archive: Archive, step: Callable[[LiveRun], BatchStep]) -> list[str]:
    """Run all batches; return one line for each target, batch or bundle that could not be finished."""
    targets = live.targets
    size = max(_LEAST_BATCH, math.ceil(len(targets) / _MOST_BATCHES))
    batches = [targets[start : start + size] for start in range(0, len(targets), size)]
    is_over = False
    try:
        with archive.open_bundle(live.run) as live.bundle:
            await _run_all(live, step(live), batches)
            is_over = True
    except HistoryError as error:
        if not is_over:
            raise
        live.troubles.append(f"{error}; the next collect finishes it")
    if left := live.done - len(live.seen) - live.waiting:
        live.leave_waiting(left, live.troubles[-1] if live.troubles else "their batch was not finished")
    return live.troubles


async def _run_all(live: LiveRun, step: BatchStep, batches: Sequence[Sequence[Target]]) -> None:
    """Run all batches. Only a HistoryError, which concerns all of them, ends the others."""

    async def run(batch: Sequence[Target]) -> None:
        try:
            await step(batch)
        except Exception as error:  # noqa: BLE001 - one batch that fails must not stop the others
            first = _first(error)
            if isinstance(first, HistoryError):
                raise first from None
            live.troubles.append(
                f"{batch[0]} and {len(batch) - 1} more were not collected completely: {unexpected(error)}"
            )

    try:
        async with asyncio.TaskGroup() as group:
            for batch in batches:
                group.create_task(run(batch))
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
