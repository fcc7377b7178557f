"""Times as the numbers and midnights that rollups count in."""

from __future__ import annotations

from datetime import UTC, datetime


def midnight_of(at: datetime) -> datetime:
    """The one that begins its day."""
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


def seconds_of(at: datetime) -> int:
    """Unix seconds."""
    return int(at.timestamp())


def instant_of(seconds: int) -> datetime:
    """Of unix seconds, in UTC."""
    return datetime.fromtimestamp(seconds, UTC)
