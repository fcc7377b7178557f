"""Times as saved files tell them: in a field or in a name. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

_EARLIEST, _LATEST = 1_000_000_000, 4_102_444_800  # 2001 and 2100 in unix seconds; a number outside is no time
_EXPECTED = "expected ISO 8601 with a zone, or unix seconds or milliseconds"
_UNIX = re.compile(r"[0-9]{10}(?:[0-9]{3})?(?:\.[0-9]+)?")
_STAMP = re.compile(
    r"(?<![0-9])([0-9]{4})(-?)(0[1-9]|1[0-2])\2(0[1-9]|[12][0-9]|3[01])[T_ ]"
    r"([01][0-9]|2[0-3])([-:]?)([0-5][0-9])\6([0-5][0-9])(?:[.,][0-9]+)?(Z|[+-][0-9]{2}:?[0-9]{2})?(?![0-9])"
)


def read_time(value: Any) -> datetime:
    """The UTC time, in whole seconds, that a JSON value tells.

    ISO 8601 with a zone, or unix seconds or milliseconds as a number or text. Raises ValueError, in one line.
    """
    if isinstance(value, str) and not _UNIX.fullmatch(value.strip()):
        return _read_iso(value.strip())
    is_number = isinstance(value, int | Decimal | str) and not isinstance(value, bool)
    seconds = Decimal(value) if is_number else Decimal(0)
    if seconds >= _EARLIEST * 1000:
        seconds /= 1000
    if not _EARLIEST <= seconds < _LATEST:
        raise ValueError(f"{_shown(value)} is no time; {_EXPECTED}")
    return datetime.fromtimestamp(int(seconds), UTC)


def time_in_name(name: str) -> datetime | None:
    """The last timestamp such as `20260516T094711Z` or `2026-05-16_09-47-11` in a name; without a zone it is UTC."""
    found = None
    for match in _STAMP.finditer(name):
        year, _, month, day, hour, _, minute, second, zone = match.groups()
        try:
            found = whole_seconds(
                datetime.fromisoformat(f"{year}-{month}-{day}T{hour}:{minute}:{second}{zone or '+00:00'}")
            )
        except (ValueError, OverflowError):  # the 31st of February, or an hour before the year 1
            continue
    return found


def whole_seconds(time: datetime) -> datetime:
    """An aware time as UTC without its fraction. Raises OverflowError at the edges of the calendar."""
    return time.astimezone(UTC).replace(microsecond=0)


def _read_iso(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
        if time.tzinfo is not None:
            return whole_seconds(time)
    except (ValueError, OverflowError):
        raise ValueError(f"{_shown(text)} is no time; {_EXPECTED}") from None
    raise ValueError(f"the time {_shown(text)} has no zone")


def _shown(value: Any) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004 - enough to find it by
