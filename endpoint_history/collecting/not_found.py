"""Targets that were never seen: names that no model has had, most often misspelt ones.

OpenRouter answers 404 for a model without endpoints and for one that never existed. A target that somebody wrote out by
name, that has never shown a model and that OpenRouter does not list, is not found. One that a pattern matched is
listed, so it exists. Only a collect asks for the listing, so it records what it did not find for whoever asks later.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy import Connection, select

from endpoint_history.database.engine import translated_errors, writing
from endpoint_history.errors import HistoryError
from endpoint_history.suggestions import closest
from endpoint_history.targets import TargetList
from models.tables import models, not_found

if TYPE_CHECKING:
    from endpoint_history.openrouter.client import Fetcher


@dataclass(frozen=True, slots=True)
class NotFound:
    """A target that was never seen, and the known model whose name is closest to it, if any is close."""

    target: str
    suggestion: str | None

    def __str__(self) -> str:
        return f"{self.target}; did you mean {self.suggestion}?" if self.suggestion else self.target


async def find_not_found(
    fetcher: Fetcher, engine: sa.Engine, entries: TargetList, never_seen: Iterable[str]
) -> list[NotFound]:
    """Return those of the targets without any model that were written out by name and that OpenRouter does not list.

    Asks for the models listing if there are such targets. If it can't be fetched, all of them count as not found. The
    verdict is recorded for `recorded_not_found`.
    """
    names = [target for target in never_seen if entries.names(target)]
    if not names:
        return []
    try:
        listed = await fetcher.fetch_models()
    except HistoryError:
        listed = []
    with translated_errors(engine), writing(engine) as connection:
        known = [*listed, *connection.execute(select(models.c.openrouter_id)).scalars()]
        missing = [NotFound(name, _suggestion(name, known)) for name in names if name not in listed]
        _record(connection, names, missing)
    return missing


def recorded_not_found(connection: Connection) -> list[NotFound]:
    """Return what the last collect that asked for each target did not find. It may have been seen since."""
    query = select(not_found.c.target, not_found.c.suggestion).order_by(not_found.c.target)
    return [NotFound(*row) for row in connection.execute(query)]


def _suggestion(name: str, known: Sequence[str]) -> str | None:
    return next(iter(closest(name, known, cutoff=0.6)), None)


def _record(connection: Connection, names: Sequence[str], missing: Sequence[NotFound]) -> None:
    for name in names:
        connection.execute(not_found.delete().where(not_found.c.target == name))
    if missing:
        connection.execute(
            not_found.insert(), [{"target": one.target, "suggestion": one.suggestion} for one in missing]
        )
