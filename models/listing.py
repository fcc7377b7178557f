"""The values of a parsed body: a model, its endpoints, and their prices, terms and uptime."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from models.observation import Outcome

JsonObject = dict[str, Any]

UPTIME_WINDOW: Final = timedelta(minutes=30)
"""The rolling window of `uptime_30m_pct`, which all bodies have. A sample covers no more time than this."""
UPTIME_REDEFINED_AT: Final = datetime(2026, 10, 8, tzinfo=UTC)
"""OpenRouter's uptime is a share of minutes from this time on, and of requests before. Never average both."""


class _Absent:
    """The value of an endpoint in evidence that proves that it is not listed."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()
Absent = _Absent


def canonical_decimal(value: Decimal) -> str:
    """Return the same text for equal numbers: without exponent, trailing zeros or `-0`."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


@dataclass(frozen=True, slots=True)
class PriceSet:
    """All prices of one endpoint in one observation, in USD per unit, after `discount`.

    `prompt` and `completion` are prices per token: 0 means free, None that the price varies (OpenRouter says -1). Every
    other price is None if it is not charged: OpenRouter omits the key, or says null or 0. `discount` is a fraction,
    None if there is none. `overrides` are the conditional prices as published, in order, their prices as canonical
    decimal strings. `other` contains the price keys that have no column yet.
    """

    prompt: Decimal | None
    completion: Decimal | None
    request: Decimal | None = None
    image: Decimal | None = None
    image_token: Decimal | None = None
    image_output: Decimal | None = None
    audio: Decimal | None = None
    audio_output: Decimal | None = None
    input_audio_cache: Decimal | None = None
    web_search: Decimal | None = None
    internal_reasoning: Decimal | None = None
    input_cache_read: Decimal | None = None
    input_cache_write: Decimal | None = None
    input_cache_write_1h: Decimal | None = None
    varies: bool = False
    discount: Decimal | None = None
    overrides: list[JsonObject] | None = None
    other: JsonObject | None = None


PRICE_KEYS: Final = tuple(
    f.name for f in fields(PriceSet) if f.name not in {"varies", "discount", "overrides", "other"}
)
# Prices per token, which people read per million tokens. The others are per request, per image and so on.
PER_TOKEN: Final = frozenset(
    {
        *("prompt", "completion", "image_token", "internal_reasoning"),
        *("input_cache_read", "input_cache_write", "input_cache_write_1h"),
    }
)


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of an offer besides its price.

    `quantization` is None if OpenRouter says null, nothing or `unknown`. `supported_parameters` is sorted, as
    OpenRouter's order has no meaning. `features` contains flags that OpenRouter added later (`supports_*`,
    `native_tools`, `service_tier`).
    """

    provider_name: str
    context_length: int | None = None
    quantization: str | None = None
    max_completion_tokens: int | None = None
    max_prompt_tokens: int | None = None
    supported_parameters: tuple[str, ...] = ()
    features: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class Uptime:
    """Uptime in percent over three rolling windows, and the status. None means that OpenRouter gave no number."""

    status: int | None = None
    uptime_5m_pct: float | None = None
    uptime_30m_pct: float | None = None
    uptime_1d_pct: float | None = None


@dataclass(frozen=True, slots=True)
class Performance:
    """Percentiles over the last 30 minutes: latency in milliseconds, and throughput in tokens per second."""

    latency_p50_ms: float | None = None
    latency_p75_ms: float | None = None
    latency_p90_ms: float | None = None
    latency_p99_ms: float | None = None
    throughput_p50_tps: float | None = None
    throughput_p75_tps: float | None = None
    throughput_p90_tps: float | None = None
    throughput_p99_tps: float | None = None


@dataclass(frozen=True, slots=True, order=True)
class EndpointKey:
    """The natural key of an endpoint within its model.

    `variant` is the endpoint's own model id, or the model's if it has none. `route` is the tag; for bodies older than
    tags, it is `provider:… quantization:…`. `ordinal` numbers endpoints with the same variant and route, ordered by
    their terms.
    """

    variant: str
    route: str
    ordinal: int = 0


@dataclass(frozen=True, slots=True)
class EndpointListing:
    """One endpoint in one body."""

    key: EndpointKey
    name: str
    tag: str | None
    prices: PriceSet
    terms: Terms
    uptime: Uptime
    performance: Performance | None = None


@dataclass(frozen=True, slots=True)
class ModelListing:
    """One model in one body. `openrouter_id` is the resolved id (`data.id`)."""

    openrouter_id: str
    name: str
    created_at: datetime | None
    description: str
    input_modalities: tuple[str, ...]
    output_modalities: tuple[str, ...]
    tokenizer: str | None
    instruct_type: str | None
    endpoints: tuple[EndpointListing, ...]


@dataclass(frozen=True, slots=True, order=True)
class Drift:
    """A key or value in a body that this version does not know.

    `path` is its position, such as `endpoint.pricing.video`. `value` is None if the key itself is unknown.
    """

    path: str
    value: str | None = None


@dataclass(frozen=True, slots=True)
class Unread:
    """An endpoint of a body that could not be read: its position from 0, and the reason."""

    position: int
    reason: str


@dataclass(frozen=True, slots=True)
class ParsedObservation:
    """What one observation says. Only an `ok` has a `listing`, only a `failed` a `reason`.

    An `ok` with `unread` endpoints is incomplete: it proves which endpoints are listed, but not which are absent.
    """

    outcome: Outcome
    listing: ModelListing | None = None
    reason: str | None = None
    unread: tuple[Unread, ...] = ()
    drift: frozenset[Drift] = frozenset()

    @property
    def complete(self) -> bool:
        """Return whether the observation proves that endpoints it does not list are absent."""
        return self.outcome != "failed" and not self.unread

    @property
    def trouble(self) -> str | None:
        """Return why it failed, or which endpoints could not be read, in at most 500 characters."""
        unread = "; ".join(f"endpoint {item.position + 1} unread: {item.reason}" for item in self.unread)
        return (self.reason or unread)[:500] or None
