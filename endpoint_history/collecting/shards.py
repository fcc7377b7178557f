"""A walk in shards, each collected by another run, without Prefect: what each has to collect, and what all brought."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import select

from endpoint_history.archive.bundles import Archive, run_name
from endpoint_history.collecting.run import Collected, resolve_or_recall, with_not_found
from endpoint_history.collecting.summary import TargetOutcome, summarize_run
from endpoint_history.database.engine import location, opened, translated_errors
from endpoint_history.errors import HistoryError
from endpoint_history.loading.bundles import load_missing_bundles
from endpoint_history.openrouter.client import Fetcher, now
from endpoint_history.settings import Settings
from endpoint_history.store.dimensions import of_collect
from endpoint_history.targets import TargetList
from models.observation import Target
from models.tables import observations, runs
from models.tables import targets as asked


@dataclass(frozen=True, slots=True)
class Shard:
    """A part of the targets of a walk: the `number`th, from 1, of so many."""

    walk: str
    number: int
    of: int
    targets: Sequence[Target]

    def run_name(self) -> str:
        """A name for a run that collects it; each asked for is another."""
        return f"{self.walk}-{self.number}-{secrets.token_hex(3)}"

    def __str__(self) -> str:
        return f"shard {self.number} of {self.of}"


Left = Callable[[Sequence[Target]], list[Target]]
HandOut = Callable[[Sequence[Shard], Left], Coroutine[Any, Any, list[str]]]


async def collect_sharded(settings: Settings, entries: TargetList, shards: int, hand_out: HandOut) -> Collected:
    """Collect every target once, by as many runs of others as there are shards.

    `hand_out` gets the shards, and a way to ask which targets of one have no look in this walk yet; it gives a line for
    each shard that was not collected whole. Raises HistoryError where nothing could be done, or where what was done
    can't be read.
    """
    with opened(settings.database_url.get_secret_value(), must_answer=False) as engine:
        archive = Archive(settings.archive_url.get_secret_value())
        troubles = await asyncio.to_thread(load_missing_bundles, engine, archive, now())
        async with Fetcher(settings) as fetcher:
            targets = await resolve_or_recall(fetcher, entries, engine, troubles)
            walk = run_name("collect", now(), secrets.token_hex(3))
            troubles += await hand_out(split(walk, targets, shards), lambda some: _left(engine, walk, some))
            collected = await asyncio.to_thread(_collected, engine, archive, walk, len(targets), troubles)
            return await with_not_found(collected, fetcher, engine, entries)


def split(walk: str, targets: Sequence[Target], shards: int) -> list[Shard]:
    """Deal the targets out, so that those of one author, which are alike, come to all."""
    of = min(shards, len(targets))
    return [Shard(walk, number, of, targets[number - 1 :: of]) for number in range(1, of + 1)]


def _left(engine: sa.Engine, walk: str, some: Iterable[Target]) -> list[Target]:
    """Those of which no look of this walk is stored. Where the database is away, nobody knows: all of them."""
    try:
        with translated_errors(engine):
            seen = {look.target for look in _seen(engine, walk)}
    except HistoryError:
        seen = set()
    return [target for target in some if target not in seen]


def _seen(engine: sa.Engine, walk: str) -> list[TargetOutcome]:
    o = observations.c
    query = select(asked.c.author, asked.c.slug, o.outcome, o.error).select_from(observations.join(asked).join(runs))
    with engine.connect() as connection:
        rows = connection.execute(query.where(of_collect(walk)).order_by(o.observed_at)).all()
    # Of a target that a lost run and the one in its place both asked for, the last look counts.
    looks = {(author, slug): (outcome, error) for author, slug, outcome, error in rows}
    return [TargetOutcome(Target(*names), outcome, error) for names, (outcome, error) in looks.items()]


def _collected(engine: sa.Engine, archive: Archive, walk: str, targets: int, troubles: Sequence[str]) -> Collected:
    try:
        with translated_errors(engine):
            seen = _seen(engine, walk)
            with engine.connect() as connection:
                summary = summarize_run(connection, walk, seen)
    except HistoryError as error:
        raise HistoryError("; ".join([str(error), *troubles])) from None
    return Collected(
        summary=summary,
        targets=targets,
        waiting=0,
        waiting_reason=None,
        database=location(engine),
        archive=archive.location,
        troubles=troubles,
    )
