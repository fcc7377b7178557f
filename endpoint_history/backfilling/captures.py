"""Captures of a Wayback Machine as the items of a backfill: an asynchronous source, read one item at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from datetime import datetime
from functools import partial
from urllib.parse import urlsplit

import sqlalchemy as sa

from endpoint_history.backfilling.importer import Items
from endpoint_history.backfilling.result import Wanted
from endpoint_history.database.engine import translated_errors
from endpoint_history.errors import ConfigurationError
from endpoint_history.openrouter.client import Fetcher
from endpoint_history.settings import LOOPBACK, Settings, checked_base_url
from endpoint_history.sources.wayback import WAYBACK_URL
from endpoint_history.sources.wayback.source import Had, Item, open_wayback
from endpoint_history.store.observations import read_origins
from models.observation import Target

_MAX_RATE = 1.0  # requests per second


@contextmanager
def captures(
    settings: Settings, engine: sa.Engine, paths: Sequence[str], wanted: Wanted, *, base_url: str
) -> Iterator[Items]:
    """Yield the captures of these targets, fetched on an event loop of its own. Raises ConfigurationError."""
    targets = [_target(path) for path in paths]
    walk = _walk(polite(settings, base_url), targets, wanted, partial(_had, engine))
    # The end of the runner closes the walk, even if a signal interrupts a request.
    with asyncio.Runner() as runner:
        yield _items(runner, walk)


def polite(settings: Settings, base_url: str) -> Settings:
    """Return settings for an archive of somebody else: slow, and without our key. Raises ConfigurationError."""
    try:
        url = checked_base_url(base_url)
    except ValueError:
        raise ConfigurationError(
            f"base-url: expected an http or https address such as {WAYBACK_URL}, without user or query"
        ) from None
    rate = settings.requests_per_second
    if urlsplit(url).hostname not in LOOPBACK:
        rate = min(rate or _MAX_RATE, _MAX_RATE)
    return settings.model_copy(
        update={
            "openrouter_base_url": url,
            "openrouter_api_key": None,
            "requests_per_second": rate,
            "max_connections": 2,
            "request_timeout_seconds": max(60, settings.request_timeout_seconds),
        }
    )


async def _walk(settings: Settings, targets: Sequence[Target], wanted: Wanted, had: Had) -> AsyncGenerator[Item]:
    async with Fetcher(settings) as fetcher:
        since, until, base_url = wanted.since, wanted.until, settings.openrouter_base_url
        items = open_wayback(fetcher.get, targets, had=had, base_url=base_url, since=since, until=until)
        async with aclosing(items):
            async for item in items:
                yield item


def _items(runner: asyncio.Runner, walk: AsyncGenerator[Item]) -> Items:
    while (item := runner.run(_next(walk))) is not None:
        yield item


async def _next(walk: AsyncGenerator[Item]) -> Item | None:
    return await anext(walk, None)


def _had(engine: sa.Engine, target: Target, times: Sequence[datetime]) -> list[str]:
    with translated_errors(engine), engine.connect() as connection:
        return read_origins(connection, target, times)


def _target(text: str) -> Target:
    try:
        return Target.parse(text)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
