"""One backfill: which source, what of it, and what to do with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import partial
from typing import Literal, Self
from urllib.parse import urlsplit

import sqlalchemy as sa

from endpoint_history.archive.bundles import Archive
from endpoint_history.archive.reader import Progress
from endpoint_history.backfilling.importer import Items, import_bodies, try_bodies
from endpoint_history.backfilling.replay import replay, try_replay
from endpoint_history.backfilling.result import BackfillResult, Wanted
from endpoint_history.database.clock import refuse_clock_ahead
from endpoint_history.database.engine import location, opened, translated_errors
from endpoint_history.errors import ConfigurationError, HistoryError
from endpoint_history.loading.bundles import Loaded, require_bundles
from endpoint_history.loading.compare import Difference
from endpoint_history.loading.rebuild import has_history, rebuild, verify
from endpoint_history.openrouter.client import Fetcher
from endpoint_history.settings import LOOPBACK, Settings, checked_base_url
from endpoint_history.sources.files.source import open_files
from endpoint_history.sources.git.source import open_git
from endpoint_history.sources.items import Source
from endpoint_history.sources.wayback import WAYBACK_URL
from endpoint_history.sources.wayback.source import Had, Item, nothing_captured, open_wayback
from endpoint_history.store.observations import read_origins
from endpoint_history.targets import TargetList
from models.observation import Target

SourceName = Literal["archive", "files", "git", "wayback"]
Mode = Literal["load", "dry-run", "rebuild", "verify"]
_YEARS = range(1970, 3000)  # far from the edges of the calendar, which no zone may cross
_WELCOME_RATE = 1.0  # requests a second

# Which of its options each source takes, and which of them it needs.
_OPTIONS = {
    "archive": {"everything"},
    "files": {"paths", "time", "zone", "target"},
    "git": {"paths", "repository", "time", "zone", "target"},
    "wayback": {"paths", "base_url"},
}
_NEEDED = {"paths", "repository"}


@dataclass(frozen=True, slots=True)
class Origin:
    """A source with its own options: `paths` are targets for `wayback`; `everything`: also bundles loaded whole."""

    source: SourceName
    paths: tuple[str, ...] = ()
    repository: str | None = None
    time: str | None = None
    zone: str | None = None
    target: str | None = None
    base_url: str | None = None
    everything: bool = False

    def __post_init__(self) -> None:
        options = _OPTIONS[self.source]
        given = {field.name for field in fields(self) if field.name != "source" and getattr(self, field.name)}
        for name in sorted(given - options):
            raise ConfigurationError(f"{name} means nothing for a backfill from {self.source}")
        for name in sorted(options & _NEEDED - given):
            raise ConfigurationError(f"a backfill from {self.source} needs {name}")


@dataclass(frozen=True, slots=True)
class Job:
    """A source, what of it is wanted, and what to do with it."""

    origin: Origin
    wanted: Wanted
    mode: Mode

    @classmethod
    def checked(
        cls,
        origin: Origin,
        *,
        since: str | None = None,
        until: str | None = None,
        only: Sequence[str] | None = None,
        mode: Mode = "load",
    ) -> Self:
        """Read what a person wrote. Raises ConfigurationError."""
        targets = TargetList.given(only) if only else None
        job = cls(origin, Wanted(read_time(since, "since"), read_time(until, "until"), targets), mode)
        if mode in {"rebuild", "verify"}:
            if origin.source != "archive":
                raise ConfigurationError(f"{mode} means nothing for a backfill from {origin.source}")
            if origin.everything or job.wanted != Wanted():
                raise ConfigurationError(f"{mode} is always of the whole archive: no since, until, only or all")
        return job

    @property
    def counted(self) -> tuple[str, str]:
        """What its progress counts, and what it takes."""
        return ("kB read", "observations") if self.origin.source == "archive" else ("items read", "bodies")


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """All history built anew from the archive, and put in place, or compared: `differences` says with what result.

    Where raw samples may have been thinned, uptime was compared from `uptime_since` on. `is_empty` tells that there was
    nothing to compare, as nothing is loaded into the database yet.
    """

    mode: Mode
    database: str
    loaded: Loaded
    differences: Sequence[Difference] = ()
    uptime_since: datetime | None = None
    is_empty: bool = False

    @property
    def exit_code(self) -> int:
        """0 the database is what the archive gives, 3 it is not, or not all of the archive can be read."""
        return 3 if self.differences or self.loaded.damaged or self.is_empty else 0


def run_job(
    settings: Settings, job: Job, *, at: datetime, progress: Progress = lambda *_: None
) -> BackfillResult | Rebuilt:
    """Do what is to be done; `at` is now. Raises HistoryError; what was taken until then stays taken."""
    with opened(settings.database_url.get_secret_value()) as engine:
        archive = Archive(settings.archive_url.get_secret_value())
        if job.mode in {"rebuild", "verify"}:
            return _rebuilt(engine, archive, job.mode, progress)
        is_dry = job.mode == "dry-run"
        if job.origin.source == "archive":
            everything = job.origin.everything
            if is_dry:
                return try_replay(engine, archive, job.wanted, everything=everything, at=at, progress=progress)
            return replay(engine, archive, job.wanted, everything=everything, progress=progress)
        refuse_clock_ahead(engine, at)
        with _items(settings, job, engine) as items:
            if is_dry:
                result = try_bodies(engine, job.origin.source, items, job.wanted, at=at, progress=progress)
            else:
                source = job.origin.source
                result = import_bodies(engine, archive, source, items, job.wanted, at=at, progress=progress)
    if job.origin.source == "wayback" and not result.read:
        base_url = job.origin.base_url or WAYBACK_URL
        raise HistoryError(nothing_captured(base_url, job.origin.paths, job.wanted.since, job.wanted.until))
    return result


def _rebuilt(engine: sa.Engine, archive: Archive, mode: Mode, progress: Progress) -> Rebuilt:
    with translated_errors(engine):
        if mode == "rebuild":
            return Rebuilt(mode, location(engine), rebuild(engine, archive, progress))
        if require_bundles(archive) and not has_history(engine):
            return Rebuilt(mode, location(engine), Loaded(), is_empty=True)
        return Rebuilt(mode, location(engine), *verify(engine, archive, progress))


@contextmanager
def _items(settings: Settings, job: Job, engine: sa.Engine) -> Iterator[Items]:
    origin = job.origin
    if origin.source == "wayback":
        with _captures(settings, job, engine) as items:
            yield items
        return
    source = _open(origin, job.wanted)
    yield ((done, source.size, item) for done, item in source.items)


def _open(origin: Origin, wanted: Wanted) -> Source:
    if origin.source == "files":
        return open_files(origin.paths, time=origin.time, zone=origin.zone, target=origin.target)
    rules = {"time": origin.time, "zone": origin.zone, "target": origin.target}
    return open_git(origin.repository or "", origin.paths, **rules, since=wanted.since, until=wanted.until)


@contextmanager
def _captures(settings: Settings, job: Job, engine: sa.Engine) -> Iterator[Items]:
    """The captures one by one, on a loop of their own: what takes them is no coroutine."""
    targets = [_target(path) for path in job.origin.paths]
    asking = polite(settings, job.origin.base_url or WAYBACK_URL)
    walk = _walk(asking, targets, job.wanted, partial(_had, engine))
    # However this ends, also by a signal in the middle of a request: the runner's end is that of the walk.
    with asyncio.Runner() as runner:
        yield _drawn(runner, walk)


async def _walk(settings: Settings, targets: Sequence[Target], wanted: Wanted, had: Had) -> AsyncGenerator[Item]:
    async with Fetcher(settings) as fetcher:
        since, until, base_url = wanted.since, wanted.until, settings.openrouter_base_url
        source = open_wayback(fetcher.get, targets, had=had, base_url=base_url, since=since, until=until)
        async with aclosing(source) as items:
            async for item in items:
                yield item


def _drawn(runner: asyncio.Runner, walk: AsyncGenerator[Item]) -> Items:
    while (item := runner.run(_next(walk))) is not None:
        yield item


async def _next(walk: AsyncGenerator[Item]) -> Item | None:
    return await anext(walk, None)


def polite(settings: Settings, base_url: str) -> Settings:
    """How to ask an archive: it is somebody else, and gets no key. Raises ConfigurationError."""
    try:
        url = checked_base_url(base_url)
    except ValueError:
        raise ConfigurationError(
            f"base-url: expected an http or https address such as {WAYBACK_URL}, without user or query"
        ) from None
    rate = settings.requests_per_second
    if urlsplit(url).hostname not in LOOPBACK:
        rate = min(rate or _WELCOME_RATE, _WELCOME_RATE)
    return settings.model_copy(
        update={
            "openrouter_base_url": url,
            "openrouter_api_key": None,
            "requests_per_second": rate,
            "max_connections": 2,
            "request_timeout_seconds": max(60, settings.request_timeout_seconds),
        }
    )


def _had(engine: sa.Engine, target: Target, times: Sequence[datetime]) -> list[str]:
    with translated_errors(engine), engine.connect() as connection:
        return read_origins(connection, target, times)


def _target(text: str) -> Target:
    try:
        return Target.parse(text)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None


def read_time(text: str | None, name: str) -> datetime | None:
    """The UTC time that a person wrote; without a zone it is UTC. Raises ConfigurationError."""
    if text is None:
        return None
    utc = None
    with suppress(ValueError, OverflowError):
        time = datetime.fromisoformat(text)
        utc = time.replace(tzinfo=time.tzinfo or UTC).astimezone(UTC)
    if utc is None or utc.year not in _YEARS:
        raise ConfigurationError(f"{name}: {text!r} is no time such as 2026-05-16 or 2026-05-16T09:00Z")
    return utc
