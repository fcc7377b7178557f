"""Numbers and times as people read them. Pure."""

from __future__ import annotations

import math
from datetime import datetime
from decimal import ROUND_FLOOR, Decimal
from typing import Final

from models.listing import PER_TOKEN, canonical_decimal

MILLION: Final = 1_000_000
KEY_NAMES: Final = {
    "prompt": "Prompt",
    "completion": "Completion",
    "input_cache_read": "Cache read",
    "input_cache_write": "Cache write",
    "input_cache_write_1h": "Cache write, 1 h",
    "internal_reasoning": "Reasoning",
    "input_audio_cache": "Audio cache",
    "image_token": "Image token",
    "image_output": "Image output",
    "audio_output": "Audio output",
    "web_search": "Web search",
    "other_prices": "Other prices",
    "overrides": "Conditional prices",
    "varies": "Varies",
}
_MANY_TIMES: Final = 10
_COLUMN_DECIMALS: Final = 4


def key_name(key: str) -> str:
    """The name of a price for people."""
    return KEY_NAMES.get(key, key.replace("_", " ").capitalize())


def unit(key: str) -> str:
    """What a price is shown in."""
    return "USD per million tokens" if key in PER_TOKEN else "USD each"


def shown_number(key: str, price: Decimal) -> float:
    """A price in the unit that it is shown in."""
    return float(price * MILLION if key in PER_TOKEN else price)


def usd(number: float) -> str:
    """A price with the digits that tell it from others: at least two decimals, four digits below 1.

    >>> usd(0.0375), usd(12.5), usd(0), usd(0.000123456)
    ('0.0375', '12.50', '0', '0.0001235')
    """
    if number == 0:
        return "0"
    decimals = 4 if number >= 1 else 3 - math.floor(math.log10(number))
    text = f"{number:.{decimals}f}".rstrip("0")
    whole, _, rest = text.partition(".")
    return f"{whole}.{rest:0<2}"


def aligned(text: str | None) -> str | None:
    """A price for a column: blanks as wide as digits stand where decimals are missing, so that points stand in line."""
    if text is None:
        return None
    decimals = len(text.partition(".")[2])
    point = "" if decimals else "\u2008"  # as wide as a point
    return text + point + "\u2007" * (_COLUMN_DECIMALS - decimals)


def price(key: str, value: Decimal | None) -> str | None:
    """A price as it is shown; None where there is none."""
    return None if value is None else usd(shown_number(key, value))


def exact(value: Decimal | None) -> str | None:
    """The whole decimal, for programs."""
    return None if value is None else canonical_decimal(value)


def change(before: Decimal | None, after: Decimal | None) -> str:
    """How a price moved: -17 %, +25 %, or so many times; empty where no ratio can tell it."""
    return _times(float(after / before)) if before and after is not None else ""


def signed(size: float) -> str:
    """The same of ln(after / before)."""
    return _times(math.exp(size))


def _times(ratio: float) -> str:
    if ratio >= _MANY_TIMES:
        return f"×{ratio:.3g}"
    percent = 100 * (ratio - 1)
    digits = 0 if abs(percent) >= _MANY_TIMES else 1
    return f"{'−' if percent < 0 else '+'}{abs(percent):.{digits}f} %"  # noqa: RUF001 - a minus, as wide as the plus


def percent(value: float | None, decimals: int = 2) -> str | None:
    """An uptime, rounded down: what was not whole must not look as if it was."""
    if value is None:
        return None
    step = Decimal(1).scaleb(-decimals)
    return f"{Decimal(repr(value)).quantize(step, ROUND_FLOOR)}"


def duration(minutes: float) -> str:
    """A span in its two largest units.

    >>> duration(45), duration(480), duration(2000)
    ('45 min', '8 h', '1 d 9 h')
    """
    whole = round(minutes)
    days, hours, left = whole // 1440, whole % 1440 // 60, whole % 60
    if days:
        return f"{days} d {hours} h" if hours else f"{days} d"
    if hours:
        return f"{hours} h {left} min" if left else f"{hours} h"
    return f"{left} min"


def tokens(count: int | None) -> str | None:
    """A number of tokens; upstream's 0 tells nothing."""
    return f"{count:,}" if count else None


def iso(at: datetime) -> str:
    """An instant for programs."""
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
