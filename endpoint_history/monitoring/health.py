"""What stands in the way of history, of all that it needs: fresh evidence, room on the disk, Prefect's schedules."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from endpoint_history.alerts.outbox import Waiting, read_waiting
from endpoint_history.alerts.rules import read_rules
from endpoint_history.archive.bundles import Archive
from endpoint_history.collecting.not_found import NotFound, recorded_not_found
from endpoint_history.database.clock import clock_ahead
from endpoint_history.database.engine import location, opened, revisions, translated_errors
from endpoint_history.errors import HistoryError
from endpoint_history.monitoring.schedules import Schedules
from endpoint_history.monitoring.status import Status, read_status, status_lines
from endpoint_history.settings import Settings
from endpoint_history.targets import TargetList
from endpoint_history.text import count_text, printable

AskPrefect = Callable[[], Schedules | None]
_LEAST_ROOM = 2**30  # what the whole catalogue takes in some months


@dataclass(frozen=True, slots=True)
class Health:
    """What the history says of itself, and what of the world around it.

    `room` is how many bytes are free where the archive and a SQLite database lie, the least of the two; None where both
    are elsewhere. `schedules` is what Prefect says: None where none is configured, a text where it can't be asked.
    `rules` says why those of alerts can't be read, and `targets` the same of the targets file; None where they can.
    `not_found` holds the targets of that file that the newest walk asked for and did not find.
    `clock` says how far this machine's clock is ahead of the database's; None where it is not. `undelivered` are the
    alerts that wait, if any.
    """

    status: Status
    room: int | None
    schedules: Schedules | str | None
    rules: str | None = None
    not_found: Sequence[NotFound] = ()
    targets: str | None = None
    clock: str | None = None
    undelivered: Waiting | None = None

    @property
    def problems(self) -> list[str]:
        """What somebody has to see to, each in one line; none where all is well."""
        found = list(self.status.problems)
        if self.room is not None and self.room < _LEAST_ROOM:
            found.append(f"only {_gigabytes(self.room)} are free on the disk")
        if self.clock:
            found.append(f"no run can begin: {self.clock}; set this machine's clock")
        if self.targets:
            found.append(f"nothing more can be collected: {self.targets}")
        found += [f"not found (never seen): {target}" for target in self.not_found]
        if self.rules:
            found.append(f"nobody is told of alerts: {self.rules}")
        if self.undelivered:
            found += self.undelivered.problems
        if isinstance(self.schedules, str):
            found.append(self.schedules)
        elif self.schedules:
            found += self.schedules.problems
        return found


def read_health(settings: Settings, now: datetime, ask_prefect: AskPrefect) -> Health:
    """Ask the database, the archive, the disk and Prefect. Raises HistoryError if the database can't be used."""
    archive = Archive(settings.archive_url.get_secret_value())
    with opened(settings.database_url.get_secret_value()) as engine, translated_errors(engine):
        with engine.connect() as connection:
            status = read_status(
                connection,
                now=now,
                schema=str(revisions(engine)[0]),
                archive_bytes=_size(archive),
                database=location(engine),
                archive=archive.location,
            )
            recorded = recorded_not_found(connection)
            undelivered = read_waiting(connection)
        folders = [archive.folder, _folder(engine)]
        clock = clock_ahead(engine, now)
    missing, targets = _not_found(settings, status, recorded)
    return Health(
        status, _room(folders), _schedules(ask_prefect), _rules(settings), missing, targets, clock, undelivered
    )


def health_lines(health: Health) -> Iterator[str]:
    """The same for a terminal."""
    yield from status_lines(health.status)
    if health.room is not None:
        yield f"Disk       {_gigabytes(health.room)} free"
    if isinstance(health.schedules, Schedules):
        found = health.schedules
        late = f"{count_text(found.late, 'run')} late"
        yield f"Prefect    {found.server}: {count_text(found.deployed, 'deployment')}, {late}"
    yield from (f"Trouble    {printable(problem)}" for problem in health.problems)


def health_payload(health: Health) -> dict[str, Any]:
    """The same for a program: plain values that JSON has."""
    status, schedules = health.status, health.schedules if isinstance(health.schedules, Schedules) else None
    newest = status.newest_observation
    return {
        "healthy": not health.problems,
        "problems": health.problems,
        "at": status.now.astimezone(UTC).isoformat(),
        "newest_evidence_at": newest and newest.isoformat(),
        "targets": status.targets,
        "failing": len(status.failing),
        "stale": status.stale,
        "never_seen": len(status.never_seen),
        "not_found": [{"target": item.target, "did_you_mean": item.suggestion} for item in health.not_found],
        "gaps_7d": status.gaps.gaps,
        "missed_observations_7d": status.gaps.missed,
        "drift": len(status.drift),
        "schema": status.schema,
        "archive_bytes": status.archive_bytes,
        "free_bytes": health.room,
        "undelivered_alerts": health.undelivered.alerts if health.undelivered else 0,
        "late_runs": schedules and schedules.late,
        "paused_schedules": schedules and list(schedules.paused),
    }


def _schedules(ask_prefect: AskPrefect) -> Schedules | str | None:
    try:
        return ask_prefect()
    except HistoryError as error:
        return str(error)


def _rules(settings: Settings) -> str | None:
    try:
        read_rules(settings.alerts_file)
    except HistoryError as error:
        return str(error)
    return None


def _not_found(settings: Settings, status: Status, recorded: Sequence[NotFound]) -> tuple[list[NotFound], str | None]:
    """The misspelt targets, or why the targets file can't be read."""
    try:
        entries = TargetList.configured(settings)
    except HistoryError as error:
        return [], str(error)
    failing = {target for target, *_ in status.failing}  # nobody knows whether these exist
    names = {target for target in status.never_seen if target not in failing and entries.names(target)}
    return [found for found in recorded if found.target in names], None


def _size(archive: Archive) -> int | None:
    try:
        return archive.size_bytes()
    except HistoryError:
        return None


def _folder(engine: sa.Engine) -> Path | None:
    name = engine.url.database
    return Path(name).absolute().parent if engine.dialect.name == "sqlite" and name else None


def _room(folders: Iterable[Path | None]) -> int | None:
    """The least free room; a folder that is not there yet will be made on the disk of the next above it."""
    there = (next(at for at in (folder, *folder.parents) if at.exists()) for folder in folders if folder)
    return min((shutil.disk_usage(folder).free for folder in there), default=None)


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:,.1f} GB"
