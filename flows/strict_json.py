"""JSON read strictly: exact numbers, and nothing that two readers could understand in two ways."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

_MAX_DEPTH = 50  # upstream's bodies have 6 levels; recursion must end well before Python's own limit
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class NotJsonError(ValueError):
    """The bytes are not JSON as this project accepts it; the message says why in one line."""


def load_json(body: bytes) -> Any:
    """Read UTF-8 JSON. Numbers with a fraction or an exponent come as Decimal, exact; the others as int.

    Raises NotJsonError for anything else: other encodings, duplicate keys, NaN and Infinity, absurd depth or digits.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NotJsonError(f"not UTF-8 at byte {error.start}") from None
    if not text.strip():
        raise NotJsonError("empty")
    if text.lstrip().startswith("<"):
        raise NotJsonError("a web page, not JSON")
    try:
        value = DECODER.decode(text)
    except NotJsonError:
        raise
    except RecursionError:
        raise NotJsonError("nested too deeply") from None
    except json.JSONDecodeError as error:
        raise NotJsonError(f"not JSON: {error.msg} at character {error.pos}") from None
    except (ValueError, ArithmeticError):
        raise NotJsonError("a number with too many digits") from None
    refuse_depth(value, text)
    return value


def plain(value: Any) -> Any:
    """The same JSON value fit for a JSON column: clean text, and fractions as exact decimal strings."""
    match value:
        case dict():
            return {clean_text(key): plain(item) for key, item in value.items()}
        case list():
            return [plain(item) for item in value]
        case str():
            return clean_text(value)
        case Decimal():
            return str(value)
        case _:
            return value


def clean_text(text: str) -> str:
    """Replace what no database stores as text: NUL and lone surrogates."""
    return _UNSTORABLE.sub("\ufffd", text)


def canonical(value: Any) -> str:
    """One text for one JSON value, whatever the order of its keys."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _refuse_constant(name: str) -> Any:
    raise NotJsonError(f"{name} is not a JSON number")


def _object_without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        (twice, _), *_ = Counter(name for name, _ in pairs).most_common(1)
        raise NotJsonError(f"the key {clean_text(twice)[:100]!r} stands twice in one object")
    return result


# What load_json reads with. Its own methods raise ValueError, ArithmeticError and RecursionError, and bound no depth.
DECODER = json.JSONDecoder(
    parse_float=Decimal, parse_constant=_refuse_constant, object_pairs_hook=_object_without_duplicates
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
