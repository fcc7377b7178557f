"""What the offers of the simulated market cost at an instant. Pure."""

from __future__ import annotations

from decimal import Context, Decimal
from functools import cache
from typing import Any

from simulator.offers import DAY, Offer, chance, spell

_MILLION = Decimal(1_000_000)
_ROUND = Context(prec=3)  # as price lists are
_LEVELS = tuple(map(Decimal, ("0.7", "0.8", "0.85", "0.9", "0.95", "1", "1", "1.05", "1.1", "1.2")))
_DISCOUNTS = tuple(map(Decimal, ("0.1", "0.2", "0.25", "0.3", "0.5")))
_PROMOTION = (2 * DAY, 9 * DAY)
_LONG_PROMPT = 200_000


def pricing(offer: Offer, minute: int, hhmm: int) -> dict[str, Any]:
    """The pricing of an offer as upstream gives it, at a minute since EPOCH whose time of the day is `hhmm`.

    What stands at the top is the price of this minute, net of the discount, as conditional prices are.
    """
    promotion = spell(offer.key, "promotion", minute, 40 * DAY, _PROMOTION) if offer.promotes else None
    is_night = offer.cheap_at_night and _is_within(hhmm, *offer.night)
    return _pricing(offer, _step(offer, minute), promotion, is_night=is_night).copy()


@cache
def _pricing(offer: Offer, step: int, promotion: int | None, *, is_night: bool) -> dict[str, Any]:
    level = chance(offer.key, "price", step).choice(_LEVELS)
    price = _ROUND.multiply(offer.usd_per_mtok, level)
    discount = Decimal(0) if promotion is None else chance(offer.key, "discount", promotion).choice(_DISCOUNTS)
    net = 1 - discount
    overrides: list[dict[str, Any]] = []
    if offer.tiered and offer.context_length > _LONG_PROMPT:
        overrides.append({"min_prompt_tokens": _LONG_PROMPT, **_per_token(offer, price * 2 * net)})
    if offer.cheap_at_night:
        start, end = offer.night
        overrides.append({"utc_start": start, "utc_end": end, **_per_token(offer, price / 2 * net)})
    now = price / 2 if is_night else price
    found = {**_per_token(offer, now * net), "discount": float(discount)}
    return found | ({"overrides": overrides} if overrides else {})


def _step(offer: Offer, minute: int) -> int:
    """How many times it has repriced: once at some minute of each cycle."""
    cycle = offer.days_per_price * DAY
    number, since = divmod(minute, cycle)
    return number if since >= _repriced(offer.key, number, cycle) else number - 1


@cache
def _repriced(key: str, number: int, cycle: int) -> int:
    return chance(key, "repriced", number).randrange(cycle)


def _per_token(offer: Offer, usd_per_mtok: Decimal) -> dict[str, str]:
    return {"prompt": _text(usd_per_mtok), "completion": _text(usd_per_mtok * _completion_ratio(offer.model))}


@cache
def _completion_ratio(model: str) -> int:
    return chance(model, "completion").choice((3, 4, 4, 5))


def _text(usd_per_mtok: Decimal) -> str:
    return format((usd_per_mtok / _MILLION).normalize(), "f")


def _is_within(hhmm: int, start: int, end: int) -> bool:
    return start <= hhmm < end if start < end else hhmm >= start or hhmm < end
