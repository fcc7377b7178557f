"""When a conditional price holds: the conditions of an entry of `overrides`, each read within bounds. Pure.

Bodies are checked with these when they are read. Whoever reads the tables asks again: they may hold entries of older
versions, which checked nothing.
"""

from __future__ import annotations

from typing import Any, Final

from endpoint_history.parsing.fields import whole_number

DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MIDNIGHT: Final = 2400
_MINUTES: Final = 60
_DAY_BY_NAME: Final = {name: day for day in DAYS for name in (day, day[:3])}
_MAX_DAYS: Final = 100


def token_count(value: Any) -> int | None:
    """A number of tokens, None where it is none."""
    return whole_number(value)


def clock_time(value: Any) -> int | None:
    """An HHMM number up to 2400, None where it is none."""
    number = whole_number(value, MIDNIGHT)
    return number if number is not None and number % 100 < _MINUTES else None


def weekdays(value: Any) -> set[str] | None:
    """Days of the week by their English names, whole or in three letters; None where one is not a day."""
    if not isinstance(value, list) or len(value) > _MAX_DAYS:
        return None
    days = {_DAY_BY_NAME.get(item.strip().lower()) if isinstance(item, str) else None for item in value}
    return None if None in days else {day for day in days if day}
