"""Take older bodies from outside: into our archive first, then into the tables by the same write path as a collect.

Late, twice, in any order and beside a live collector: the tables come out as if all had been looked at in time.
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
_TRIED = 1000  # what a dry run stores, to tell the first changes
_BYTES = 32 * 2**20
_SECONDS = 5.0  # captures come one a second: not many of them may be lost

Item = SavedBody | Observation | KnownBody | Refused  # an observation is of an archive, and what it is already
Key = tuple[Target, datetime, Outcome, str]  # what makes a look one: with its outcome and its body's digest
Items = Iterable[tuple[int, int, Item]]  # (how many of the source's things are read, of how many, what)


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
    """Take all that is wanted and not known yet. `at` is now. Raises HistoryError; what was taken stays taken."""
    run = Run(run_name("backfill", at, secrets.token_hex(3)), "backfill", source)
    result = BackfillResult(run.name, troubles=load_missing_bundles(engine, archive, at))
    last: datetime | None = None
    outcomes: Counter[Outcome] = Counter()
    with ExitStack() as stack:
        stack.enter_context(relaxed_gc())
        bundle = None
        for batch in _batches(items, progress):
            new = _new(engine, run, batch, wanted=wanted, result=result, at=at)
            if not new:
                continue
            if bundle is None:
                with translated_errors(engine), writing(engine) as connection:
                    run_ids(connection, [run])
                bundle = stack.enter_context(archive.open_bundle(run))
            kept = [(bundle.add(look), reading) for look, reading in new]
            bundle.sync()
            with translated_errors(engine), writing(engine) as connection:
                stored = store(connection, kept)
            result.changed += stored.changed
            result.new += len(kept)
            outcomes.update(reading.outcome for _, reading in kept)
            newest = max(look.observed_at for look, _ in kept)
            last = max(last or newest, newest)
    with translated_errors(engine), writing(engine) as connection:
        finish_run(connection, run.name, outcomes, last)
        result.conflicts = count_conflicts(connection, run.name)
    with translated_errors(engine):
        roll_up(engine)
    return result


def try_bodies(
    engine: sa.Engine,
    source: str,
    items: Items,
    wanted: Wanted,
    *,
    at: datetime,
    progress: Progress = lambda *_: None,
) -> BackfillResult:
    """What a source would bring, with the changes that the first new bodies would make. Nothing is written."""
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
                TargetOutcome(look.target, reading.outcome, None)
                for look, reading in first
                if reading.outcome != "failed"
            ]
            result.summary = summarize_run(connection, run.name, seen)
            result.conflicts = count_conflicts(connection, run.name)
        connection.rollback()
    return result


def _batches(items: Items, progress: Progress) -> Iterator[list[Item]]:
    """What is read, in parts to be stored at once: a kill costs one of them, a source that goes away or Ctrl-C none."""
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
    """What of a batch is wanted and not known, each once; all else is counted."""
    looks: list[tuple[Observation, ParsedObservation | None]] = []
    for item in batch:
        if isinstance(item, KnownBody):
            result.known += 1
            continue
        look = _look(item, run, at)
        if isinstance(look, Refused):
            result.refuse(look)
        elif not wanted.takes(look[0]):
            result.unwanted += 1
        else:
            looks.append(look)
            if isinstance(item, SavedBody):
                result.dating.add(item, look[0])
    with translated_errors(engine), engine.connect() as connection:
        stored = _known(connection, [_key(look, reading) for look, reading in looks])
    return _read(looks, stored, result)


def _look(
    item: SavedBody | Observation | Refused, run: Run, at: datetime
) -> tuple[Observation, ParsedObservation | None] | Refused:
    match item:
        case SavedBody():
            return observation_of(item, run, at)
        case Observation():
            look = dataclasses.replace(item, run=run)
            return look, parse_or_fail(look)
        case Refused():
            return item


def _key(look: Observation, reading: ParsedObservation | None) -> Key:
    """A body from outside that is not read yet can only be new or known as `ok`."""
    return look.target, look.observed_at, reading.outcome if reading else "ok", look.body_digest


def _known(connection: sa.Connection, keys: Sequence[Key]) -> set[Key]:
    ids = known_targets(connection, {target for target, *_ in keys})
    by_row: dict[tuple[Any, ...], Key] = {(ids[key[0]], *key[1:]): key for key in keys if key[0] in ids}
    return {by_row[row] for row in stored_provenance(connection, by_row)}


def _read(
    looks: Iterable[tuple[Observation, ParsedObservation | None]], stored: set[Key], result: BackfillResult
) -> list[Read]:
    """Read what is not known: that takes ten times as long as to find that something is."""
    reads: dict[Key, Read] = {}
    for look, own_reading in looks:
        key = _key(look, own_reading)
        if key in stored or key in reads:
            result.known += 1
            continue
        reading = own_reading or parse_or_fail(look)
        if own_reading is None and reading.listing is None:
            result.refuse(unlisted(look, reading))
        else:
            reads[key] = look, reading
            result.problems.add(look, reading)
    return list(reads.values())
