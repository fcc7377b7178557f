"""One backfill from outside: which source, what of it, and the run of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, Self

from flows.archive import Archive
from flows.database import opened
from flows.errors import ConfigurationError
from flows.fetch import Fetcher
from flows.importing import Imported, Items, Progress, Wanted, import_bodies, try_bodies
from flows.settings import Settings
from flows.sources.files import open_files
from flows.sources.found import Source
from flows.sources.git import open_git
from flows.sources.wayback import AsyncSource, open_wayback
from flows.targets import TargetList
from models.observation import Target

SourceName = Literal["files", "git", "wayback"]


@dataclass(frozen=True, slots=True)
class Origin:
    """A source with its own options; `paths` are targets for `wayback`."""

    source: SourceName
    paths: tuple[str, ...]
    repository: str | None = None
    time: str | None = None
    target: str | None = None
    base_url: str = "https://web.archive.org"


@dataclass(frozen=True, slots=True)
class Job:
    """A source, and what of it is wanted."""

    origin: Origin
    wanted: Wanted

    @classmethod
    def checked(cls, origin: Origin, *, since: str | None, until: str | None, only: Sequence[str] | None) -> Self:
        """Read what a person wrote. Raises ConfigurationError."""
        targets = TargetList.given(only) if only else None
        return cls(origin, Wanted(read_time(since, "since"), read_time(until, "until"), targets))


def run_job(
    settings: Settings, job: Job, *, dry_run: bool, at: datetime, progress: Progress = lambda *_: None
) -> Imported:
    """Take what is wanted from the source. Raises HistoryError; what was taken until then stays taken."""
    with opened(settings.database_url.get_secret_value()) as engine:
        archive = Archive(settings.archive_url.get_secret_value())
        with _items(settings, job) as items:
            if dry_run:
                return try_bodies(engine, job.origin.source, items, job.wanted, at=at, progress=progress)
            return import_bodies(engine, archive, job.origin.source, items, job.wanted, at=at, progress=progress)


@contextmanager
def _items(settings: Settings, job: Job) -> Iterator[Items]:
    origin = job.origin
    if origin.source == "wayback":
        with _captures(settings, job) as items:
            yield items
        return
    source = _open(origin, job.wanted)
    yield ((done, source.size, item) for done, item in source.items)


def _open(origin: Origin, wanted: Wanted) -> Source:
    if origin.source == "files":
        return open_files(origin.paths, time=origin.time, target=origin.target)
    if origin.repository is None:
        raise ConfigurationError("a git backfill needs its repository")
    rules = {"time": origin.time, "target": origin.target}
    return open_git(origin.repository, origin.paths, **rules, since=wanted.since, until=wanted.until)


@contextmanager
def _captures(settings: Settings, job: Job) -> Iterator[Items]:
    """The captures one by one, on a loop of their own: what takes them is no coroutine."""
    # The archive is somebody else: it gets no key, and at most one request a second, which is known to be welcome.
    rate = min(settings.requests_per_second, 1) if _is_far(job.origin.base_url) else settings.requests_per_second
    polite = {
        "openrouter_base_url": job.origin.base_url,
        "openrouter_api_key": None,
        "requests_per_second": rate,
        "max_connections": 2,
        "request_timeout_seconds": max(60, settings.request_timeout_seconds),
    }
    targets = [_target(path) for path in job.origin.paths]
    with asyncio.Runner() as runner:
        fetcher = runner.run(_open_fetcher(settings.model_copy(update=polite)))
        source = open_wayback(
            fetcher.get, targets, base_url=job.origin.base_url, since=job.wanted.since, until=job.wanted.until
        )
        try:
            yield _drawn(runner, source)
        finally:
            runner.run(source.items.aclose())
            runner.run(fetcher.__aexit__(None, None, None))


def _is_far(base_url: str) -> bool:
    return "://127.0.0.1" not in base_url and "://localhost" not in base_url


async def _open_fetcher(settings: Settings) -> Fetcher:
    return Fetcher(settings)


def _drawn(runner: asyncio.Runner, source: AsyncSource) -> Items:
    while (item := runner.run(anext(source.items, None))) is not None:
        yield item


def _target(text: str) -> Target:
    try:
        return Target.parse(text)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None


def read_time(text: str | None, name: str) -> datetime | None:
    """The UTC time that a person wrote; without a zone it is UTC. Raises ConfigurationError."""
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise ConfigurationError(f"{name}: {text!r} is no time such as 2026-05-16 or 2026-05-16T09:00Z") from None
