"""What a live collect has to tell: the changes it brought, and the alerts since the one before it.

What was told stands in no table: each collect tells what alerts after the end of the one before it, up to its own end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection, select

from endpoint_history.alerts.collect_events import (
    MOST_CHANGES,
    CollectEvent,
    change_events,
    collected_event,
    incident_events,
    stale_event,
)
from endpoint_history.alerts.history import AlertHistory
from endpoint_history.alerts.rule_events import alert_events
from endpoint_history.alerts.rules import Rule, read_rules
from endpoint_history.collecting.run import Collected
from endpoint_history.database.engine import opened, translated_errors
from endpoint_history.errors import ConfigurationError, HistoryError
from endpoint_history.monitoring.collects import stale_targets
from endpoint_history.settings import Settings
from endpoint_history.store.dimensions import of_collect
from models.tables import runs

T = TypeVar("T")


async def last_collect_end(settings: Settings) -> datetime | None:
    """When the last finished collect ended: to be asked before another begins, which tells of all after it.

    So it also tells of what an earlier one left to be loaded, when it crashed or its database was away. None before
    the first one has ended, and where the database is away: that stops no collect.
    """
    try:
        return await asyncio.to_thread(_ask, settings, _last_end)
    except ConfigurationError:
        raise
    except HistoryError:
        return None


async def events_of(settings: Settings, collected: Collected, since: datetime | None) -> list[CollectEvent]:
    """All that a collect tells: alerts first, its own end last. Raises HistoryError."""
    rules = read_rules(settings.alerts_file)
    return await asyncio.to_thread(_ask, settings, lambda connection: gather(connection, rules, collected, since))


def gather(
    connection: Connection, rules: tuple[Rule, ...], collected: Collected, since: datetime | None
) -> list[CollectEvent]:
    """The same, asked of a database. Where looks still wait in the archive, the next collect tells of the alerts."""
    summary = collected.summary
    until = connection.execute(select(sa.func.max(runs.c.finished_at)).where(of_collect(summary.run))).scalar_one()
    alerts: list[CollectEvent] = []
    changes = list(change_events(summary))
    if since and until:
        history = AlertHistory(connection, since, until)
        alerts = list(alert_events(history.alerts(rules)))
        changes += incident_events(history.incidents(), since, until)
    if until:
        stale, targets = stale_targets(connection, until)
        alerts += [stale_event(summary.run, stale, targets)] if 2 * stale > targets else []
    left_out = max(len(changes) - MOST_CHANGES, 0)
    return [*alerts, *changes[:MOST_CHANGES], collected_event(collected, left_out)]


def _last_end(connection: Connection) -> datetime | None:
    query = select(sa.func.max(runs.c.finished_at)).where(runs.c.kind == "collect")
    end: datetime | None = connection.execute(query).scalar_one()
    return end


def _ask(settings: Settings, question: Callable[[Connection], T]) -> T:
    with (
        opened(settings.database_url.get_secret_value()) as engine,
        translated_errors(engine),
        engine.connect() as connection,
    ):
        return question(connection)
