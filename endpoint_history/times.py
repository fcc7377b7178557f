"""Times as the numbers, hours and midnights that rollups count in."""

from __future__ import annotations

from datetime import UTC, datetime


def hour_of(at: datetime) -> datetime:
    """When its hour began."""
    return at.replace(minute=0, second=0, microsecond=0)


def midnight_of(at: datetime) -> datetime:
    """The one that begins its day."""
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


def seconds_of(at: datetime) -> int:
    """Unix seconds."""
    return int(at.timestamp())


def instant_of(seconds: int) -> datetime:
    """Of unix seconds, in UTC."""
    return datetime.fromtimestamp(seconds, UTC)
