"""Take older bodies from outside: into our archive first, then into the tables by the same write path as a collect.

Late, twice, in any order and beside a live collector: the tables come out as if all had been looked at in time.
"""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from flows.archive import Archive, run_name
from flows.catalogue import run_ids
from flows.database import lock_writers, told, writing
from flows.errors import ConfigurationError, HistoryError
from flows.loading import finish_run, take_up
from flows.outcome import Outcome, Seen, count_conflicts, outcome_of
from flows.parse import read_observation
from flows.saved_look import look_of, unlisted
from flows.sources.found import Found, Known, Refused
from flows.store import Read, known, store
from flows.targets import TargetList
from models.listing import Reading
from models.observation import Observation, Run, Target
from models.observation import Outcome as LookOutcome

_BATCH = 5000
_TRIED = 1000  # what a dry run stores, to tell the first changes
_BYTES = 32 * 2**20
_SECONDS = 5.0  # captures come one a second: not many of them may be lost
_SHOWN = 1000

Progress = Callable[[int, int], None]
Item = Found | Refused | Known
Items = Iterable[tuple[int, int, Item]]  # (how many of the source's things are read, of how many, what)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of a source is wanted: from `since` on, before `until` (aware UTC), of these targets; None: all."""

    since: datetime | None = None
    until: datetime | None = None
    targets: TargetList | None = None

    def __post_init__(self) -> None:
        if self.since and self.until and self.until <= self.since:
            raise ConfigurationError(
                f"until {self.until:%Y-%m-%d %H:%M} is not after since {self.since:%Y-%m-%d %H:%M}"
            )

    def takes(self, look: Observation) -> bool:
        """Whether this look is among them."""
        after = self.since is None or look.observed_at >= self.since
        before = self.until is None or look.observed_at < self.until
        return after and before and (self.targets is None or self.targets.takes(str(look.target)))


@dataclass(slots=True)
class Imported:
    """What became of a source. `refused` holds the first thousand; `changed` counts rows of change tables.

    `conflicts` counts looks that another look of the same target in the same second outweighs, or that outweigh one.
    `outcome` is what a dry run would have brought, as far as it looked.
    """

    run: str
    new: int = 0
    known: int = 0
    unwanted: int = 0
    changed: int = 0
    conflicts: int = 0
    refusals: int = 0
    refused: list[Refused] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    outcome: Outcome | None = None

    @property
    def read(self) -> int:
        """How many bodies the source gave."""
        return self.new + self.known + self.unwanted + self.refusals

    def refuse(self, refused: Refused) -> None:
        """Count one, and keep it to be shown."""
        self.refusals += 1
        if len(self.refused) < _SHOWN:
            self.refused.append(refused)


def import_bodies(
    engine: sa.Engine,
    archive: Archive,
    source: str,
    items: Items,
    wanted: Wanted,
    *,
    at: datetime,
    progress: Progress = lambda *_: None,
) -> Imported:
    """Take all that is wanted and not known yet. `at` is now. Raises HistoryError; what was taken stays taken."""
    run = Run(run_name("backfill", at, secrets.token_hex(3)), "backfill", source)
    imported = Imported(run.name, troubles=take_up(engine, archive))
    with ExitStack() as stack:
        bundle = None
        for batch in _batches(items, progress):
            new = _new(engine, run, batch, wanted=wanted, imported=imported, at=at)
            if not new:
                continue
            if bundle is None:
                with told(engine), writing(engine) as connection:
                    run_ids(connection, [run])
                bundle = stack.enter_context(archive.open_bundle(run))
            kept = [(bundle.add(look), reading) for look, reading in new]
            bundle.sync()
            with told(engine), writing(engine) as connection:
                stored = store(connection, kept)
            imported.changed += stored.changed
            imported.new += len(kept)
    with told(engine):
        finish_run(engine, run.name, Counter[LookOutcome]({"ok": imported.new}))
        with engine.connect() as connection:
            imported.conflicts = count_conflicts(connection, run.name)
    return imported


def try_bodies(
    engine: sa.Engine,
    source: str,
    items: Items,
    wanted: Wanted,
    *,
    at: datetime,
    progress: Progress = lambda *_: None,
) -> Imported:
    """What import_bodies would do, with the changes that the first new bodies would make. Nothing is written."""
    run = Run(run_name("backfill", at, secrets.token_hex(3)), "backfill", source)
    imported = Imported(run.name)
    first: list[Read] = []
    for batch in _batches(items, progress):
        new = _new(engine, run, batch, wanted=wanted, imported=imported, at=at)
        imported.new += len(new)
        first += new[: max(0, _TRIED - len(first))]
    with told(engine), engine.connect().execution_options(writing=True) as connection:
        lock_writers(connection)
        imported.changed = store(connection, first).changed
        if first:
            imported.outcome = outcome_of(connection, run.name, [Seen(look.target, "ok", None) for look, _ in first])
        connection.rollback()
    return imported


def _batches(items: Items, progress: Progress) -> Iterator[list[Item]]:
    """What is read, in parts to be stored at once: a kill costs one of them, a source that goes away none."""
    batch: list[Item] = []
    held, began = 0, time.monotonic()
    try:
        for done, size, item in items:
            batch.append(item)
            held += len(item.body) if isinstance(item, Found) else 0
            if len(batch) == _BATCH or held >= _BYTES or time.monotonic() - began >= _SECONDS:
                yield batch
                progress(done, size)
                batch, held, began = [], 0, time.monotonic()
    except HistoryError:
        yield batch
        raise
    if batch:
        yield batch
        progress(done, size)


def _new(
    engine: sa.Engine, run: Run, batch: list[Item], *, wanted: Wanted, imported: Imported, at: datetime
) -> list[Read]:
    """What of a batch is wanted and not known, each once; all else is counted."""
    looks: list[tuple[Observation, Reading | None]] = []
    for item in batch:
        if isinstance(item, Known):
            imported.known += 1
            continue
        look = look_of(item, run, at) if isinstance(item, Found) else item
        if isinstance(look, Refused):
            imported.refuse(look)
        elif not wanted.takes(look[0]):
            imported.unwanted += 1
        else:
            looks.append(look)
    with told(engine), engine.connect() as connection:
        stored = known(connection, [look for look, _ in looks])
    return _read([(*look, is_known) for look, is_known in zip(looks, stored, strict=True)], imported)


def _read(looks: Iterable[tuple[Observation, Reading | None, bool]], imported: Imported) -> list[Read]:
    """Read what is not known: that takes ten times as long as to find that something is."""
    reads: dict[tuple[Target, datetime, str], Read] = {}
    for look, own_reading, is_known in looks:
        key = (look.target, look.observed_at, look.body_digest)
        if is_known or key in reads:
            imported.known += 1
            continue
        reading = own_reading or read_observation(look)
        if reading.listing is None:
            imported.refuse(unlisted(look, reading))
        else:
            reads[key] = look, reading
    return list(reads.values())
