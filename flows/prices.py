"""Prices as they come, made exact values. Pure.

Upstream documents decimal strings in USD per unit; numbers, exponents, `-0` and 23 decimals occur too.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from flows.fields import UnreadableError, kept_json, unknown_key
from models.listing import PRICE_KEYS, Drift, JsonObject, PriceSet, canonical_decimal

_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d{1,3})?")
_VARIES = Decimal(-1)
_ABSURD_USD = Decimal(10_000)
_MAX_TEXT = 100
_MAX_DECIMALS = 60
_CHARGED_ALWAYS = ("prompt", "completion")
_CONDITIONS = {"min_prompt_tokens", "utc_start", "utc_end", "utc_days"}
_NOT_A_PRICE = {"discount", "overrides"}


def read_number(value: Any, name: str) -> Decimal:
    """Read an int, a Decimal or a decimal string exactly. Raises UnreadableError."""
    text = value if isinstance(value, str) else str(value)
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal) or len(text) > _MAX_TEXT:
        raise UnreadableError(f"{name} is not a number")
    if not _NUMBER.fullmatch(text.strip()):
        raise UnreadableError(f"{name} is not a number: {text[:40]!r}")
    number = Decimal(text.strip())
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or -exponent > _MAX_DECIMALS or number.adjusted() > _MAX_DECIMALS:
        raise UnreadableError(f"{name} is out of all bounds: {text[:40]}")
    return number


def read_price(value: Any, name: str) -> Decimal:
    """Read a price in USD per unit: not negative, or exactly -1 for "varies". Raises UnreadableError."""
    number = read_number(value, name)
    if number < 0 and number != _VARIES:
        raise UnreadableError(f"{name} is negative: {canonical_decimal(number)}")
    if number >= _ABSURD_USD:
        raise UnreadableError(f"{name} is absurd: {canonical_decimal(number)} USD per unit")
    return number


def read_prices(pricing: Any) -> tuple[PriceSet, set[Drift]]:
    """Read the `pricing` object of one endpoint. Raises UnreadableError naming the key that can't be read."""
    if not isinstance(pricing, dict):
        raise UnreadableError("pricing is not an object")
    given = {key: read_price(pricing[key], key) for key in PRICE_KEYS if pricing.get(key) is not None}
    for key in _CHARGED_ALWAYS:
        if key not in given:
            raise UnreadableError(f"pricing has no {key}")
    overrides, drift = _read_overrides(pricing.get("overrides"))
    other = _read_other(pricing)
    prices = PriceSet(
        **{key: _stored(key, price) for key, price in given.items()},
        varies=_VARIES in given.values(),
        discount=_read_discount(pricing.get("discount")),
        overrides=overrides,
        other={key: value for key, value in other.items() if value not in (None, "0")} or None,
    )
    return prices, drift | {unknown_key("endpoint.pricing", key) for key in other}


def _stored(key: str, price: Decimal) -> Decimal | None:
    if price == _VARIES or (price == 0 and key not in _CHARGED_ALWAYS):
        return None
    return price.copy_abs()  # upstream has sent "-0"; abs() would round to 28 digits


def _read_discount(value: Any) -> Decimal | None:
    if value is None:
        return None
    discount = read_number(value, "discount")
    if not -100 <= discount <= 1:  # noqa: PLR2004 - a markup of a hundredfold is nobody's
        raise UnreadableError(f"discount is out of all bounds: {canonical_decimal(discount)}")
    return discount or None


def _read_overrides(value: Any) -> tuple[list[JsonObject] | None, set[Drift]]:
    if value is None:
        return None, set()
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise UnreadableError("overrides is not a list of objects")
    entries: list[JsonObject] = kept_json([_read_override(entry) for entry in value], "overrides")
    unknown = {key for entry in entries for key in entry if key not in _CONDITIONS and key not in PRICE_KEYS}
    return entries or None, {unknown_key("endpoint.pricing.overrides", key) for key in unknown}


def _read_override(entry: JsonObject) -> JsonObject:
    prices = {
        key: canonical_decimal(read_price(value, f"overrides {key}"))
        for key, value in entry.items()
        if key in PRICE_KEYS and value is not None
    }
    return {key: value for key, value in entry.items() if key not in PRICE_KEYS} | prices


def _read_other(pricing: JsonObject) -> JsonObject:
    unknown = {k: v for k, v in pricing.items() if k not in PRICE_KEYS and k not in _NOT_A_PRICE}
    return {key: _comparable(value) for key, value in kept_json(unknown, "pricing").items()}


def _comparable(value: Any) -> Any:
    try:
        return canonical_decimal(read_number(value, "price"))
    except UnreadableError:
        return value
