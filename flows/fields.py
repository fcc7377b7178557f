"""Single fields of a body, checked. Pure; each raises UnreadableError naming the field."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from flows.strict_json import canonical, clean_text, plain
from models.listing import Drift

MAX_TEXT = 200
MAX_KEY = 100
MAX_NAME = 500
MAX_PROSE = 10_000  # descriptions came whole until 2026
MAX_JSON = 2**16
_MAX_TEXTS = 1000
_MAX_INTEGER = 10**15
_HUNDRED = 100


class UnreadableError(ValueError):
    """Something that must be understood is not as upstream ever had it; the message names it."""


def checked_text(value: Any, name: str) -> str:
    """A text that must be there, at most 200 characters: longer ones can't be keys."""
    if not isinstance(value, str) or not value.strip():
        raise UnreadableError(f"{name} is missing or not text")
    if len(value) > MAX_TEXT:
        raise UnreadableError(f"{name} is longer than {MAX_TEXT} characters")
    return clean_text(value)


def unknown_key(where: str, key: str) -> Drift:
    """The drift that a key is which this version does not know."""
    return Drift(f"{where}.{clean_text(key)[:MAX_KEY]}")


def optional_text(value: Any) -> str | None:
    """A text, or None for anything else; cut where it is absurdly long."""
    return clean_text(value)[:MAX_TEXT] if isinstance(value, str) and value else None


def text_list(value: Any) -> tuple[str, ...]:
    """The texts of a list, sorted and each once: upstream's order means nothing."""
    return (
        tuple(sorted({clean_text(item)[:MAX_TEXT] for item in value if isinstance(item, str)})[:_MAX_TEXTS])
        if isinstance(value, list)
        else ()
    )


def kept_json(value: Any, name: str) -> Any:
    """A JSON value as it came, of at most 64 Ki characters: whole, as half of one says something else."""
    kept = plain(value)
    if len(canonical(kept)) > MAX_JSON:
        raise UnreadableError(f"{name} is longer than {MAX_JSON} characters")
    return kept


def optional_count(value: Any, name: str) -> int | None:
    """A number of tokens: an integer, or in old bodies a double without a fraction."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or not 0 <= value <= _MAX_INTEGER:
        raise UnreadableError(f"{name} is not a number of tokens")
    if value != int(value):
        raise UnreadableError(f"{name} is not a whole number")
    return int(value)


def optional_percent(value: Any, name: str) -> float | None:
    """A percentage from 0 to 100, as observed."""
    number = optional_number(value, name)
    if number is not None and number > _HUNDRED:
        raise UnreadableError(f"{name} is more than 100 percent")
    return number


def optional_number(value: Any, name: str) -> float | None:
    """A number from 0 up, as the nearest double: what upstream computes with."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or not 0 <= value <= _MAX_INTEGER:
        raise UnreadableError(f"{name} is not a number in bounds")
    return float(value)
