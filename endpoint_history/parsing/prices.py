"""Prices as they come, made exact values. Pure.

Upstream documents decimal strings in USD per unit; numbers, exponents, `-0` and 23 decimals occur too.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from endpoint_history.io.strict_json import canonical, plain
from endpoint_history.parsing.fields import UnreadableFieldError, in_words, kept_json, optional_json, unknown_key
from endpoint_history.parsing.override_conditions import clock_time, token_count, weekdays
from models.listing import PRICE_KEYS, Drift, JsonObject, PriceSet, canonical_decimal

_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d{1,3})?")
_VARIES = Decimal(-1)
_ABSURD_USD = Decimal(10_000)
_MAX_TEXT = 100
_MAX_DECIMALS = 60
_CHARGED_ALWAYS = ("prompt", "completion")
_CONDITIONS: dict[str, Callable[[Any], Any]] = {
    "min_prompt_tokens": token_count,
    "utc_start": clock_time,
    "utc_end": clock_time,
    "utc_days": lambda days: None if weekdays(days) is None else days,
}
_MAX_CONDITION = 500
_MAX_SHOWN = 100
_NOT_A_PRICE = {"discount", "overrides"}


def read_number(value: Any, name: str) -> Decimal:
    """Read an int, a Decimal or a decimal string exactly. Raises UnreadableFieldError."""
    text = value if isinstance(value, str) else str(value)
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal) or len(text) > _MAX_TEXT:
        raise UnreadableFieldError(f"{name} is not a number")
    if not _NUMBER.fullmatch(text.strip()):
        raise UnreadableFieldError(f"{name} is not a number: {text[:40]!r}")
    number = Decimal(text.strip())
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or -exponent > _MAX_DECIMALS or number.adjusted() > _MAX_DECIMALS:
        raise UnreadableFieldError(f"{name} is out of all bounds: {text[:40]}")
    return number


def read_price(value: Any, name: str) -> Decimal:
    """Read a price in USD per unit: not negative, or exactly -1 for "varies". Raises UnreadableFieldError."""
    number = read_number(value, name)
    if number < 0 and number != _VARIES:
        raise UnreadableFieldError(f"{name} is negative: {canonical_decimal(number)}")
    if number >= _ABSURD_USD:
        raise UnreadableFieldError(f"{name} is absurd: {canonical_decimal(number)} USD per unit")
    return number


def read_prices(pricing: Any) -> tuple[PriceSet, set[Drift]]:
    """Read the `pricing` object of one endpoint.

    Raises UnreadableFieldError naming the first price that can't be read, those of overrides included. An empty text is
    no price, as null is. Any other malformed value is drift.
    """
    if not isinstance(pricing, dict):
        raise UnreadableFieldError("pricing is not an object")
    drift: set[Drift] = set()
    given = {key: read_price(pricing[key], key) for key in PRICE_KEYS if key in pricing and not _is_empty(pricing[key])}
    for key in _CHARGED_ALWAYS:
        if key not in given:
            raise UnreadableFieldError(f"pricing has no {key}")
    prices = PriceSet(
        **{key: _stored(key, price) for key, price in given.items()},
        varies=_VARIES in given.values(),
        discount=_read_discount(pricing.get("discount"), drift),
        overrides=_read_overrides(pricing.get("overrides"), drift),
        other=_read_other(pricing, drift),
    )
    return prices, drift


def _is_empty(price: Any) -> bool:
    return price is None or (isinstance(price, str) and not price.strip())


def _stored(key: str, price: Decimal) -> Decimal | None:
    if price == _VARIES or (price == 0 and key not in _CHARGED_ALWAYS):
        return None
    return price.copy_abs()  # upstream has sent "-0"; abs() would round to 28 digits


def _read_discount(value: Any, drift: set[Drift]) -> Decimal | None:
    if _is_empty(value):
        return None
    try:
        discount = read_number(value, "discount")
    except UnreadableFieldError:
        drift.add(Drift("endpoint.pricing.discount", in_words(value)))
        return None
    if not -100 <= discount <= 1:  # noqa: PLR2004 - a markup of a hundredfold is nobody's
        drift.add(Drift("endpoint.pricing.discount", "less than -100" if discount < 0 else "more than 1"))
        return None
    return discount or None


def _read_overrides(value: Any, drift: set[Drift]) -> list[JsonObject] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise UnreadableFieldError("overrides is not a list of objects")
    entries: list[JsonObject] = kept_json([_read_override(entry, drift) for entry in value], "overrides")
    return entries or None


def _read_override(entry: JsonObject, drift: set[Drift]) -> JsonObject:
    read: JsonObject = {}
    for key, value in entry.items():
        if key not in PRICE_KEYS:
            read[key] = _read_condition(key, value, drift)
        elif not _is_empty(value):
            read[key] = canonical_decimal(read_price(value, f"overrides {key}"))
    return read


def _read_condition(key: str, value: Any, drift: set[Drift]) -> Any:
    """A condition, checked where it is a known one.

    One that can't be read must stay, as an entry without it would hold always; where it is long, its beginning does.
    """
    if key not in _CONDITIONS:
        drift.add(unknown_key("endpoint.pricing.overrides", key))
    elif value is not None:
        read = _CONDITIONS[key](value)
        if read is not None:
            return read
        drift.add(Drift(f"endpoint.pricing.overrides.{key}", in_words(value)))
    kept = plain(value)
    text = canonical(kept)
    return kept if len(text) <= _MAX_CONDITION else f"{text[:_MAX_SHOWN]}..."


def _read_other(pricing: JsonObject, drift: set[Drift]) -> JsonObject | None:
    """Prices that this version has no column for; None where there are none, or more than a column holds."""
    unknown = {key: value for key, value in pricing.items() if key not in PRICE_KEYS and key not in _NOT_A_PRICE}
    if not unknown:
        return None
    kept = optional_json(unknown, "endpoint.pricing", drift) or {}
    drift |= {unknown_key("endpoint.pricing", key) for key in unknown}
    other = {key: _comparable(value) for key, value in kept.items()}
    return {key: value for key, value in other.items() if value not in (None, "", "0")} or None


def _comparable(value: Any) -> Any:
    try:
        return canonical_decimal(read_number(value, "price"))
    except UnreadableFieldError:
        return value
