"""A believable market of models and providers. Pure: what it lists is a function of the seed and the instant.

Authors, models and providers are made up. Providers reprice in steps, give discounts for some days, have tiers and time
windows, go down for a while, leave and come back.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from random import Random
from typing import Any

Json = dict[str, Any]

_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
_AUTHORS = ("aurora", "borealis", "cobalt", "delta-labs", "ember", "fjord", "granite-ai", "helio")
_FAMILIES = ("nova", "quill", "sage", "tern", "umbra", "vela", "wren", "zephyr")
_SIZES = ("mini", "7b", "30b", "120b", "large", "pro")
_PROVIDERS = (
    "Northwind",
    "Cascade",
    "Bluefin",
    "Harbor",
    "Juniper",
    "Lattice",
    "Meridian",
    "Quarry",
    "Saffron",
    "Tidal",
)
_QUANTIZATIONS = ("fp8", "fp4", "bf16", "unknown", "int8")
_MILLION = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class Offer:
    """One provider's offer of a model: what of it does not change."""

    model: str
    provider: str
    tag: str
    context_length: int
    quantization: str
    usd_per_mtok: Decimal
    days_per_price: int
    promotes: bool
    tiered: bool
    cheap_at_night: bool
    leaves: bool
    fragile: bool

    def chance(self, what: str, number: int = 0) -> Random:
        """Randomness that belongs to this offer and nothing else."""
        return Random(f"{self.model} {self.tag} {self.context_length} {what} {number}")  # noqa: S311 - a simulation


@dataclass(frozen=True, slots=True)
class Market:
    """So many models, each with some providers. The same seed makes the same market."""

    models: int = 40
    seed: int = 1

    def paths(self) -> list[str]:
        """Every path that answers, also older names of models."""
        return sorted([*_offers(self), *self.older_names()])

    def older_names(self) -> dict[str, str]:
        """Paths that lead to a model of another name."""
        return {f"{id_}-2026": id_ for number, id_ in enumerate(_offers(self)) if number % 10 == 3 and ":" not in id_}  # noqa: PLR2004

    def body(self, path: str, at: datetime) -> Json | None:
        """What the API says of a path at an instant; None where it knows no such path."""
        model = self.older_names().get(path, path)
        offers = _offers(self).get(model)
        if offers is None:
            return None
        return {"data": {**_describe(model), "endpoints": [_item(offer, at) for offer in offers if _listed(offer, at)]}}

    def listing(self) -> list[Json]:
        """The entries of the models listing, without aliases."""
        return [{"id": model, "canonical_slug": model, "name": _describe(model)["name"]} for model in _offers(self)]


@cache
def _offers(market: Market) -> dict[str, list[Offer]]:
    chance = Random(market.seed)  # noqa: S311
    names = [f"{author}/{family}-{size}" for author in _AUTHORS for family in _FAMILIES for size in _SIZES]
    numbered = [f"{name}-v{version}" for version in range(2, 2 + market.models // len(names)) for name in names]
    chosen = chance.sample(names, min(market.models, len(names))) + numbered
    models = {name: _offers_of(name, chance) for name in chosen[: market.models]}
    free = next(iter(models))
    models[f"{free}:free"] = [_offer(f"{free}:free", _PROVIDERS[0], Decimal(0), chance)]
    return models


def _offers_of(model: str, chance: Random) -> list[Offer]:
    base = Decimal(chance.choice(("0.04", "0.1", "0.25", "0.6", "1.25", "3")))
    providers = chance.sample(_PROVIDERS, chance.choices((1, 2, 4, 7), (5, 3, 2, 1))[0])
    offers = [_offer(model, provider, base, chance) for provider in providers]
    if chance.random() < 0.05:  # noqa: PLR2004 - twins: one tag, two offers
        offers.append(_offer(model, providers[0], base * 2, chance))
    return offers


def _offer(model: str, provider: str, base: Decimal, chance: Random) -> Offer:
    quantization = chance.choice(_QUANTIZATIONS)
    suffix = "" if quantization == "unknown" else f"/{quantization}"
    return Offer(
        model=model,
        provider=provider,
        tag=provider.lower() + suffix,
        context_length=chance.choice((8192, 32768, 131072, 262144, 1048576)),
        quantization=quantization,
        usd_per_mtok=base * Decimal(chance.randrange(80, 130)) / 100,
        days_per_price=chance.choice((2, 14, 30, 90, 365)),
        promotes=chance.random() < 0.15,  # noqa: PLR2004
        tiered=chance.random() < 0.1,  # noqa: PLR2004
        cheap_at_night=chance.random() < 0.05,  # noqa: PLR2004
        leaves=chance.random() < 0.1,  # noqa: PLR2004
        fragile=chance.random() < 0.2,  # noqa: PLR2004
    )


def _describe(model: str) -> Json:
    author, _, slug = model.partition("/")
    return {
        "id": model,
        "name": f"{author.title()}: {slug.replace('-', ' ').title()}",
        "created": int(_EPOCH.timestamp()),
        "description": f"A made-up model of {author}.",
        "architecture": {
            "input_modalities": ["text"],
            "output_modalities": ["text"],
            "tokenizer": "Other",
            "instruct_type": None,
            "modality": "text->text",
        },
    }


def _item(offer: Offer, at: datetime) -> Json:
    uptime = _uptime(offer, at)
    return {
        "name": f"{offer.provider} | {offer.model}",
        "model_id": offer.model,
        "model_name": _describe(offer.model)["name"],
        "context_length": offer.context_length,
        "pricing": _pricing(offer, at),
        "provider_name": offer.provider,
        "tag": offer.tag,
        "quantization": offer.quantization,
        "max_completion_tokens": None,
        "max_prompt_tokens": None,
        "supported_parameters": offer.chance("parameters").sample(["max_tokens", "temperature", "tools", "seed"], 3),
        "status": 0 if uptime is None or uptime > 95 else -2 if uptime > 80 else -5,  # noqa: PLR2004
        "uptime_last_5m": uptime,
        "uptime_last_30m": uptime,
        "uptime_last_1d": None if uptime is None else round(100 - (100 - uptime) / 10, 1),
        "supports_implicit_caching": False,
        "latency_last_30m": None,
        "throughput_last_30m": None,
    }


def _pricing(offer: Offer, at: datetime) -> Json:
    step = (at - _EPOCH) // timedelta(days=offer.days_per_price)
    price = offer.usd_per_mtok * Decimal(offer.chance("price", step).randrange(85, 116)) / 100
    discount = Decimal("0.25") if offer.promotes and (at - _EPOCH).days % 14 < 3 else Decimal(0)  # noqa: PLR2004
    night = 0 <= at.hour < 6  # noqa: PLR2004
    now = price / 2 if offer.cheap_at_night and night else price
    net = 1 - discount  # upstream's conditional prices are net of it, too
    pricing: Json = {**_per_token(now * net), "discount": float(discount)}
    overrides = []
    if offer.tiered:
        overrides.append({"min_prompt_tokens": 200_000, **_per_token(price * 2 * net)})
    if offer.cheap_at_night:
        overrides.append({"utc_start": 0, "utc_end": 600, **_per_token(price / 2 * net)})
    return pricing | ({"overrides": overrides} if overrides else {})


def _per_token(usd_per_mtok: Decimal) -> Json:
    return {"prompt": _text(usd_per_mtok / _MILLION), "completion": _text(usd_per_mtok * 4 / _MILLION)}


def _text(price: Decimal) -> str:
    return format(price.normalize(), "f")


def _listed(offer: Offer, at: datetime) -> bool:
    """Offers that leave are away for some days of every month."""
    return not offer.leaves or (at - _EPOCH).days % 30 >= offer.chance("leaves").randrange(2, 12)


def _uptime(offer: Offer, at: datetime) -> float | None:
    """Percent: null where nobody asks, and now and then an outage that begins suddenly and ends slowly."""
    hours = (at - _EPOCH) // timedelta(hours=1)
    if offer.chance("idle").random() < 0.2:  # noqa: PLR2004
        return None
    outage = offer.chance("outage", hours // 24)
    begins, lasts = outage.randrange(18), outage.randrange(1, 6)
    since = hours % 24 - begins
    if outage.random() < (0.3 if offer.fragile else 0.03) and 0 <= since < lasts:
        return round(100 - outage.randrange(10, 90) * (1 - since / lasts), 1)
    return 100.0 if offer.chance("perfect").random() < 0.4 else round(offer.chance("noise", hours).uniform(98, 100), 1)  # noqa: PLR2004
