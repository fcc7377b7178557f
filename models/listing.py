"""What a body says once it is read: a model, its endpoints, their prices, terms and uptime. Values only."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from models.observation import Outcome

JsonObject = dict[str, Any]

UPTIME_WINDOW: Final = timedelta(minutes=30)
"""Of the one uptime that all bodies have: a sample stands for no more than that."""
UPTIME_REDEFINED_AT: Final = datetime(2026, 10, 8, tzinfo=UTC)
"""From then on upstream's uptime is a share of minutes; before, of requests. Nothing averages across."""


class _Absent:
    """The value of an endpoint at a look that proves it is not listed."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()
Absent = _Absent


def canonical_decimal(value: Decimal) -> str:
    """One text for one number: no exponent, no trailing zeros, no `-0`."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


@dataclass(frozen=True, slots=True)
class PriceSet:
    """All prices of one endpoint at one look, in USD per unit as delivered: already net of `discount`.

    `prompt` and `completion` are always charged by the token, 0 meaning free; None means that the price varies
    (upstream says -1). Every other price is None where nothing is charged: upstream says that by a missing key,
    null or 0 alike. `discount` is a fraction, None where there is none. `overrides` are the conditional prices as
    published, in order, their prices as canonical decimal strings. `other` holds price keys that this version has
    no column for.
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
# Those for each token, which people read for a million; the others are for each request, image or the like.
PER_TOKEN: Final = frozenset(
    {
        *("prompt", "completion", "image_token", "internal_reasoning"),
        *("input_cache_read", "input_cache_write", "input_cache_write_1h"),
    }
)


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of an offer besides its price.

    `quantization` is None where upstream says null, nothing or `unknown`. `supported_parameters` is sorted:
    upstream's order means nothing. `features` holds the flags upstream added later (`supports_*`, `native_tools`,
    `service_tier`).
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
    """Uptime in percent over three windows, and the status; None means that upstream gave no number."""

    status: int | None = None
    uptime_5m_pct: float | None = None
    uptime_30m_pct: float | None = None
    uptime_1d_pct: float | None = None


@dataclass(frozen=True, slots=True)
class Performance:
    """Percentiles over the last 30 minutes: latency in milliseconds, throughput in tokens per second."""

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

    `variant` is the endpoint's own model id, else the model's. `route` is the tag, or for bodies from before tags
    `provider:… quantization:…`. `ordinal` numbers endpoints that share both, by their terms.
    """

    variant: str
    route: str
    ordinal: int = 0


@dataclass(frozen=True, slots=True)
class EndpointListing:
    """One endpoint as one body lists it."""

    key: EndpointKey
    name: str
    tag: str | None
    prices: PriceSet
    terms: Terms
    uptime: Uptime
    performance: Performance | None = None


@dataclass(frozen=True, slots=True)
class ModelListing:
    """One model as one body describes it; `openrouter_id` is the resolved id (`data.id`)."""

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
    """Something in a body that this version does not know: a key, or a value outside the known set.

    `path` is where it stands, as `endpoint.pricing.video`; `value` is None for an unknown key.
    """

    path: str
    value: str | None = None


@dataclass(frozen=True, slots=True)
class Unread:
    """An endpoint of a body that could not be read: where it stood, and why."""

    position: int
    reason: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What one observation says. `listing` only with `ok`; `reason` only with `failed`.

    An `ok` with `unread` endpoints is incomplete: what it lists is listed, but it proves no absence.
    """

    outcome: Outcome
    listing: ModelListing | None = None
    reason: str | None = None
    unread: tuple[Unread, ...] = ()
    drift: frozenset[Drift] = frozenset()

    @property
    def complete(self) -> bool:
        """Whether this observation proves the absence of what it does not list."""
        return self.outcome != "failed" and not self.unread

    @property
    def trouble(self) -> str | None:
        """Why it failed, or which endpoints could not be read; up to 500 characters."""
        unread = "; ".join(f"endpoint {item.position + 1} unread: {item.reason}" for item in self.unread)
        return (self.reason or unread)[:500] or None
