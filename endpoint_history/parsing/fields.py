"""Single fields of a body, checked. Pure.

A field that identifies an endpoint must be readable, else UnreadableFieldError is raised. Any other field is None if it
is malformed, and its kind is added to the drift in a few words. The words are few, so that a value which differs at
every observation does not fill the table of drift.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from endpoint_history.io.strict_json import canonical, clean_text, plain
from endpoint_history.text import one_line
from models.listing import Drift

MAX_TEXT = 200
MAX_KEY = 100
MAX_NAME = 500
MAX_PROSE = 10_000  # descriptions came whole until 2026
MAX_JSON = 2**16
_MAX_TEXTS = 1000
_MAX_NUMBER = 10**15
_LEAST = 1e-9  # what is nearer to 0 underflows in the databases' arithmetic
_HUNDRED = 100
_MAX_VALUE = 100
_COUNT = re.compile(r"([0-9]{1,16})(?:\.0{1,16})?")
_NUMERIC = re.compile(r"[-+]?[0-9][0-9.,_]*(?:[eE][-+]?[0-9]+)?%?")


class UnreadableFieldError(ValueError):
    """A field that is needed is not in any form that upstream is known to send; the message names the field."""


def checked_text(value: Any, name: str) -> str:
    """A text that must be there, at most 200 characters: longer ones can't be keys."""
    if not isinstance(value, str) or not value.strip():
        raise UnreadableFieldError(f"{name} is missing or not text")
    if len(value) > MAX_TEXT:
        raise UnreadableFieldError(f"{name} is longer than {MAX_TEXT} characters")
    return clean_text(value)


def unknown_key(where: str, key: str) -> Drift:
    """The drift that a key is which this version does not know."""
    return Drift(f"{where}.{clean_text(key)[:MAX_KEY]}")


def in_words(value: Any) -> str:
    """What a malformed value is, in at most 100 characters, the same for all numbers."""
    match value:
        case str() if _NUMERIC.fullmatch(value.strip()):
            return "a number as text"
        case str():
            return one_line(clean_text(value[: 10 * _MAX_VALUE]), _MAX_VALUE) or "empty text"
        case bool() | None:
            return str(value).lower()
        case list():
            return "a list"
        case dict():
            return "an object"
        case _:
            return "a number out of range"


def optional_text(value: Any, path: str, drift: set[Drift], length: int = MAX_TEXT) -> str | None:
    """A text, cut to this length; None for null and an empty one."""
    if isinstance(value, str):
        return clean_text(value)[:length] or None
    if value is not None:
        drift.add(Drift(path, in_words(value) if isinstance(value, list | dict) else "not text"))
    return None


def text_list(value: Any, path: str, drift: set[Drift]) -> tuple[str, ...]:
    """The texts of a list, sorted and each once: upstream's order means nothing."""
    if not isinstance(value, list):
        if value is not None:
            drift.add(Drift(path, in_words(value)))
        return ()
    texts = [clean_text(item)[:MAX_TEXT] for item in value if isinstance(item, str)]
    if len(texts) < len(value):
        drift.add(Drift(path, "items that are not text"))
    once = sorted(set(texts))
    if len(once) > _MAX_TEXTS:
        drift.add(Drift(path, f"more than {_MAX_TEXTS} items"))
    return tuple(once[:_MAX_TEXTS])


def kept_json(value: Any, name: str) -> Any:
    """A JSON value as it came, of at most 64 Ki characters: whole, as half of one says something else."""
    kept = plain(value)
    if len(canonical(kept)) > MAX_JSON:
        raise UnreadableFieldError(f"{name} is longer than {MAX_JSON} characters")
    return kept


def optional_json(value: Any, path: str, drift: set[Drift]) -> Any:
    """The same; None where it is longer."""
    if isinstance(value, bool):
        return value
    try:
        return kept_json(value, path)
    except UnreadableFieldError:
        drift.add(Drift(path, f"longer than {MAX_JSON} characters"))
        return None


def whole_number(value: Any, most: int = _MAX_NUMBER) -> int | None:
    """An integer from 0 up, also as a double without a fraction or as text of digits; None for anything else."""
    if isinstance(value, str):
        match = _COUNT.fullmatch(value.strip()) if len(value) <= _MAX_VALUE else None
        value = int(match[1]) if match else None
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or not 0 <= value <= most:
        return None
    return int(value) if value == int(value) else None


def optional_count(value: Any, path: str, drift: set[Drift]) -> int | None:
    """A number of tokens."""
    if value is None:
        return None
    count = value if type(value) is int and 0 <= value <= _MAX_NUMBER else whole_number(value)
    if count is None:
        in_range = isinstance(value, Decimal) and 0 <= value <= _MAX_NUMBER
        drift.add(Drift(path, "not a whole number" if in_range else in_words(value)))
    return count


def optional_percent(value: Any, path: str, drift: set[Drift]) -> float | None:
    """A percentage from 0 to 100, as observed."""
    return optional_number(value, path, drift, _HUNDRED)


def optional_number(value: Any, path: str, drift: set[Drift], most: float = _MAX_NUMBER) -> float | None:
    """A number from 0 up, as the nearest double: what upstream computes with."""
    if value is None:
        return None
    kind = type(value)
    if kind is Decimal or (kind is int and -_MAX_NUMBER <= value <= _MAX_NUMBER):
        number = float(value)
        if _LEAST <= number <= most:
            return number
        if number == 0 == value:
            return 0.0  # upstream has sent -0
    drift.add(Drift(path, _malformed_number(value, most)))
    return None


def _malformed_number(value: Any, most: float) -> str:
    match value:
        case bool() | str() | list() | dict():
            return in_words(value)
        case float():
            return "not a number"
        case _ if value > most:
            return f"more than {most:.0f}"
        case _:
            return "negative" if value < 0 else f"between 0 and {_LEAST}"
