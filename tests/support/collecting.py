"""Collect from the simulated OpenRouter, in a folder of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from pydantic import SecretStr

from endpoint_history.archive.bundles import Archive
from endpoint_history.collecting.run import Collected, collect_targets
from endpoint_history.database.engine import opened
from endpoint_history.settings import Settings
from endpoint_history.targets import TargetList
from models.observation import Observation
from tests.reference.store import History, history_of, stored_history, visible
from tests.support.factories import at

ARCHIVE = "archive"


def settings(database_url: str, base_url: str, **fields: Any) -> Settings:
    given: dict[str, Any] = {
        "database_url": SecretStr(database_url),
        "archive_url": SecretStr(ARCHIVE),
        "openrouter_base_url": base_url,
        "requests_per_second": 0,
        "request_timeout_seconds": 2,
    }
    return Settings(**given | fields)


def collect(given: Settings, targets: Sequence[str] = ("*",), minute: float = 0, **options: Any) -> Collected:
    """One collect, as if so many minutes after MORNING."""
    entries = TargetList.given(targets)
    return asyncio.run(collect_targets(given, entries, clock=lambda: at(minute), **options))


def history(database_url: str) -> dict[str, list[str]]:
    with opened(database_url) as engine, engine.connect() as connection:
        return visible(connection)


def archived(folder: str = ARCHIVE) -> list[Observation]:
    """Every observation of the archive: the evidence that was really had."""
    found = Archive(folder)
    return [look for name in found.bundles() for look in found.load(name)]


def stored(database_url: str) -> History:
    with opened(database_url) as engine, engine.connect() as connection:
        return stored_history(connection)


def is_told_by_its_archive(database_url: str) -> bool:
    """Whether the history is the one that tests.reference.store works out of all that was really seen."""
    return stored(database_url) == history_of(archived())


def count(database_url: str, table: sa.Table, *where: sa.ColumnElement[bool]) -> int:
    with opened(database_url) as engine, engine.connect() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(table).where(*where)).scalar_one())


def archive() -> Archive:
    return Archive(str(Path(ARCHIVE)))
