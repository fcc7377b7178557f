"""Price and uptime history of every LLM endpoint that OpenRouter lists.

    from endpoint_history import open_history, prices_now

    prices_now(open_history("sqlite:///data/history.db"), "openai/gpt-4o")

docs/python.md describes every function. pandas is imported when the first of them is used, not with this package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from endpoint_history.errors import ConfigurationError, HistoryError

if TYPE_CHECKING:
    from endpoint_history.analysis.cheapest.conditions import Conditions
    from endpoint_history.analysis.cheapest.cost import Usage
    from endpoint_history.analysis.frames import (
        cheapest,
        coverage,
        daily_uptime,
        gaps,
        hourly_uptime,
        incidents,
        listing_moves,
        listings,
        lowest_price_moves,
        open_history,
        price_history,
        price_moves,
        prices_as_of,
        prices_now,
        uptime_samples,
    )

__all__ = [
    "Conditions",
    "ConfigurationError",
    "HistoryError",
    "Usage",
    "cheapest",
    "coverage",
    "daily_uptime",
    "gaps",
    "hourly_uptime",
    "incidents",
    "listing_moves",
    "listings",
    "lowest_price_moves",
    "open_history",
    "price_history",
    "price_moves",
    "prices_as_of",
    "prices_now",
    "uptime_samples",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from endpoint_history.analysis import frames  # noqa: PLC0415 - pandas takes most of a second to import

    return getattr(frames, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
