"""Take older bodies from outside: into our archive first, then into the tables by the same write path as a collect.

Late, twice, in any order and beside a live collector: the tables come out as if all had been looked at in time.
"""

from __future__ import annotations

import dataclasses
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice

import sqlalchemy as sa

from flows.archive import Archive, run_name
from flows.catalogue import run_ids
from flows.database import lock_writers, told, writing
from flows.errors import ConfigurationError
from flows.loading import finish_run, take_up
from flows.outcome import Outcome, Seen, count_conflicts, outcome_of
from flows.parse import read_observation
from flows.rollups import roll_up
from flows.sources.found import Found, Refused
from flows.store import Read, known, store
from flows.targets import TargetList
from models.listing import ModelListing
from models.observation import Observation, Run, Target
from models.observation import Outcome as LookOutcome

_BATCH = 500
_SHOWN = 1000
_OK = 200
_CLOCK_ERROR = timedelta(minutes=5)
_BEFORE_OPENROUTER = datetime(2023, 1, 1, tzinfo=UTC)
_UNTOLD = Target("unknown", "unknown")

Progress = Callable[[int, int], None]
Items = Iterable[tuple[int, int, Found | Refused]]  # (how many of the source's things are read, of how many, what)


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
        roll_up(engine)
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
        first += new[: max(0, 2 * _BATCH - len(first))]
    with told(engine), engine.connect().execution_options(writing=True) as connection:
        lock_writers(connection)
        imported.changed = store(connection, first).changed
        if first:
            imported.outcome = outcome_of(connection, run.name, [Seen(look.target, "ok", None) for look, _ in first])
        connection.rollback()
    return imported


def _batches(items: Items, progress: Progress) -> Iterator[list[Found | Refused]]:
    walk = iter(items)
    while batch := list(islice(walk, _BATCH)):
        yield [item for _, _, item in batch]
        progress(*batch[-1][:2])


def _new(
    engine: sa.Engine, run: Run, batch: list[Found | Refused], *, wanted: Wanted, imported: Imported, at: datetime
) -> list[Read]:
    """What of a batch is wanted and not known, each once; all else is counted."""
    reads: dict[tuple[Target, datetime, str], Read] = {}
    for item in batch:
        read = item if isinstance(item, Refused) else _read(item, run, at)
        if isinstance(read, Refused):
            imported.refuse(read)
        elif not wanted.takes(read[0]):
            imported.unwanted += 1
        elif (key := (read[0].target, read[0].observed_at, read[0].body_digest)) in reads:
            imported.known += 1
        else:
            reads[key] = read
    with told(engine), engine.connect() as connection:
        stored = known(connection, [look for look, _ in reads.values()])
    imported.known += sum(stored)
    return [read for read, is_known in zip(reads.values(), stored, strict=True) if not is_known]


def _read(found: Found, run: Run, at: datetime) -> Read | Refused:
    observed_at = found.observed_at.astimezone(UTC).replace(microsecond=0)
    if observed_at > at + _CLOCK_ERROR:
        return Refused(found.origin, f"its time {observed_at:%Y-%m-%d %H:%M:%S} UTC lies in the future")
    if observed_at < _BEFORE_OPENROUTER:
        return Refused(found.origin, f"its time {observed_at:%Y-%m-%d %H:%M:%S} UTC is before OpenRouter was")
    target = found.target or _UNTOLD
    look = Observation(run, target, observed_at, _OK, body=found.body, origin=found.origin)
    reading = read_observation(look)
    if reading.listing is None:
        return Refused(found.origin, reading.reason or "not an endpoints body")
    if found.target is None:
        try:
            look = dataclasses.replace(look, target=Target.parse(_own_name(reading.listing)))
        except ValueError as error:
            return Refused(found.origin, str(error))
        reading = read_observation(look)
    return look, reading


def _own_name(listing: ModelListing) -> str:
    """The path that a body was asked for by, as far as it can tell: the id of its endpoints where all are a variant."""
    variants = {endpoint.key.variant for endpoint in listing.endpoints}
    only = variants.pop() if len(variants) == 1 else listing.openrouter_id
    return only if only.startswith(f"{listing.openrouter_id}:") else listing.openrouter_id
