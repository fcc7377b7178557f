"""The one rule for scheduled prices: which price of an endpoint holds at an instant. Pure.

An entry of `overrides` holds while all its conditions hold. If several entries hold, the last one wins, price by
price. A price that no entry changes is the *plain* price. A prompt must have *more* tokens than `min_prompt_tokens`,
cached tokens included. `utc_start` and `utc_end` are HHMM numbers; the end is exclusive, and a start after the end
means past midnight. `utc_days` are weekdays by name, and apply to the instant itself.

If an entry has a time window, the price at the top of a body is that of its minute. So an observation shows the plain
price of a key unless a window for that key is open and the price at the top is the price of that window.

The cost of a usage, alerts and the site follow this rule. The view `price_changes` does not yet: it does not ask
whether a window was open at the earlier row.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NamedTuple

from endpoint_history.parsing.override_conditions import DAYS, MIDNIGHT, clock_time, token_count, weekdays
from models.listing import PRICE_KEYS, JsonObject, PriceSet

ALWAYS_CHARGED: Final = frozenset({"prompt", "completion"})
_TIMED: Final = ("utc_start", "utc_end", "utc_days")
_MAX_PRICE_LENGTH: Final = 100


class UnknownPriceError(Exception):
    """The price at an instant does not follow from what was published. The message says why, in a few words."""


class ObservedPrices(NamedTuple):
    """A price set, and the instant of an observation that showed it."""

    at: datetime
    prices: PriceSet


def effective_price(key: str, observed: Sequence[ObservedPrices], at: datetime, prompt_tokens: int) -> Decimal | None:
    """Return the price of a key at an instant in USD per unit; None if it is not charged.

    `observed` is newest first. The first one applies; older ones are only used to find the plain price if the first was
    observed in a time window. Raises UnknownPriceError.
    """
    newest = observed[0].prices
    for entry in reversed(newest.overrides or []):
        if key in entry and _holds(entry, at, prompt_tokens):
            return _published(entry, key)
    for seen in observed:
        plain: Decimal | None = getattr(seen.prices, key)
        if seen.prices.overrides == newest.overrides and shows_plain_price(key, plain, newest.overrides, seen.at):
            return plain
    raise UnknownPriceError("its price outside its time windows was never observed")


def shows_plain_price(key: str, price: Decimal | None, overrides: list[JsonObject] | None, at: datetime) -> bool:
    """Return whether a price at the top of a body of that instant is the plain price, not that of an open window.

    A window whose conditions can't be read may be open.
    """
    for entry in reversed(overrides or []):
        held = _verdict(entry, at, prompt_tokens=0) if key in entry else False
        if held is not False and _is_timed(entry) and _stored(Decimal(entry[key]), key) == price:
            return False
        if held:
            return True
    return True


def is_timed(prices: PriceSet) -> bool:
    """Return whether any entry of `overrides` holds at certain times only."""
    return any(_is_timed(entry) for entry in prices.overrides or ())


def _is_timed(entry: JsonObject) -> bool:
    return any(entry.get(name) is not None for name in _TIMED)


def _published(entry: JsonObject, key: str) -> Decimal | None:
    price = Decimal(entry[key])
    if price < 0:
        raise UnknownPriceError("its price varies")
    return _stored(price, key)


def _stored(price: Decimal, key: str) -> Decimal | None:
    """Return the price as a price set has it: None if it varies, or if nothing is charged for an optional key."""
    return price if price > 0 or (price == 0 and key in ALWAYS_CHARGED) else None


def _holds(entry: JsonObject, at: datetime, prompt_tokens: int) -> bool:
    held = _verdict(entry, at, prompt_tokens)
    if held is None:
        conditions = _conditions(entry)
        unread = next(key for key in conditions if _condition_holds(key, conditions, at, prompt_tokens) is None)
        raise UnknownPriceError(f"a conditional price depends on what this version can't read: {unread}")
    return held


def _verdict(entry: JsonObject, at: datetime, prompt_tokens: int) -> bool | None:
    """Return whether all conditions hold; None if that depends on one that can't be read."""
    conditions = _conditions(entry)
    verdicts = {_condition_holds(key, conditions, at, prompt_tokens) for key in conditions}
    return False if False in verdicts else None if None in verdicts else True


def _conditions(entry: JsonObject) -> JsonObject:
    return {key: value for key, value in entry.items() if value is not None and key not in PRICE_KEYS}


def _condition_holds(key: str, conditions: JsonObject, at: datetime, prompt_tokens: int) -> bool | None:
    """Return whether one condition holds; None if it can't be read."""
    match key:
        case "min_prompt_tokens":
            least = token_count(conditions[key])
            return None if least is None else prompt_tokens > least
        case "utc_start" | "utc_end":
            start, end = clock_time(conditions.get("utc_start", 0)), clock_time(conditions.get("utc_end", MIDNIGHT))
            return None if start is None or end is None else _is_within(at.hour * 100 + at.minute, start, end)
        case "utc_days":
            days = weekdays(conditions[key])
            return None if days is None else DAYS[at.weekday()] in days
        case _:  # a new price key has a decimal string, as all prices here; it is no condition
            return True if _is_number(conditions[key]) else None


def _is_within(hhmm: int, start: int, end: int) -> bool:
    return start <= hhmm < end if start <= end else hhmm >= start or hhmm < end


def _is_number(value: Any) -> bool:
    if not isinstance(value, str) or len(value) > _MAX_PRICE_LENGTH:
        return False
    try:
        return Decimal(value).is_finite()
    except InvalidOperation:
        return False
