"""What several pages tell of an endpoint: how it is called, what it costs, how it did lately. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from models.listing import PriceSet
from endpoint_history.site.output import numbers
from endpoint_history.site.data import uptime_strips
from endpoint_history.site.data.changes import EndpointChange, changes_of
from endpoint_history.site.data.history import Endpoint, History, Model
from endpoint_history.site.output.slugs import file_name
from endpoint_history.site.output.conditions import hints

MONTH: Final = timedelta(days=30)
QUARTER: Final = timedelta(days=90)
_STATUSES: Final = {-2: "degraded", -5: "down", -3: "deranked", -10: "off", -1: "unseen"}


@dataclass(frozen=True, slots=True)
class Summary:
    """One endpoint of a model. `lately` is its uptime over the last 30 days; `changes` have the newest first.

    `blended` is the price by which offers are compared, (3 * prompt + completion) / 4 in USD a token: None where it is
    not listed, or its price varies.
    """

    model: Model
    endpoint: Endpoint
    blended: Decimal | None
    lately: uptime_strips.Mean
    changes: list[EndpointChange]

    @property
    def prices(self) -> PriceSet | None:
        """What it costs now, None where it is not listed."""
        return self.endpoint.prices_now

    @property
    def provider(self) -> str:
        """The provider's name as last seen."""
        return str(self.endpoint.row["provider_name"])

    @property
    def is_of_the_model(self) -> bool:
        """Whether it is no variant such as `:batch`, or the model has nothing but variants."""
        variant, id_ = self.endpoint.row["variant"], self.model.id
        return variant == id_ or all(other.row["variant"] != id_ for other in self.model.endpoints)


@dataclass(frozen=True, slots=True)
class Overview:
    """All endpoints by model id, in order of price, those that are gone last; the same by provider, model by model.

    `as_of` is the instant that counts as now: what pages call the last 24 hours, 7 or 30 days ends there.
    """

    history: History
    as_of: datetime
    of_model: dict[str, list[Summary]]
    of_provider: dict[str, list[Summary]]

    @property
    def all(self) -> list[Summary]:
        """All endpoints."""
        return [summary for summaries in self.of_model.values() for summary in summaries]

    @property
    def last_day(self) -> date:
        """The UTC day of that instant."""
        return self.as_of.date()

    def is_first_sight(self, change: EndpointChange) -> bool:
        """Whether an endpoint came when history began: that is no news."""
        begins_at = self.history.begins_at
        return change.kind == "came" and begins_at is not None and change.at < begins_at + timedelta(days=1)


def overview(history: History, as_of: datetime) -> Overview:
    """Work out once what all pages ask for."""
    last_day = as_of.date()
    of_provider: dict[str, list[Summary]] = {}
    of_model = {
        model.id: sorted((_summary(model, endpoint, last_day) for endpoint in model.endpoints), key=_by_price)
        for model in history.models
    }
    for summaries in of_model.values():
        for summary in summaries:
            of_provider.setdefault(summary.provider, []).append(summary)
    return Overview(history, as_of, of_model, of_provider)


def blended(prices: PriceSet | None) -> Decimal | None:
    """The price of 3 tokens of prompt and 1 of answer, for one; None where it varies, or there is none."""
    if prices is None or prices.varies or prices.prompt is None or prices.completion is None:
        return None
    return (3 * prices.prompt + prices.completion) / 4


def naming(model: Model, endpoint: Endpoint) -> dict[str, Any]:
    """How an endpoint is called, and where its pages are."""
    row = endpoint.row
    return {
        "provider": row["provider_name"],
        "provider_file": file_name(row["provider_name"]),
        "route": row["route"] + (f" #{row['ordinal'] + 1}" if row["ordinal"] else ""),
        "variant": "" if row["variant"] == model.id else row["variant"],
        "model": model.id,
        "model_file": file_name(model.id),
    }


def pricing(summary: Summary) -> dict[str, Any]:
    """What an endpoint costs now, as shown and exact."""
    prices = summary.prices
    if prices is None:
        return {"listed": False, "prompt": None, "completion": None, "blended": None, "notes": []}
    blend = summary.blended
    return {
        "listed": True,
        "prompt": numbers.price("prompt", prices.prompt) if not prices.varies else None,
        "completion": numbers.price("completion", prices.completion) if not prices.varies else None,
        "prompt_usd": None if prices.varies else numbers.exact(prices.prompt),
        "completion_usd": None if prices.varies else numbers.exact(prices.completion),
        "blended": numbers.price("prompt", blend),
        "cache_read": numbers.price("input_cache_read", prices.input_cache_read),
        "notes": list(_notes(summary, prices)),
    }


def _notes(summary: Summary, prices: PriceSet) -> list[str]:
    found = [*hints(prices)]
    if prices.discount:
        share = float(prices.discount) * 100
        found.insert(0, f"{share:.3g} % off" if share > 0 else f"{-share:.3g} % on top")
    status = summary.endpoint.now["status"] if summary.endpoint.now else None
    if status:
        found.insert(0, _STATUSES.get(status, f"status {status}"))
    return found


def _summary(model: Model, endpoint: Endpoint, last_day: date) -> Summary:
    lately = uptime_strips.mean(endpoint.uptime, last_day - MONTH + timedelta(days=1), last_day)
    return Summary(model, endpoint, blended(endpoint.prices_now), lately, changes_of(model, endpoint))


def _by_price(summary: Summary) -> tuple[Any, ...]:
    row, price = summary.endpoint.row, summary.blended
    gone = summary.prices is None
    age = -row["last_seen_at"].timestamp() if gone else 0
    return gone, age, price is None, price or 0, summary.provider, row["variant"], row["route"], row["ordinal"]
