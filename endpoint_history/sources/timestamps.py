"""Times in fields of saved documents: ISO 8601, mail dates, and unix time in any unit. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any
from zoneinfo import ZoneInfo

_EARLIEST, _LATEST = 1_000_000_000, 4_102_444_800  # 2001 and 2100 in unix seconds; a number outside is no time
# The ranges of seconds, milliseconds, microseconds and nanoseconds do not overlap, so the size names the unit.
_UNITS = (1, 10**3, 10**6, 10**9)
_EXPECTED = "expected ISO 8601 with a zone, or unix seconds or milliseconds"
_UNIX = re.compile(r"[0-9]{10}(?:[0-9]{3}){0,3}(?:\.[0-9]{1,30})?")
_OFFSET = re.compile(r"([+-])([0-9]{2}):?([0-9]{2})")
_NAMED_ZONE = re.compile(r"(?P<time>[0-9].*?)\s*(?P<offset>[+-][0-9]{2}(?::?[0-9]{2})?)?\s*(?:\b(?:UTC|GMT)|[zZ])?")
_MAX_TEXT = 100


def read_time(value: Any, zone: tzinfo | None = None) -> datetime:
    """Return the UTC time, in whole seconds, that a JSON value holds.

    Taken are ISO 8601 (also with a blank for the T, and with `UTC` or `GMT` behind it), dates of mail and HTTP, and
    unix time in seconds, milliseconds, microseconds or nanoseconds, as a number or text. `zone` is that of texts which
    name none. Raises ValueError, in one line.
    """
    if isinstance(value, str) and not _UNIX.fullmatch(value.strip()):
        return _read_text(value.strip(), zone)
    is_number = isinstance(value, int | Decimal | str) and not isinstance(value, bool)
    time = unix_time(Decimal(value)) if is_number else None
    if time is None:
        raise ValueError(f"{_shown(value)} is no time; {_EXPECTED}")
    return time


def unix_time(number: Decimal | int) -> datetime | None:
    """Return the time, in whole seconds, of a number of s, ms, us or ns since 1970; None if it is none of these."""
    for unit in _UNITS:
        if _EARLIEST * unit <= number < _LATEST * unit:
            return datetime.fromtimestamp(int(number) // unit, UTC)
    return None


def read_zone(text: str) -> tzinfo:
    """Read `UTC`, an offset such as `+02:00`, or an IANA name such as `Europe/Berlin`. Raises ValueError."""
    if text.upper() in {"UTC", "Z", "GMT"}:
        return UTC
    if offset := _OFFSET.fullmatch(text):
        sign, hours, minutes = offset.groups()
        size = timedelta(hours=int(hours), minutes=int(minutes))
        if size < timedelta(days=1):
            return timezone(-size if sign == "-" else size)
    try:
        return ZoneInfo(text)
    except (KeyError, ValueError, OSError):  # an unknown name, one that leaves the folder of zones, a folder
        raise ValueError(
            f"{_shown(text)} is not a known time zone; expected UTC, +02:00, or a name such as Europe/Berlin"
        ) from None


def in_zone(time: datetime, zone: tzinfo) -> datetime:
    """Return a time without a zone in this zone. Raises ValueError if its clocks showed it twice, or never."""
    first, second = time.replace(tzinfo=zone, fold=0), time.replace(tzinfo=zone, fold=1)
    if first.utcoffset() != second.utcoffset():
        raise ValueError(f"the clocks of {zone} showed {time:%Y-%m-%d %H:%M:%S} twice or never, as they were changed")
    return first


def whole_seconds(time: datetime) -> datetime:
    """Return an aware time in UTC, without its fraction. Raises OverflowError at the edges of the calendar."""
    return time.astimezone(UTC).replace(microsecond=0)


def _read_text(text: str, zone: tzinfo | None) -> datetime:
    try:
        time = _parsed(text)
        if time.tzinfo is None and zone is not None:
            time = in_zone(time, zone)
        if time.tzinfo is not None:
            return whole_seconds(time)
    except OverflowError:
        raise ValueError(f"{_shown(text)} is no time; {_EXPECTED}") from None
    raise ValueError(f"the time {_shown(text)} has no zone; say which with --zone, such as --zone UTC")


def _parsed(text: str) -> datetime:
    """Raises ValueError where it is no time."""
    match = _NAMED_ZONE.fullmatch(text) if len(text) <= _MAX_TEXT else None
    if match:
        offset = match["offset"] or ("" if match["time"] == text else "+00:00")
        for written in (text, f"{match['time']}{offset}"):
            try:
                return datetime.fromisoformat(written)
            except ValueError:
                continue
    try:
        if len(text) <= _MAX_TEXT and "," in text:
            return parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):  # what the reader of mail raises for what is none
        pass
    raise ValueError(f"{_shown(text)} is no time; {_EXPECTED}")


def _shown(value: Any) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004 - enough to find it by
