"""What `cheapest` must answer, worked out the slow and plain way from the whole set of observations at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from endpoint_history.analysis.cheapest.cost import Usage
from endpoint_history.parsing.scheduled_price import ObservedPrices
from models.listing import PRICE_KEYS, PriceSet, Terms
from models.observation import Observation
from tests.reference.store import Change, History, Key, history_of

WEEK = timedelta(days=7)


class Unknown(Exception):  # noqa: N818 - a plain answer, not an error
    """The cost can't be told."""


@dataclass(frozen=True)
class Expected:
    """One offer: cost (None: unknown), minutes covered, and the mean over them (None: nothing covered)."""

    cost: Decimal | None
    covered_minutes: int
    mean: Fraction | None
    terms: Terms


def holds(entry: dict[str, Any], at: datetime, tokens: int) -> bool:
    """Whether an entry applies: its minutes of the day are listed one by one."""
    start, end = entry.get("utc_start", 0), entry.get("utc_end", 2400)
    first, last = (hhmm // 100 * 60 + hhmm % 100 for hhmm in (start, end))
    minutes = {minute % 1440 for minute in range(first, last + 1440 * (start > end))}
    return tokens > entry.get("min_prompt_tokens", -1) and at.hour * 60 + at.minute in minutes


def laid_over(prices: PriceSet, at: datetime, tokens: int) -> dict[str, Decimal | None]:
    """The conditional prices that apply, each entry laid over those before."""
    laid: dict[str, Decimal | None] = {}
    for entry in prices.overrides or []:
        if holds(entry, at, tokens):
            found = {key: Decimal(price) for key, price in entry.items() if key in PRICE_KEYS}
            laid |= {key: price if price or key in {"prompt", "completion"} else None for key, price in found.items()}
    return laid


def price_at(key: str, looks: Sequence[ObservedPrices], at: datetime, tokens: int) -> Decimal | None:
    """By the conditional prices, else by the newest look that shows the plain one."""
    newest = looks[0].prices
    laid = laid_over(newest, at, tokens)
    if key in laid:
        return laid[key]
    for look in looks:
        top: Decimal | None = getattr(look.prices, key)
        shown = laid_over(look.prices, look.at, 0)
        if look.prices.overrides == newest.overrides and (key not in shown or shown[key] != top):
            return top
    raise Unknown


def cost_of(looks: Sequence[ObservedPrices], usage: Usage, at: datetime) -> Decimal:
    """The cost, for prices and shares of a dozen decimals at most."""
    if looks[0].prices.varies:
        raise Unknown

    def price(key: str) -> Decimal | None:
        return price_at(key, looks, at, usage.input_tokens)

    prompt = price("prompt") or Decimal(0)
    cached = usage.input_tokens * usage.cached_share
    read = price("input_cache_read") if cached else None
    of_prompt = (usage.input_tokens - cached) * prompt + cached * (prompt if read is None else read)
    of_answer = usage.output_tokens * (price("completion") or 0) if usage.output_tokens else 0
    of_images = usage.images * (price("image") or 0) if usage.images else 0
    return usage.requests * (of_prompt + of_answer + of_images + (price("request") or 0))


def offers_of(
    looks: Iterable[Observation], model: str, usage: Usage, as_of: datetime, over: timedelta
) -> dict[Key, Expected]:
    """Every offer that the model lists as of an instant."""
    history = history_of(looks)
    found = {}
    for key, changes in history.prices.items():
        prices, terms = _in_force(changes, as_of), _in_force(history.terms[key], as_of)
        if key[0] != model or prices is None or terms is None:
            continue
        covered = _covered(history, key, as_of, int(over.total_seconds() // 60))
        mean = sum(covered, Fraction(0)) / len(covered) if covered else None
        found[key] = Expected(_cost(history, key, usage, as_of), len(covered), mean, terms)
    return found


def _in_force(changes: list[Change], at: datetime) -> Any:
    values = [value for since, value in changes if since <= at]
    return values[-1] if values else None


def _cost(history: History, key: Key, usage: Usage, as_of: datetime) -> Decimal | None:
    changes = history.prices[key]
    in_force_since = max(since for since, _ in changes if since <= as_of)
    seen = {at for of, at in history.uptime if of == key} | {since for since, _ in changes}
    lately = {at for at in seen if as_of - WEEK < at <= as_of} | {in_force_since}
    looks = [ObservedPrices(at, value) for at in sorted(lately, reverse=True) if (value := _in_force(changes, at))]
    try:
        return cost_of(looks, usage, as_of)
    except Unknown:
        return None


def _covered(history: History, key: Key, as_of: datetime, minutes: int) -> list[Fraction]:
    """The uptime of every minute of the span that is told: by the first look after it, within half an hour."""
    samples = sorted((at, uptime.uptime_30m_pct) for (of, at), uptime in history.uptime.items() if of == key)
    covered = []
    for minute in range(minutes):
        begins = as_of - timedelta(minutes=minute + 1)
        first = next(((at, percent) for at, percent in samples if begins < at <= as_of), None)
        if first and first[0] <= begins + timedelta(minutes=30) and first[1] is not None:
            covered.append(Fraction(str(first[1])))
    return covered
