"""JSON read strictly: exact numbers, and nothing that two readers could understand in two ways."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from endpoint_history.io.other_bodies import not_json, undecodable

_MAX_DEPTH = 50  # upstream's bodies have 6 levels; recursion must end well before Python's own limit
_MAX_DIGITS = 1000  # fewer than Python's own limit, and more than anybody's number
_BIGINT = 2**63
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class NotJsonError(ValueError):
    """The bytes are not JSON as this project accepts it; the message says why in one line."""


def load_json(body: bytes) -> Any:
    """Read UTF-8 JSON. Numbers with a fraction or an exponent come as Decimal, exact; the others as int.

    A number that neither can hold (5,000 digits, an exponent of 20 digits, NaN, Infinity) comes as a float, which no
    field accepts: it costs that field and not the body. Raises NotJsonError for anything else, other encodings,
    duplicate keys and absurd depth among it.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NotJsonError(undecodable(body, error.start)) from None
    if not text.strip():
        raise NotJsonError("empty")
    try:
        value = _decode(text)
    except json.JSONDecodeError as error:
        raise NotJsonError(not_json(text, f"{error.msg} at character {error.pos}")) from None
    except RecursionError:
        raise NotJsonError("nested too deeply") from None
    refuse_depth(value, text)
    return value


def plain(value: Any) -> Any:
    """The same JSON value fit for a JSON column: clean text, and exact text for numbers other than 64-bit integers."""
    match value:
        case dict():
            return {clean_text(key): plain(item) for key, item in value.items()}
        case list():
            return [plain(item) for item in value]
        case str():
            return clean_text(value)
        case bool() | None:
            return value
        case int() if -_BIGINT <= value < _BIGINT:
            return value
        case _:
            return str(value)


def clean_text(text: str) -> str:
    """Replace what no database stores as text: NUL and lone surrogates."""
    return _UNSTORABLE.sub("\ufffd", text)


def canonical(value: Any) -> str:
    """One text for one JSON value, whatever the order of its keys."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _decode(text: str) -> Any:
    try:
        return DECODER.decode(text)
    except (NotJsonError, json.JSONDecodeError):
        raise
    except (ValueError, ArithmeticError):
        return _WITH_HUGE_NUMBERS.decode(text)


def _integer(text: str) -> int | float:
    return int(text) if len(text) <= _MAX_DIGITS else float(text)


def _decimal(text: str) -> Decimal | float:
    try:
        return Decimal(text)
    except ArithmeticError:
        return float(text)


def _object_without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        (twice, _), *_ = Counter(name for name, _ in pairs).most_common(1)
        raise NotJsonError(f"the key {clean_text(twice)[:100]!r} stands twice in one object")
    return result


# What load_json reads with. Its own methods raise ValueError, ArithmeticError and RecursionError, and bound no depth.
DECODER = json.JSONDecoder(parse_float=Decimal, parse_constant=float, object_pairs_hook=_object_without_duplicates)
# The same, slower, for the bodies with a number that the types above refuse.
_WITH_HUGE_NUMBERS = json.JSONDecoder(
    parse_float=_decimal, parse_int=_integer, parse_constant=float, object_pairs_hook=_object_without_duplicates
)


def refuse_depth(value: Any, text: str, start: int = 0, end: int | None = None) -> None:
    """Raise NotJsonError where a value, read from this part of a text, is nested too deeply."""
    if text.count("[", start, end) + text.count("{", start, end) <= _MAX_DEPTH:
        return
    level = [value]
    for _ in range(_MAX_DEPTH):
        level = [child for item in level for child in _children(item) if isinstance(child, dict | list)]
        if not level:
            return
    raise NotJsonError("nested too deeply")


def _children(value: Any) -> Iterable[Any]:
    match value:
        case dict():
            return value.values()
        case list():
            return value
        case _:
            return ()
