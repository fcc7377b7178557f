"""Collect every target once: the steps, without Prefect.

targets -> batches -> summary. A failed target never stops the others, and a database that is down never stops the
archive.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import secrets
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from endpoint_history.archive.bundles import Archive, run_name
from endpoint_history.collecting.batch import BatchStep, LiveRun, Progress, run_batches, without_task
from endpoint_history.collecting.not_found import NotFound, find_not_found
from endpoint_history.collecting.summary import RunSummary, summarize_run
from endpoint_history.database.clock import refuse_clock_ahead
from endpoint_history.database.engine import location, opened, translated_errors, writing
from endpoint_history.errors import ClockError, ConfigurationError, HistoryError, UnreachableError, reason_of
from endpoint_history.loading.bundles import load_missing_bundles, relaxed_gc
from endpoint_history.loading.withdrawal import withdraw_unstored
from endpoint_history.openrouter.client import Clock, Fetcher, now
from endpoint_history.openrouter.rate_limit import Politeness
from endpoint_history.rollups.refresh import roll_up
from endpoint_history.settings import Settings
from endpoint_history.store.dimensions import run_ids
from endpoint_history.store.run_end import finish_run
from endpoint_history.targets import TargetList
from endpoint_history.text import count_text
from models.observation import Run, Target
from models.tables import observations
from models.tables import targets as asked


@dataclass(frozen=True, slots=True)
class Collected:
    """The result of a collect: its summary, and how many answers still wait in the archive, with the reason.

    `troubles` has one line for each bundle, of this run or an earlier one, that can't be finished or read completely,
    for a models listing that could not be fetched, and for each incomplete shard. `not_found` holds the targets that
    OpenRouter does not know and that this history has never seen.
    """

    summary: RunSummary
    targets: int
    waiting: int
    waiting_reason: str | None
    database: str
    archive: str
    troubles: Sequence[str] = ()
    not_found: Sequence[NotFound] = ()

    @property
    def observed(self) -> int:
        """How many targets gave evidence that is stored."""
        return self.summary.ok + self.gone

    @property
    def gone(self) -> int:
        """How many targets list no endpoints: not found is not gone."""
        return self.summary.gone - len(self.not_found)

    @property
    def exit_code(self) -> int:
        """0 all targets observed, 1 nothing could be done, 3 some."""
        if self.observed == self.targets:
            return 0
        return 3 if self.observed or self.not_found else 1


async def collect_targets(
    settings: Settings,
    entries: TargetList,
    *,
    cadence_seconds: int | None = None,
    progress: Progress = lambda *_: None,
    step: Callable[[LiveRun], BatchStep] = without_task,
    clock: Clock = now,
) -> Collected:
    """Collect every target once. Raises HistoryError where nothing could be done, with nothing half-written.

    If the database is down, the error comes at the end, when all answers are in the archive.
    """
    with relaxed_gc(), opened(settings.database_url.get_secret_value(), must_answer=False) as engine:
        refuse_clock_ahead(engine, clock(), must_answer=False)  # the dates of the answers are checked anyway
        archive = Archive(settings.archive_url.get_secret_value())
        troubles = await asyncio.to_thread(load_missing_bundles, engine, archive, clock())
        async with Fetcher(settings, clock=clock) as fetcher:
            targets = await resolve_or_recall(fetcher, entries, engine, troubles)
            run = Run(run_name("collect", clock(), secrets.token_hex(3)), "collect", "live", cadence_seconds)
            live = LiveRun(run, targets, fetcher, engine, settings.openrouter_base_url, progress)
            collected = await _collect(live, archive, troubles, step)
            return await with_not_found(collected, fetcher, engine, entries)


async def collect_shard(
    settings: Settings,
    targets: Sequence[Target],
    run: Run,
    *,
    politeness: Politeness,
    progress: Progress = lambda *_: None,
    step: Callable[[LiveRun], BatchStep] = without_task,
) -> Collected:
    """Collect one shard of the targets of a collect, which has loaded the missing bundles of earlier runs.

    Raises as `collect_targets` does.
    """
    with relaxed_gc(), opened(settings.database_url.get_secret_value(), must_answer=False) as engine:
        refuse_clock_ahead(engine, now(), must_answer=False)
        archive = Archive(settings.archive_url.get_secret_value())
        troubles = await asyncio.to_thread(_recover, archive)
        async with Fetcher(settings, politeness=politeness) as fetcher:
            live = LiveRun(run, targets, fetcher, engine, settings.openrouter_base_url, progress)
            return await _collect(live, archive, troubles, step)


async def resolve(fetcher: Fetcher, entries: TargetList) -> list[Target]:
    """Resolve the target list; fetch the models listing only if a pattern needs it."""
    listed = await fetcher.fetch_models() if entries.needs_listing else []
    return entries.resolve(listed)


async def resolve_or_recall(
    fetcher: Fetcher, entries: TargetList, engine: sa.Engine, troubles: list[str]
) -> list[Target]:
    """Resolve the target list; if the models listing fails, resolve it among the targets of earlier collects.

    Do the same if a pattern matches nothing in the listing, which may be cut short.
    """
    listed: list[str] = []
    try:
        listed = await fetcher.fetch_models() if entries.needs_listing else []
        return entries.resolve(listed)
    except Exception as error:  # whatever the listing holds, the targets known before can be asked
        known = _asked_before(engine) if entries.needs_listing else []
        if not known:
            raise
        try:
            targets = entries.resolve(listed, known)
        except ConfigurationError:
            raise error from None
        count = len({str(target) for target in targets} - set(listed))
        troubles.append(f"{reason_of(error)}; using {count_text(count, 'target')} of earlier collects instead")
        return targets


def _asked_before(engine: sa.Engine) -> list[str]:
    """Return the targets of earlier collects, without those that were only ever answered with 404."""
    looked = observations.c.target_id == asked.c.id
    shown, missed = (sa.exists().where(looked, observations.c.outcome == outcome) for outcome in ("ok", "gone"))
    query = sa.select(asked.c.author, asked.c.slug).where(shown | ~missed)
    with translated_errors(engine), engine.connect() as connection:
        return [f"{author}/{slug}" for author, slug in connection.execute(query)]


async def with_not_found(collected: Collected, fetcher: Fetcher, engine: sa.Engine, entries: TargetList) -> Collected:
    """Return the result with `not_found` filled in, and those targets removed from `never_seen`."""
    missing = await find_not_found(fetcher, engine, entries, collected.summary.never_seen)
    names = {item.target for item in missing}
    left = [target for target in collected.summary.never_seen if target not in names]
    summary = dataclasses.replace(collected.summary, never_seen=left)
    return dataclasses.replace(collected, summary=summary, not_found=missing)


def _recover(archive: Archive) -> list[str]:
    """Finish the bundles that a crash on this machine cut: only it has their lines."""
    try:
        archive.recover()
    except HistoryError as error:
        return [str(error)]
    return []


async def _collect(
    live: LiveRun, archive: Archive, troubles: list[str], step: Callable[[LiveRun], BatchStep]
) -> Collected:
    # If the database is down, the run is added with its first stored batch, or when it is loaded.
    with contextlib.suppress(HistoryError), translated_errors(live.engine), writing(live.engine) as connection:
        run_ids(connection, [live.run])
    try:
        troubles += await run_batches(live, archive, step)
    except ClockError as error:
        await asyncio.to_thread(_set_aside, live, archive, error)
        raise
    except UnreachableError:
        # Load the failed observations now, so that the run does not stay unfinished until the next collect.
        await asyncio.to_thread(load_missing_bundles, live.engine, archive, now())
        raise
    return _end(live, archive, troubles)


def _set_aside(live: LiveRun, archive: Archive, error: ClockError) -> None:
    """Withdraw a run that has stored nothing. If its bundle can't be marked now, it still proves nothing."""
    with contextlib.suppress(HistoryError):
        withdraw_unstored(live.engine, archive, live.run, str(error), live.last or now())


def _end(live: LiveRun, archive: Archive, troubles: Sequence[str]) -> Collected:
    try:
        with translated_errors(live.engine):
            with writing(live.engine) as connection:
                run_ids(connection, [live.run])
                if not live.waiting:
                    finish_run(connection, live.run.name, Counter(look.outcome for look in live.seen), live.last)
            roll_up(live.engine)
            with live.engine.connect() as connection:
                summary = summarize_run(connection, live.run.name, live.seen)
    except Exception as error:  # noqa: BLE001 - whatever it is, the answers are kept
        raise HistoryError(
            f"{reason_of(error)}; all {live.done} answers are kept in the archive, bundle {live.run.name}:"
            " the next collect loads them, or: endpoint-history backfill archive"
        ) from None
    return Collected(
        summary=summary,
        targets=len(live.targets),
        waiting=live.waiting,
        waiting_reason=live.waiting_reason,
        database=location(live.engine),
        archive=archive.location,
        troubles=troubles,
    )
