"""What a request costs at an instant, exactly. Pure.

Conditional prices (`overrides`) hold as upstream documents them: an entry applies while all its conditions hold; of the
entries that apply the last one wins, key by key; a key that none of them has keeps the plain price. A prompt must have
*more* tokens than `min_prompt_tokens`, cached ones included. `utc_start` and `utc_end` are HHMM numbers, the end
excluded, past midnight where the start is the greater; `utc_days` are weekdays by name, those of the instant itself.

With time windows, the price at the top of a body is that of its minute. So at an instant outside all windows the plain
price is one that was *seen* outside them, while the same conditional prices were published; where none was, the cost is
unknown, and no guess is made. A price at the top that differs from that of the open window is the plain one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Context, Decimal, Inexact, InvalidOperation, localcontext
from typing import Any, Final, NamedTuple

from endpoint_history.errors import ConfigurationError
from endpoint_history.parsing.override_conditions import DAYS, MIDNIGHT, clock_time, token_count, weekdays
from models.listing import PRICE_KEYS, JsonObject, PriceSet

# Enough digits for any price, share and count that is let in; a result that would be rounded is an error here.
_EXACT: Final = Context(prec=500, traps=[Inexact, InvalidOperation])
_MOST: Final = 10**12
_MAX_DECIMALS: Final = 30
_ALWAYS_CHARGED: Final = {"prompt", "completion"}
_TIMED: Final = ("utc_start", "utc_end", "utc_days")
_MAX_PRICE_LENGTH: Final = 100


class UnknownCostError(Exception):
    """What it costs can't be told from what was published; the message says why, in a few words."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What is asked of an endpoint: `requests` alike, tokens and images counted for one of them.

    `cached_share` of the input tokens (0 to 1) is read from the provider's cache; `cache_write` of them are written to
    it. Raises ConfigurationError for what can't be.
    """

    input_tokens: int
    output_tokens: int
    cached_share: Decimal = Decimal(0)
    cache_write: int = 0
    images: int = 0
    requests: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "cached_share", exact("--cached-share", self.cached_share))
        for name in ("input_tokens", "output_tokens", "cache_write", "images", "requests"):
            least = 1 if name == "requests" else 0
            if not isinstance(count := getattr(self, name), int) or not least <= count <= _MOST:
                raise ConfigurationError(f"{_option(name)}: {count} is no whole number between {least} and {_MOST:,}")
        if not self.cached_share.is_finite() or not 0 <= self.cached_share <= 1:
            raise ConfigurationError(f"--cached-share: {self.cached_share} is no share between 0 and 1, such as 0.8")
        if decimals(self.cached_share) > _MAX_DECIMALS:
            raise ConfigurationError(f"--cached-share: more than {_MAX_DECIMALS} decimals")
        with localcontext(_EXACT):
            if self.input_tokens * (1 - self.cached_share) < self.cache_write:
                raise ConfigurationError("--cache-write: more tokens than the input has beside the cached ones")


def exact(option: str, number: Decimal | float | str) -> Decimal:
    """The decimal that a number is shown as. Raises ConfigurationError for what is none."""
    try:
        return number if isinstance(number, Decimal) else Decimal(str(number))
    except InvalidOperation:
        raise ConfigurationError(f"{option}: {number!r} is no number") from None


class ObservedPrices(NamedTuple):
    """A price set, and an instant at which it was seen."""

    at: datetime
    prices: PriceSet


def cost_usd(looks: Sequence[ObservedPrices], usage: Usage, at: datetime) -> Decimal:
    """What the usage costs in USD at an instant, by the prices of the first look. Raises UnknownCostError.

    `looks` go back in time: the first is the newest at or before the instant; older ones are only asked for the plain
    price where the first was seen in a time window. Cached tokens cost `input_cache_read` where that is charged, else
    as others do. Written ones cost `input_cache_write` where charged; one below the prompt price is what storing adds
    to it, as with Gemini. Images and requests cost `image` and `request` each, where charged. What answers hold beyond
    tokens (reasoning, audio, searches) is not counted.

    >>> prices = PriceSet(prompt=Decimal("0.000001"), completion=Decimal("0.000002"))
    >>> noon = datetime(2026, 5, 16, 12, tzinfo=UTC)
    >>> cost_usd([ObservedPrices(noon, prices)], Usage(input_tokens=1000, output_tokens=500), noon)
    Decimal('0.002000')
    """
    if looks[0].prices.varies:
        raise UnknownCostError("its price varies")

    def price(key: str) -> Decimal | None:
        return _price(key, looks, at, usage.input_tokens)

    with localcontext(_EXACT):
        cached = usage.input_tokens * usage.cached_share
        fresh = usage.input_tokens - cached - usage.cache_write
        prompt = price("prompt") or Decimal(0)
        one = fresh * prompt + (price("request") or 0)
        if cached:
            read = price("input_cache_read")
            one += cached * (prompt if read is None else read)
        if usage.cache_write:
            write = price("input_cache_write") or Decimal(0)
            one += usage.cache_write * (write if write >= prompt else prompt + write)
        if usage.output_tokens:
            one += usage.output_tokens * (price("completion") or Decimal(0))
        if usage.images:
            one += usage.images * (price("image") or Decimal(0))
        return usage.requests * one


def is_timed(prices: PriceSet) -> bool:
    """Whether any of the conditional prices holds at certain times only."""
    return any(entry.get(name) is not None for entry in prices.overrides or () for name in _TIMED)


def _price(key: str, looks: Sequence[ObservedPrices], at: datetime, prompt_tokens: int) -> Decimal | None:
    """USD per unit; None: not charged."""
    newest = looks[0].prices
    entry = _last_that_holds(newest, key, at, prompt_tokens)
    if entry is not None:
        return _published(entry, key)
    for look in looks:
        if look.prices.overrides == newest.overrides and _shows_plain_price(look, key):
            plain: Decimal | None = getattr(look.prices, key)
            return plain
    raise UnknownCostError("its price outside its time windows was never seen")


def _shows_plain_price(look: ObservedPrices, key: str) -> bool:
    entry = _last_that_holds(look.prices, key, look.at, prompt_tokens=0)
    return entry is None or _published(entry, key) != getattr(look.prices, key)


def _last_that_holds(prices: PriceSet, key: str, at: datetime, prompt_tokens: int) -> JsonObject | None:
    for entry in reversed(prices.overrides or []):
        if key in entry and _holds(entry, at, prompt_tokens):
            return entry
    return None


def _published(entry: JsonObject, key: str) -> Decimal | None:
    price = Decimal(entry[key])
    if price < 0:
        raise UnknownCostError("its price varies")
    return price if price or key in _ALWAYS_CHARGED else None


def _holds(entry: JsonObject, at: datetime, prompt_tokens: int) -> bool:
    """Whether all conditions hold; one that surely does not outweighs those that can't be read."""
    conditions = {key: value for key, value in entry.items() if value is not None and key not in PRICE_KEYS}
    verdicts = {key: _verdict(key, conditions, at, prompt_tokens) for key in conditions}
    if False in verdicts.values():
        return False
    for key, verdict in verdicts.items():
        if verdict is None:
            raise UnknownCostError(f"a conditional price depends on what this version can't read: {key}")
    return True


def _verdict(key: str, conditions: JsonObject, at: datetime, prompt_tokens: int) -> bool | None:
    """Whether one condition holds; None: it can't be read."""
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
        case _:  # a price key that is new has a decimal string, as all prices here; it is no condition
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


def decimals(value: Decimal) -> int:
    """How many places a number has behind its point, none where it is no number."""
    exponent = value.as_tuple().exponent
    return -exponent if isinstance(exponent, int) else 0


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")
