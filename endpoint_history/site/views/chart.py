"""What the charts of a model page draw: prices as points of change, uptime by days. Pure."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final

from endpoint_history.site.data.history import Days, Endpoint, Model
from endpoint_history.site.output import numbers
from models.listing import PRICE_KEYS, PriceSet

COLOURS: Final = 7
_DASHES: Final = 3
_SECOND: Final = timedelta(seconds=1)
_SEEN_ON_A_CHART: Final = timedelta(hours=3)
_SHORT: Final = 120  # a history of so many days is shown whole at first, a longer one its last 90


def style(place: int) -> str:
    """The classes of the colour and the dashes that tell an endpoint from its neighbours."""
    return f"s{place % COLOURS} d{place // COLOURS}" if place < COLOURS * _DASHES else "sx"


def span(begin: date, end: date) -> dict[str, int]:
    """How many days there are, and from which on, counted from 0, a reader sees them at first."""
    days = (end - begin).days + 1
    return {"days": days, "from": days - 90 if days > _SHORT else 0}


def keys(found: list[Endpoint]) -> list[dict[str, str]]:
    """The prices that any of them ever had, prompt and completion first."""
    sets = [prices for endpoint in found for _, prices in endpoint.prices if isinstance(prices, PriceSet)]
    charged = [key for key in PRICE_KEYS if any(getattr(prices, key) is not None for prices in sets)]
    return [{"key": key, "name": numbers.key_name(key), "unit": numbers.unit(key)} for key in charged]


def steps(endpoint: Endpoint, key: str, begin: date) -> list[list[float | None]]:
    """From how many seconds after `begin` on a price was what, in the unit of its key; None: not listed, or none."""
    zero = datetime(begin.year, begin.month, begin.day, tzinfo=UTC)
    found: list[list[float | None]] = []
    for at, prices in endpoint.prices:
        price = getattr(prices, key) if isinstance(prices, PriceSet) else None
        value = None if price is None else float(f"{numbers.shown_number(key, price):.10g}")
        if not found or found[-1][1] != value:
            found.append([(at - zero) // _SECOND, value])
    return found if any(value is not None for _, value in found) else []


def gaps(model: Model, begin: date) -> list[list[int]]:
    """From when to when nobody saw the model, in seconds after `begin`: those that can be seen on a chart."""
    zero = datetime(begin.year, begin.month, begin.day, tzinfo=UTC)
    spans = ((row["started_at"], row["ended_at"]) for row in model.gaps)
    return [[(a - zero) // _SECOND, (b - zero) // _SECOND] for a, b in spans if b - a >= _SEEN_ON_A_CHART]


def by_day(days: Days, begin: date, length: int) -> list[float | None]:
    """Mean uptime in percent of each day from `begin` on: None: not seen, -1: seen, and upstream gave no number."""
    values: list[float | None] = [None] * length
    for day, percent in zip(days.days, days.means, strict=True):
        if 0 <= (place := (day - begin).days) < length:
            values[place] = -1 if percent is None else int(percent * 100 + 1e-6) / 100
    return values
