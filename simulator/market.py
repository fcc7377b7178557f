"""A believable market of models and providers. Pure: what it lists is a function of the seed and the instant.

Authors, models and providers are made up. Providers reprice in steps, give discounts for some days, have tiers and time
windows, go down for a while, leave and come back; twins share one tag.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from simulator.offers import EPOCH, Offer, chance, offers
from simulator.outages import status, uptime
from simulator.prices import pricing

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Market:
    """So many models, each with some providers. The same seed makes the same market."""

    models: int = 40
    seed: int = 1

    def paths(self) -> list[str]:
        """Every path that answers, also older names of models."""
        return sorted([*offers(self.models, self.seed), *self.older_names()])

    def older_names(self) -> dict[str, str]:
        """Paths that lead to a model of another name."""
        return dict(_older_names(self))

    def body(self, path: str, at: datetime) -> Json | None:
        """What the API says of a path at an instant; None where it knows no such path."""
        model = _older_names(self).get(path, path)
        found = offers(self.models, self.seed).get(model)
        if found is None:
            return None
        minute = (at - EPOCH) // timedelta(minutes=1)
        hhmm = at.hour * 100 + at.minute
        listed = [_item(offer, minute, hhmm) for offer in found if offer.is_listed(minute)]
        return {"data": {**_describe(model), "endpoints": listed}}

    def listing(self) -> list[Json]:
        """The entries of the models listing, without aliases."""
        return [
            {"id": model, "canonical_slug": model, "name": _describe(model)["name"]}
            for model in offers(self.models, self.seed)
        ]


@cache
def _older_names(market: Market) -> dict[str, str]:
    names = enumerate(offers(market.models, market.seed))
    return {f"{id_}-2026": id_ for number, id_ in names if number % 10 == 3 and ":" not in id_}  # noqa: PLR2004


@cache
def _describe(model: str) -> Json:
    author, _, slug = model.partition("/")
    return {
        "id": model,
        "name": f"{author.title()}: {slug.replace('-', ' ').title()}",
        "created": int(EPOCH.timestamp()),
        "description": f"A made-up model of {author}.",
        "architecture": {
            "input_modalities": ["text"],
            "output_modalities": ["text"],
            "tokenizer": "Other",
            "instruct_type": None,
            "modality": "text->text",
        },
    }


def _item(offer: Offer, minute: int, hhmm: int) -> Json:
    up = uptime(offer, minute)
    return {
        **_terms(offer),
        "pricing": pricing(offer, minute, hhmm),
        "status": status(up.last_5m),
        "uptime_last_5m": up.last_5m,
        "uptime_last_30m": up.last_30m,
        "uptime_last_1d": up.last_1d,
    }


@cache
def _terms(offer: Offer) -> Json:
    return {
        "name": f"{offer.provider} | {offer.model}",
        "model_id": offer.model,
        "model_name": _describe(offer.model)["name"],
        "context_length": offer.context_length,
        "provider_name": offer.provider,
        "tag": offer.tag,
        "quantization": offer.quantization,
        "max_completion_tokens": None,
        "max_prompt_tokens": None,
        "supported_parameters": chance(offer.key, "parameters").sample(
            ["max_tokens", "temperature", "tools", "seed"], 3
        ),
        "supports_implicit_caching": False,
        "latency_last_30m": None,
        "throughput_last_30m": None,
    }
