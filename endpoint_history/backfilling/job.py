"""One backfill: its source, the bodies wanted, and its mode."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Literal, Self

import sqlalchemy as sa

from endpoint_history.archive.bundles import Archive
from endpoint_history.archive.reader import Progress
from endpoint_history.backfilling.captures import captures
from endpoint_history.backfilling.importer import Items, import_bodies, try_bodies
from endpoint_history.backfilling.replay import replay, try_replay
from endpoint_history.backfilling.result import BackfillResult, Wanted
from endpoint_history.database.clock import refuse_clock_ahead
from endpoint_history.database.engine import location, opened, translated_errors
from endpoint_history.errors import ConfigurationError, HistoryError
from endpoint_history.loading.bundles import Loaded, require_bundles
from endpoint_history.loading.compare import Difference
from endpoint_history.loading.rebuild import has_history, rebuild, verify
from endpoint_history.settings import Settings
from endpoint_history.sources.files.source import open_files
from endpoint_history.sources.git.source import open_git
from endpoint_history.sources.items import Source
from endpoint_history.sources.wayback import WAYBACK_URL
from endpoint_history.sources.wayback.source import nothing_captured
from endpoint_history.targets import TargetList

SourceName = Literal["archive", "files", "git", "wayback"]
Mode = Literal["load", "dry-run", "rebuild", "verify"]
_YEARS = range(1970, 3000)  # far from the edges of the calendar, which no zone may cross

# The options that each source accepts, and those it needs.
_OPTIONS = {
    "archive": {"everything"},
    "files": {"paths", "time", "zone", "target"},
    "git": {"paths", "repository", "time", "zone", "target"},
    "wayback": {"paths", "base_url"},
}
_NEEDED = {"paths", "repository"}


@dataclass(frozen=True, slots=True)
class Origin:
    """A source with its options. `paths` are targets for `wayback`; `everything` includes bundles loaded before."""

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
    """A source, the bodies wanted of it, and the mode."""

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
        """Read a job from the options of a command. Raises ConfigurationError."""
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
        """The units of its progress: of what is read, and of what is stored."""
        return ("kB read", "observations") if self.origin.source == "archive" else ("items read", "bodies")


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """The result of a rebuild, or of a verification with its `differences`.

    If raw samples may have been thinned, uptime was compared from `uptime_since` on. `is_empty` is True if nothing was
    compared, as the database holds no history yet.
    """

    mode: Mode
    database: str
    loaded: Loaded
    differences: Sequence[Difference] = ()
    uptime_since: datetime | None = None
    is_empty: bool = False

    @property
    def exit_code(self) -> int:
        """0 if the database equals the archive, 3 if it differs or not all of the archive can be read."""
        return 3 if self.differences or self.loaded.damaged or self.is_empty else 0


def run_job(
    settings: Settings, job: Job, *, at: datetime, progress: Progress = lambda *_: None
) -> BackfillResult | Rebuilt:
    """Run the job; `at` is now. Raises HistoryError; bodies stored until then stay stored."""
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
        base_url = origin.base_url or WAYBACK_URL
        with captures(settings, engine, origin.paths, job.wanted, base_url=base_url) as items:
            yield items
        return
    source = _open(origin, job.wanted)
    yield ((done, source.size, item) for done, item in source.items)


def _open(origin: Origin, wanted: Wanted) -> Source:
    if origin.source == "files":
        return open_files(origin.paths, time=origin.time, zone=origin.zone, target=origin.target)
    rules = {"time": origin.time, "zone": origin.zone, "target": origin.target}
    return open_git(origin.repository or "", origin.paths, **rules, since=wanted.since, until=wanted.until)


def read_time(text: str | None, name: str) -> datetime | None:
    """Return the time of an option, in UTC; UTC is also the default zone. Raises ConfigurationError."""
    if text is None:
        return None
    utc = None
    with suppress(ValueError, OverflowError):
        time = datetime.fromisoformat(text)
        utc = time.replace(tzinfo=time.tzinfo or UTC).astimezone(UTC)
    if utc is None or utc.year not in _YEARS:
        raise ConfigurationError(f"{name}: {text!r} is no time such as 2026-05-16 or 2026-05-16T09:00Z")
    return utc
