"""Targets that were never seen: names that no model has had, most often misspelt ones.

OpenRouter answers 404 for a model without endpoints and for one that never existed. A target that somebody wrote out by
name, that has never shown a model and that OpenRouter does not list, is not found. One that a pattern matched is
listed, so it exists.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection, select

from flows.database import told
from flows.errors import HistoryError
from flows.fetch import Fetcher
from flows.suggestions import closest
from flows.targets import TargetList
from models.tables import models


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

    Asks for the models listing if there are such targets. If it can't be fetched, all of them count as not found.
    """
    names = [target for target in never_seen if entries.names(target)]
    if not names:
        return []
    try:
        listed = await fetcher.fetch_models()
    except HistoryError:
        listed = []
    with told(engine), engine.connect() as connection:
        seen = known_models(connection)
    return with_suggestions([name for name in names if name not in listed], [*listed, *seen])


def with_suggestions(names: Iterable[str], known: Sequence[str]) -> list[NotFound]:
    """Give each of these names the closest of the known ones."""
    return [NotFound(name, next(iter(closest(name, known, cutoff=0.6)), None)) for name in names]


def known_models(connection: Connection) -> list[str]:
    """Return the ids of all models that this history has seen."""
    return list(connection.execute(select(models.c.openrouter_id)).scalars())
