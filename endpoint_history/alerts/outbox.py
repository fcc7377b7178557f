"""Alerts wait in the table `alerts` until their receiver has taken them: retried with backoff, later, and once.

An alert is recorded before it is sent. Whoever sends it takes it for some minutes: two collects at once send it once.
A failure that nobody can interpret, such as a time-out after it was sent, may have delivered it: the receiver can tell
by its `id`, and it is sent three times at most.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, select

from endpoint_history.alerts.collect_events import STALE, CollectEvent
from endpoint_history.alerts.rule_events import FIRED, MORE, RETURNED
from endpoint_history.database.dialect import insert
from endpoint_history.database.engine import writing
from endpoint_history.text import count_text
from endpoint_history.times import utc_text
from models.tables import alerts

Send = Callable[[dict[str, Any]], Coroutine[Any, Any, None]]
Now = Callable[[], datetime]
_SENT = frozenset({FIRED, RETURNED, MORE, STALE})
_STALE_AGAIN = timedelta(days=1)
_TAKEN = timedelta(minutes=5)
_MOST_UNANSWERED = 3
_ATTEMPTS = 4
_BACKOFF_SECONDS = 1.0
_SECONDS_AT_ONCE = 120.0  # less than _TAKEN; what is left waits for the next collect


class UndeliveredError(Exception):
    """The receiver did not take a message. `unanswered`: it may have, as the message was sent and no answer came."""

    def __init__(self, reason: str, *, unanswered: bool = False) -> None:
        super().__init__(reason)
        self.unanswered = unanswered


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many alerts are not delivered, since when, and why the last attempt failed, if there was one.

    `unconfirmed` of them are not sent again: each was sent as often as is allowed, and may have been delivered.
    """

    alerts: int
    unconfirmed: int
    since: datetime
    error: str | None

    @property
    def problems(self) -> Iterator[str]:
        """One line for people about what the next collect sends, and one about what is not sent again."""
        if waiting := self.alerts - self.unconfirmed:
            count = count_text(waiting, "alert is", "alerts are")
            yield (
                f"{count} not delivered, the first since {utc_text(self.since)}: {self.error or 'not sent yet'};"
                " the next collect tries again; to test the receiver: endpoint-history alerts send-test, to give up:"
                " alerts discard"
            )
        if self.unconfirmed:
            count, are = ("1 alert", "is") if self.unconfirmed == 1 else (f"{self.unconfirmed} alerts", "are")
            yield (
                f"{count} may have been delivered and {are} not sent again: no answer came to"
                f" {_MOST_UNANSWERED} attempts; to clear this message: endpoint-history alerts discard"
            )


def record_alerts(connection: Connection, events: Iterable[CollectEvent], now: datetime) -> None:
    """Keep those of the events that are alerts, to be sent. That most targets are stale is one alert a day."""
    for event in events:
        if event.name not in _SENT or (event.name == STALE and _was_stale(connection, now - _STALE_AGAIN)):
            continue
        row = {"event_id": str(event.id), "event": event.name, "payload": dict(event.payload), "recorded_at": now}
        connection.execute(insert(connection, alerts).values(row).on_conflict_do_nothing())


def _was_stale(connection: Connection, since: datetime) -> bool:
    query = select(alerts.c.event_id).where(alerts.c.event == STALE, alerts.c.recorded_at > since).limit(1)
    return connection.execute(query).first() is not None


def read_waiting(connection: Connection) -> Waiting | None:
    """What is not delivered; None if nothing waits."""
    c = alerts.c
    query = (
        select(c.recorded_at, c.error, c.unconfirmed_attempts).where(c.delivered_at.is_(None)).order_by(c.recorded_at)
    )
    rows = connection.execute(query).all()
    if not rows:
        return None
    unconfirmed = [row for row in rows if row.unconfirmed_attempts >= _MOST_UNANSWERED]
    first = next((row for row in rows if row.unconfirmed_attempts < _MOST_UNANSWERED), rows[0])
    error = next((row.error for row in [first, *rows] if row.error), None)
    return Waiting(len(rows), len(unconfirmed), first.recorded_at, error)


def discard_waiting(connection: Connection) -> int:
    """Give up all that is not delivered; gives how many there were."""
    return connection.execute(alerts.delete().where(alerts.c.delivered_at.is_(None))).rowcount


async def deliver_waiting(engine: sa.Engine, send: Send, now: Now) -> Waiting | None:
    """Send all that waits, what was never sent first; gives what waits still.

    After one that fails in spite of retries each is tried once: it is most likely the receiver.
    """
    deadline = time.monotonic() + _SECONDS_AT_ONCE
    attempts = _ATTEMPTS
    for event_id in _sendable(engine):
        if time.monotonic() > deadline:
            break
        message = _take(engine, event_id, now())
        if message is None:
            continue
        try:
            await _send_with_retries(send, message, attempts)
        except UndeliveredError as error:
            attempts = 1
            _settle(engine, event_id, error=str(error), counted=error.unanswered)
        else:
            _settle(engine, event_id, delivered_at=now(), error=None)
    with engine.connect() as connection:
        return read_waiting(connection)


async def _send_with_retries(send: Send, message: dict[str, Any], attempts: int) -> None:
    """Send one message, again after a moment where it surely was not delivered. Raises UndeliveredError."""

    import stamina  # noqa: PLC0415 - `status` reads the outbox and sends nothing

    def refused(error: Exception) -> bool:
        return isinstance(error, UndeliveredError) and not error.unanswered

    async for attempt in stamina.retry_context(
        on=refused, attempts=attempts, wait_initial=_BACKOFF_SECONDS, wait_max=10, wait_jitter=_BACKOFF_SECONDS
    ):
        with attempt:
            await send(message)


def _sendable(engine: sa.Engine) -> list[str]:
    c = alerts.c
    waits = c.delivered_at.is_(None) & (c.unconfirmed_attempts < _MOST_UNANSWERED)
    query = select(c.event_id).where(waits).order_by(c.error.is_not(None), c.recorded_at, c.event_id)
    with engine.connect() as connection:
        return list(connection.execute(query).scalars())


def _take(engine: sa.Engine, event_id: str, now: datetime) -> dict[str, Any] | None:
    """The message of an alert that nobody else is sending: taken for some minutes, and unanswered until then."""
    c = alerts.c
    free = (c.event_id == event_id) & c.delivered_at.is_(None) & (c.leased_until.is_(None) | (c.leased_until < now))
    taken = {"leased_until": now + _TAKEN, "unconfirmed_attempts": c.unconfirmed_attempts + 1}
    with writing(engine) as connection:
        if not connection.execute(alerts.update().where(free).values(taken)).rowcount:
            return None
        row = connection.execute(select(c.event, c.payload).where(c.event_id == event_id)).one()
    return {"text": row.payload["text"], "id": event_id, "event": row.event, "payload": row.payload}


def _settle(engine: sa.Engine, event_id: str, *, counted: bool = False, **changes: Any) -> None:
    if not counted:
        changes["unconfirmed_attempts"] = alerts.c.unconfirmed_attempts - 1
    with writing(engine) as connection:
        connection.execute(alerts.update().where(alerts.c.event_id == event_id).values(leased_until=None, **changes))
