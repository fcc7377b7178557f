"""Conditional prices in words. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from endpoint_history.parsing.override_conditions import clock_time, token_count
from endpoint_history.parsing.scheduled_price import is_timed
from endpoint_history.site.output import numbers
from endpoint_history.text import one_line
from models.listing import PRICE_KEYS, JsonObject, PriceSet

_LONGEST = 100


@dataclass(frozen=True, slots=True)
class Conditional:
    """One entry as published: when it holds, and what each price that it names is then."""

    when: str
    prices: tuple[tuple[str, str], ...]


def conditionals(prices: PriceSet) -> list[Conditional]:
    """The entries in their order; of those that hold, a later one wins price by price."""
    return [_entry(entry) for entry in prices.overrides or ()]


def hints(prices: PriceSet) -> Iterator[str]:
    """What to mind about the plain price, in a few words."""
    entries = prices.overrides or []
    lengths = [count for entry in entries if (count := token_count(entry.get("min_prompt_tokens"))) is not None]
    if lengths:
        yield f"other prices above {min(lengths):,} tokens"
    if is_timed(prices):
        yield "other prices at times of day"


def _entry(entry: JsonObject) -> Conditional:
    priced = [key for key in PRICE_KEYS if key in entry]
    prices = tuple((numbers.key_name(key), _price(key, entry[key])) for key in priced)
    conditions = {key: value for key, value in entry.items() if key not in priced and value is not None}
    return Conditional(", ".join(_conditions(conditions)) or "always", prices)


def _conditions(left: dict[str, Any]) -> Iterator[str]:
    left = dict(left)
    least = left.pop("min_prompt_tokens", None)
    if least is not None:
        yield f"for prompts of more than {_number(least)} tokens"
    start, end = left.pop("utc_start", None), left.pop("utc_end", None)
    if start is not None or end is not None:
        yield f"from {_clock(start or 0)} to {_clock(2400 if end is None else end)} UTC"
    days = left.pop("utc_days", None)
    if days is not None:
        yield f"on {one_line(', '.join(map(str, days)) if isinstance(days, list) else str(days), _LONGEST)}"
    for key, value in sorted(left.items()):
        yield one_line(f"{key}: {value}", _LONGEST)


def _price(key: str, text: Any) -> str:
    try:
        value = Decimal(str(text))
    except InvalidOperation:
        return str(text)
    return "varies" if value < 0 else numbers.usd(numbers.shown_number(key, value))


def _number(value: Any) -> str:
    count = token_count(value)
    return f"{count:,}" if count is not None else one_line(str(value), _LONGEST)


def _clock(value: Any) -> str:
    time = clock_time(value)
    return f"{time // 100:02}:{time % 100:02}" if time is not None else one_line(str(value), _LONGEST)
