"""A collect in shards, each with a run of its own: split the targets, and summarize all runs. Without Prefect."""

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
    """A part of the targets of a collect: the `number`th of `of`, counted from 1."""

    collect: str
    number: int
    of: int
    targets: Sequence[Target]

    def run_name(self) -> str:
        """Return a new name for a run that collects this shard."""
        return f"{self.collect}-{self.number}-{secrets.token_hex(3)}"

    def __str__(self) -> str:
        return f"shard {self.number} of {self.of}"


Left = Callable[[Sequence[Target]], list[Target]]
HandOut = Callable[[Sequence[Shard], Left], Coroutine[Any, Any, list[str]]]


async def collect_sharded(settings: Settings, entries: TargetList, shards: int, hand_out: HandOut) -> Collected:
    """Collect every target once, with one run for each shard.

    `hand_out` gets the shards, and a function that returns which of some targets have no stored observation yet; it
    returns one line for each incomplete shard. Raises HistoryError if nothing could be done, or if the result can't be
    read.
    """
    with opened(settings.database_url.get_secret_value(), must_answer=False) as engine:
        archive = Archive(settings.archive_url.get_secret_value())
        troubles = await asyncio.to_thread(load_missing_bundles, engine, archive, now())
        async with Fetcher(settings) as fetcher:
            targets = await resolve_or_recall(fetcher, entries, engine, troubles)
            collect = run_name("collect", now(), secrets.token_hex(3))
            troubles += await hand_out(split(collect, targets, shards), lambda some: _left(engine, collect, some))
            collected = await asyncio.to_thread(_collected, engine, archive, collect, len(targets), troubles)
            return await with_not_found(collected, fetcher, engine, entries)


def split(collect: str, targets: Sequence[Target], shards: int) -> list[Shard]:
    """Deal the targets out one by one, so that each author's are spread over all shards."""
    of = min(shards, len(targets))
    return [Shard(collect, number, of, targets[number - 1 :: of]) for number in range(1, of + 1)]


def _left(engine: sa.Engine, collect: str, some: Iterable[Target]) -> list[Target]:
    """Return the targets without a stored observation of this collect; all of them if the database is down."""
    try:
        with translated_errors(engine):
            seen = {one.target for one in _seen(engine, collect)}
    except HistoryError:
        seen = set()
    return [target for target in some if target not in seen]


def _seen(engine: sa.Engine, collect: str) -> list[TargetOutcome]:
    o = observations.c
    query = select(asked.c.author, asked.c.slug, o.outcome, o.error).select_from(observations.join(asked).join(runs))
    with engine.connect() as connection:
        rows = connection.execute(query.where(of_collect(collect)).order_by(o.observed_at)).all()
    # If a lost run and its replacement both observed a target, the last observation counts.
    newest = {(author, slug): (outcome, error) for author, slug, outcome, error in rows}
    return [TargetOutcome(Target(*names), outcome, error) for names, (outcome, error) in newest.items()]


def _collected(engine: sa.Engine, archive: Archive, collect: str, targets: int, troubles: Sequence[str]) -> Collected:
    try:
        with translated_errors(engine):
            seen = _seen(engine, collect)
            with engine.connect() as connection:
                summary = summarize_run(connection, collect, seen)
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
