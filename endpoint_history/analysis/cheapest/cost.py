"""What a usage costs at an instant, exactly, by the rule of `parsing.scheduled_price`. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Context, Decimal, Inexact, InvalidOperation, localcontext
from typing import Final

from endpoint_history.errors import ConfigurationError
from endpoint_history.parsing.scheduled_price import ObservedPrices, UnknownPriceError, effective_price

# Enough digits for any price, share and count that is let in; a result that would be rounded is an error here.
_EXACT: Final = Context(prec=500, traps=[Inexact, InvalidOperation])
_MOST: Final = 10**12
_MAX_DECIMALS: Final = 30


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


def cost_usd(observed: Sequence[ObservedPrices], usage: Usage, at: datetime) -> Decimal:
    """Return what the usage costs in USD at an instant. Raises UnknownPriceError.

    `observed` is newest first; the first one is the newest at or before the instant. Cached tokens cost
    `input_cache_read` if that is charged, else the prompt price. Tokens written to the cache cost `input_cache_write`
    if that is charged; a write price below the prompt price is added to it, as Gemini charges storage. Images and
    requests cost `image` and `request` each, if charged. Reasoning, audio and searches are not counted.

    >>> prices = PriceSet(prompt=Decimal("0.000001"), completion=Decimal("0.000002"))
    >>> noon = datetime(2026, 5, 16, 12, tzinfo=UTC)
    >>> cost_usd([ObservedPrices(noon, prices)], Usage(input_tokens=1000, output_tokens=500), noon)
    Decimal('0.002000')
    """
    if observed[0].prices.varies:
        raise UnknownPriceError("its price varies")

    def price(key: str) -> Decimal | None:
        return effective_price(key, observed, at, usage.input_tokens)

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


def decimals(value: Decimal) -> int:
    """How many places a number has behind its point, none where it is no number."""
    exponent = value.as_tuple().exponent
    return -exponent if isinstance(exponent, int) else 0


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")
