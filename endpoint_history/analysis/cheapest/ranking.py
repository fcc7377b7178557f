"""Which offers of a model meet conditions, and what a usage costs with each: the cheapest first.

with opened("sqlite:///data/history.db") as engine, engine.connect() as connection:
    answer = rank_offers(connection, "openai/gpt-4o", Usage(10_000, 1_000), Conditions(uptime_pct=Decimal("99.5")))
print(answer.offers[0].provider, answer.offers[0].cost_usd)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from sqlalchemy import Connection

from endpoint_history.analysis.cheapest.conditions import (
    Conditions,
    refuse_unknown,
    unknown_uptime,
    unmet_terms,
    unmet_uptime,
)
from endpoint_history.analysis.cheapest.cost import Usage, cost_usd
from endpoint_history.analysis.cheapest.offers import ListedOffer, ModelAsOf, find_model, load_offers
from endpoint_history.analysis.cheapest.uptime import SpanUptime, span_uptime, start_of
from endpoint_history.errors import ConfigurationError
from endpoint_history.parsing.scheduled_price import UnknownPriceError, is_timed
from endpoint_history.rollups.watermark import LOOKBACK, read_watermark
from endpoint_history.times import duration_text
from models.listing import UPTIME_REDEFINED_AT

_FEW_SAMPLES: Final = 3
_OLD_CADENCES: Final = 2


@dataclass(frozen=True, slots=True)
class RankedOffer:
    """One offer as of the instant asked for.

    `cost_usd` is exact, None where it can't be told. `uptime_pct` is the mean over the span, None where upstream gave
    no number; `covered_share` (0 to 1) is how much of the span the `samples` tell about. `status` is that of the newest
    sample. `reasons` say why it does not meet the conditions, none where it does; `notes` what to mind about it.
    """

    provider: str
    route: str
    variant: str
    ordinal: int
    endpoint_id: int
    cost_usd: Decimal | None
    uptime_pct: float | None
    covered_share: float
    samples: int
    status: int | None
    quantization: str | None
    context_length: int | None
    notes: tuple[str, ...]
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ranking:
    """The offers that meet the conditions, by cost, then name; all others with the reasons why they are left out.

    `model` is the id, or that of the variant asked for. `as_of` is the instant answered for, `seen_at` the newest look
    that counts until then. Uptime is measured from `uptime_since` to `as_of`. All times are UTC.
    """

    model: str
    as_of: datetime
    seen_at: datetime
    uptime_since: datetime
    usage: Usage
    conditions: Conditions
    offers: tuple[RankedOffer, ...]
    left_out: tuple[RankedOffer, ...]
    notes: tuple[str, ...]


def rank_offers(
    connection: Connection,
    model: str,
    usage: Usage,
    conditions: Conditions | None = None,
    *,
    as_of: datetime | None = None,
    now: datetime | None = None,
) -> Ranking:
    """Rank the offers of a model: its id, the id of a variant such as `…:free`, or a path that leads to it.

    `as_of` (aware) defaults to the model's newest evidence, `now` to the clock. Raises ConfigurationError for what is
    not in this history: the model, the instant, a quantization or provider that no offer has.
    """
    now = now or datetime.now(UTC)
    wanted = conditions or Conditions()
    if as_of is not None and as_of > now:
        raise ConfigurationError(f"--as-of: {as_of:%Y-%m-%d %H:%M:%S} UTC lies in the future")
    found = find_model(connection, model, as_of)
    since = start_of(found.as_of, wanted.over)
    thinned = _thinned_before(connection, since)
    listed = load_offers(connection, found, found.as_of if thinned else since)
    refuse_unknown(wanted, [(offer.key, offer.terms) for offer in listed])
    variants = {offer.key.variant for offer in listed}
    variant = next((name for name in (model, found.openrouter_id) if name in variants), None)
    offers = sorted((_judged(offer, found, usage, wanted, since=since, variant=variant) for offer in listed), key=_rank)
    return Ranking(
        model=variant or found.openrouter_id,
        as_of=found.as_of,
        seen_at=found.seen_at,
        uptime_since=since,
        usage=usage,
        conditions=wanted,
        offers=tuple(offer for offer in offers if not offer.reasons),
        left_out=tuple(offer for offer in offers if offer.reasons),
        notes=tuple(_notes(found, now if as_of is None else found.as_of, since, wanted, thinned)),
    )


def _rank(offer: RankedOffer) -> tuple[bool, Decimal, str, str, int]:
    cost = offer.cost_usd
    return cost is None, cost or Decimal(0), offer.provider, offer.route, offer.ordinal


def _judged(
    offer: ListedOffer, found: ModelAsOf, usage: Usage, wanted: Conditions, *, since: datetime, variant: str | None
) -> RankedOffer:
    uptime = span_uptime(((at, percent) for at, _, percent in offer.samples), since, found.as_of)
    reasons = [f"it is {offer.key.variant}"] if variant and offer.key.variant != variant else []
    cost = None
    try:
        cost = cost_usd(offer.observed, usage, found.as_of)
    except UnknownPriceError as error:
        reasons.append(f"cost unknown: {error}")
    return RankedOffer(
        provider=offer.terms.provider_name,
        route=offer.key.route,
        variant=offer.key.variant,
        ordinal=offer.key.ordinal,
        endpoint_id=offer.endpoint_id,
        cost_usd=cost,
        uptime_pct=uptime.mean_pct,
        covered_share=uptime.covered_share,
        samples=uptime.samples,
        status=offer.samples[-1][1] if offer.samples else None,
        quantization=offer.terms.quantization,
        context_length=offer.terms.context_length,
        notes=tuple(_offer_notes(offer, usage, uptime, wanted)),
        reasons=(*reasons, *unmet_terms(offer.key, offer.terms, usage, wanted), *unmet_uptime(uptime, wanted)),
    )


def _offer_notes(offer: ListedOffer, usage: Usage, uptime: SpanUptime, wanted: Conditions) -> Iterator[str]:
    if not uptime.samples and wanted.uptime_pct is None:
        yield unknown_uptime(uptime)
    if 0 < uptime.samples < _FEW_SAMPLES or 0 < 2 * uptime.covered_seconds < uptime.span_seconds:
        yield f"thin: uptime rests on {uptime.samples} samples, {uptime.covered_share:.1%} of the span"
    status = offer.samples[-1][1] if offer.samples else None
    if status:
        yield f"status {status} at the last look"
    if is_timed(offer.prices):
        yield "costs something else at other times of day"
    if usage.images and offer.prices.image in {None, offer.prices.prompt}:
        yield "images cost tokens of the prompt: count them there"
    if not offer.terms.context_length:
        yield "context length unknown"


def _thinned_before(connection: Connection, since: datetime) -> datetime | None:
    """Before when samples may be gone, if a span that begins there would need them."""
    settled = read_watermark(connection)
    kept_from = settled and settled - LOOKBACK
    return kept_from if kept_from and since < kept_from else None


def _notes(
    found: ModelAsOf, asked_at: datetime, since: datetime, wanted: Conditions, thinned: datetime | None
) -> Iterator[str]:
    age = asked_at - found.seen_at
    if age > _OLD_CADENCES * found.cadence:
        yield f"thin: the last look is {duration_text(age)} old, at a cadence of {duration_text(found.cadence)}"
    if since != found.as_of - wanted.over:
        yield f"uptime was redefined on {UPTIME_REDEFINED_AT:%Y-%m-%d}: only what came after counts here"
    if thinned:
        yield f"uptime unknown: samples from before {thinned:%Y-%m-%d} were removed; ask daily_uptime"
