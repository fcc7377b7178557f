"""Times as the numbers, hours and midnights that rollups count in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


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


def utc_text(at: datetime) -> str:
    """Return an instant for people: `2026-11-23 20:15 UTC`."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def iso_text(at: datetime) -> str:
    """Return an instant as JSON has it: `2026-11-23T20:15:00Z`."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def duration_text(span: timedelta) -> str:
    """Return a span of time in the largest unit of which it has at least two."""
    minutes = int(span.total_seconds() // 60)
    for unit, size in (("days", 24 * 60), ("hours", 60)):
        if minutes >= 2 * size:
            return f"{minutes // size} {unit}"
    return f"{minutes} minute{'' if minutes == 1 else 's'}"
