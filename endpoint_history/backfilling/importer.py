"""Load saved bodies of other people: into our archive first, then into the tables, by the write path of a collect.

The tables become the same if the bodies are late, repeated, in any order, or loaded beside a live collector.
"""

from __future__ import annotations

import dataclasses
import secrets
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from endpoint_history.archive.bundles import Archive, run_name
from endpoint_history.archive.reader import Progress
from endpoint_history.archive.spool import BundleWriter
from endpoint_history.backfilling.result import BackfillResult, Wanted
from endpoint_history.backfilling.saved_body import observation_of, unlisted
from endpoint_history.collecting.summary import TargetOutcome, count_conflicts, summarize_run
from endpoint_history.database.engine import lock_writers, translated_errors, writing
from endpoint_history.errors import HistoryError
from endpoint_history.loading.bundles import load_missing_bundles, relaxed_gc
from endpoint_history.parsing.safe_parse import parse_or_fail
from endpoint_history.refusals import Refused
from endpoint_history.rollups.refresh import roll_up
from endpoint_history.sources.items import KnownBody, SavedBody
from endpoint_history.store.dimensions import known_targets, run_ids
from endpoint_history.store.observations import stored_provenance
from endpoint_history.store.run_end import finish_run
from endpoint_history.store.writer import Read, store
from models.listing import ParsedObservation
from models.observation import Observation, Outcome, Run, Target

_BATCH = 5000
_TRIED = 1000  # a dry run stores so many, to report the first changes
_BYTES = 32 * 2**20
_SECONDS = 5.0  # captures come one per second: a kill may cost only a few

Item = SavedBody | Observation | KnownBody | Refused  # an observation comes from an archive
Key = tuple[Target, datetime, Outcome, str]  # of an observation: with its outcome and the digest of its body
Items = Iterable[tuple[int, int, Item]]  # (how many files, blobs or captures are read, of how many, item)


def import_bodies(
    engine: sa.Engine,
    archive: Archive,
    source: str,
    items: Items,
    wanted: Wanted,
    *,
    at: datetime,
    progress: Progress = lambda *_: None,
) -> BackfillResult:
    """Load all bodies that are wanted and new. `at` is now. Raises HistoryError; what was stored stays stored."""
    run = Run(run_name("backfill", at, secrets.token_hex(3)), "backfill", source)
    result = BackfillResult(run.name, troubles=load_missing_bundles(engine, archive, at))
    last: datetime | None = None
    outcomes: Counter[Outcome] = Counter()
    with ExitStack() as stack:
        stack.enter_context(relaxed_gc())
        bundle: BundleWriter | None = None
        for batch in _batches(items, progress):
            new = _new(engine, run, batch, wanted=wanted, result=result, at=at)
            if not new:
                continue
            if bundle is None:
                with translated_errors(engine), writing(engine) as connection:
                    run_ids(connection, [run])
                bundle = stack.enter_context(archive.open_bundle(run))
            result.changed += _save(engine, bundle, new)
            result.new += len(new)
            outcomes.update(reading.outcome for _, reading in new)
            newest = max(observation.observed_at for observation, _ in new)
            last = max(last or newest, newest)
    with translated_errors(engine), writing(engine) as connection:
        finish_run(connection, run.name, outcomes, last)
        result.conflicts = count_conflicts(connection, run.name)
    with translated_errors(engine):
        roll_up(engine)
    return result


def _save(engine: sa.Engine, bundle: BundleWriter, new: list[Read]) -> int:
    """Archive a batch, then store it. Return how many rows of change tables changed."""
    archived = [(bundle.add(observation), reading) for observation, reading in new]
    bundle.sync()
    with translated_errors(engine), writing(engine) as connection:
        return store(connection, archived).changed


def try_bodies(
    engine: sa.Engine,
    source: str,
    items: Items,
    wanted: Wanted,
    *,
    at: datetime,
    progress: Progress = lambda *_: None,
) -> BackfillResult:
    """Return what a load would report, with the changes by the first 1,000 new bodies. Nothing is written."""
    run = Run(run_name("backfill", at, secrets.token_hex(3)), "backfill", source)
    result = BackfillResult(run.name, is_dry=True)
    first: list[Read] = []
    for batch in _batches(items, progress):
        new = _new(engine, run, batch, wanted=wanted, result=result, at=at)
        result.new += len(new)
        first += new[: max(0, _TRIED - len(first))]
    with translated_errors(engine), engine.connect().execution_options(writing=True) as connection:
        lock_writers(connection)
        result.changed = store(connection, first).changed
        if first:
            seen = [
                TargetOutcome(observation.target, reading.outcome, None)
                for observation, reading in first
                if reading.outcome != "failed"
            ]
            result.summary = summarize_run(connection, run.name, seen)
            result.conflicts = count_conflicts(connection, run.name)
        connection.rollback()
    return result


def _batches(items: Items, progress: Progress) -> Iterator[list[Item]]:
    """Yield the items in batches. A kill loses one batch; a source that fails, or Ctrl-C, loses none."""
    batch: list[Item] = []
    held, began = 0, time.monotonic()
    try:
        for done, total, item in items:
            batch.append(item)
            progress(done, total)
            held += len(item.body or b"") if isinstance(item, SavedBody | Observation) else 0
            if len(batch) == _BATCH or held >= _BYTES or time.monotonic() - began >= _SECONDS:
                yield batch
                batch, held, began = [], 0, time.monotonic()
    except (HistoryError, SystemExit):
        yield batch
        raise
    if batch:
        yield batch


def _new(
    engine: sa.Engine, run: Run, batch: list[Item], *, wanted: Wanted, result: BackfillResult, at: datetime
) -> list[Read]:
    """Return the observations of a batch that are wanted and new, each once. The others are counted."""
    observations: list[tuple[Observation, ParsedObservation | None]] = []
    for item in batch:
        if isinstance(item, KnownBody):
            result.known += 1
            continue
        observation = _observation(item, run, at)
        if isinstance(observation, Refused):
            result.refuse(observation)
        elif not wanted.takes(observation[0]):
            result.unwanted += 1
        else:
            observations.append(observation)
            if isinstance(item, SavedBody):
                result.dating.add(item, observation[0])
    with translated_errors(engine), engine.connect() as connection:
        stored = _known(connection, [_key(observation, reading) for observation, reading in observations])
    return _read(observations, stored, result)


def _observation(
    item: SavedBody | Observation | Refused, run: Run, at: datetime
) -> tuple[Observation, ParsedObservation | None] | Refused:
    match item:
        case SavedBody():
            return observation_of(item, run, at)
        case Observation():
            observation = dataclasses.replace(item, run=run)
            return observation, parse_or_fail(observation)
        case Refused():
            return item


def _key(observation: Observation, reading: ParsedObservation | None) -> Key:
    """Return the key of an observation. A saved body that is not parsed yet can only be new, or known as `ok`."""
    return observation.target, observation.observed_at, reading.outcome if reading else "ok", observation.body_digest


def _known(connection: sa.Connection, keys: Sequence[Key]) -> set[Key]:
    ids = known_targets(connection, {target for target, *_ in keys})
    by_row: dict[tuple[Any, ...], Key] = {(ids[key[0]], *key[1:]): key for key in keys if key[0] in ids}
    return {by_row[row] for row in stored_provenance(connection, by_row)}


def _read(
    observations: Iterable[tuple[Observation, ParsedObservation | None]], stored: set[Key], result: BackfillResult
) -> list[Read]:
    """Parse the new observations. Parsing takes ten times as long as finding the known ones."""
    reads: dict[Key, Read] = {}
    for observation, own_reading in observations:
        key = _key(observation, own_reading)
        if key in stored or key in reads:
            result.known += 1
            continue
        reading = own_reading or parse_or_fail(observation)
        if own_reading is None and reading.listing is None:
            result.refuse(unlisted(observation, reading))
        else:
            reads[key] = observation, reading
            result.problems.add(observation, reading)
    return list(reads.values())
