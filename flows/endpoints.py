"""Read one endpoint of a body, and number those that share a tag. Pure, but for remembering what it has read."""

from __future__ import annotations

import dataclasses
import re
from decimal import Decimal
from itertools import groupby
from typing import Any

from flows.fields import (
    MAX_NAME,
    UnreadableError,
    checked_text,
    kept_json,
    optional_count,
    optional_number,
    optional_percent,
    optional_text,
    text_list,
    unknown_key,
)
from flows.prices import read_prices
from flows.strict_json import canonical, clean_text
from models.listing import (
    Drift,
    EndpointKey,
    EndpointListing,
    JsonObject,
    Performance,
    PriceSet,
    Terms,
    Uptime,
    canonical_decimal,
)

_KNOWN_KEYS = {
    "name", "model_id", "model_name", "provider_name", "tag", "context_length", "pricing", "quantization",
    "max_completion_tokens", "max_prompt_tokens", "supported_parameters", "status", "uptime_last_5m", "uptime_last_30m",
    "uptime_last_1d", "latency_last_30m", "throughput_last_30m", "perf_last_30m_by_workload",
    "supports_implicit_caching", "supports_voice_cloning", "supports_tool_choice", "supports_image_reference",
    "supports_multiple_audio_references", "supports_diarization", "native_tools", "service_tier",
}  # fmt: skip
_FEATURES = {key for key in _KNOWN_KEYS if key.startswith("supports_")} | {"native_tools", "service_tier"}
_QUANTIZATIONS = {"int4", "int8", "fp4", "fp6", "fp8", "fp16", "bf16", "fp32", "mxfp4", "nvfp4", "unknown"}
_STATUSES = {0, -1, -2, -3, -5, -10}
_STATUS_FORM = re.compile("-?[0-9]{1,3}")
_PERCENTILES = ("p50", "p75", "p90", "p99")
_VOLATILE = {
    *("status", "uptime_last_5m", "uptime_last_30m", "uptime_last_1d"),
    *("latency_last_30m", "throughput_last_30m", "perf_last_30m_by_workload"),
}
_Offer = tuple[EndpointKey, str, PriceSet, Terms, frozenset[Drift]]
_OFFERS: dict[str, _Offer] = {}
_OFFERS_KEPT = 4096  # some 4 kB each; the whole catalogue had 1,203 in August 2026
_OFFER_LENGTH = 2**16  # longer ones are nobody's, and would fill the memory


def read_endpoint(item: Any, model_id: str) -> tuple[EndpointListing, frozenset[Drift]]:
    """Read one item of `data.endpoints`. Its ordinal is 0 until with_ordinals. Raises UnreadableError."""
    if not isinstance(item, dict):
        raise UnreadableError("not an object")
    key, name, prices, terms, drift = _read_offer(item, model_id)
    status, status_drift = _read_status(item.get("status"))
    endpoint = EndpointListing(
        key=key,
        name=name,
        tag=key.route if item.get("tag") is not None else None,
        prices=prices,
        terms=terms,
        uptime=_read_uptime(item, status),
        performance=_read_performance(item),
    )
    return endpoint, drift | status_drift | _performance_drift(item)


def with_ordinals(endpoints: list[EndpointListing]) -> tuple[EndpointListing, ...]:
    """Number the endpoints that share model and tag, by their own terms: array order is unstable, and prices vary.

    Only where all terms are equal do prices, then uptime, decide; twins alike in everything are interchangeable.
    """
    numbered: list[EndpointListing] = []
    for key, same in groupby(sorted(endpoints, key=lambda endpoint: endpoint.key), key=lambda endpoint: endpoint.key):
        first, *others = same
        numbered.append(first)
        if others:
            numbered[-1:] = [
                dataclasses.replace(twin, key=dataclasses.replace(key, ordinal=ordinal))
                for ordinal, twin in enumerate(sorted([first, *others], key=_rank))
            ]
    return tuple(numbered)


def _rank(endpoint: EndpointListing) -> tuple[str, str, str, str]:
    prices = [canonical_decimal(p) if isinstance(p, Decimal) else p for p in dataclasses.astuple(endpoint.prices)]
    return (canonical(dataclasses.astuple(endpoint.terms)), endpoint.name, canonical(prices), str(endpoint.uptime))


def _read_offer(item: JsonObject, model_id: str) -> _Offer:
    """What of an endpoint holds from look to look: read once, and known again by its text."""
    text = repr((model_id, [pair for pair in item.items() if pair[0] not in _VOLATILE]))
    offer = _OFFERS.get(text)
    if offer is None:
        offer = _read_new_offer(item, model_id)
        if len(_OFFERS) >= _OFFERS_KEPT:
            _OFFERS.clear()
        if len(text) <= _OFFER_LENGTH:
            _OFFERS[text] = offer
    return offer


def _read_new_offer(item: JsonObject, model_id: str) -> _Offer:
    prices, drift = read_prices(item.get("pricing"))
    terms = _read_terms(item)
    tag = checked_text(item["tag"], "tag") if item.get("tag") is not None else None
    variant = checked_text(item["model_id"], "model_id") if item.get("model_id") is not None else model_id
    route = tag or f"provider:{terms.provider_name} quantization:{terms.quantization or 'unknown'}"
    name = clean_text(str(item.get("name") or ""))[:MAX_NAME]
    return EndpointKey(variant, route), name, prices, terms, frozenset(drift | _endpoint_drift(item))


def _read_terms(item: JsonObject) -> Terms:
    quantization = optional_text(item.get("quantization"))
    features = {key: kept_json(item[key], key) for key in _FEATURES if item.get(key) is not None}
    return Terms(
        provider_name=checked_text(item.get("provider_name"), "provider_name"),
        context_length=optional_count(item.get("context_length"), "context_length"),
        quantization=None if quantization == "unknown" else quantization,
        max_completion_tokens=optional_count(item.get("max_completion_tokens"), "max_completion_tokens"),
        max_prompt_tokens=optional_count(item.get("max_prompt_tokens"), "max_prompt_tokens"),
        supported_parameters=text_list(item.get("supported_parameters")),
        features=features or None,
    )


def _read_uptime(item: JsonObject, status: int | None) -> Uptime:
    return Uptime(
        status=status,
        uptime_5m_pct=optional_percent(item.get("uptime_last_5m"), "uptime_last_5m"),
        uptime_30m_pct=optional_percent(item.get("uptime_last_30m"), "uptime_last_30m"),
        uptime_1d_pct=optional_percent(item.get("uptime_last_1d"), "uptime_last_1d"),
    )


def _read_status(value: Any) -> tuple[int | None, set[Drift]]:
    """An integer, also as text; what else stood in old documents is kept as drift, not as a number."""
    if value is None or isinstance(value, bool):
        return None, set()
    text = str(value)
    if _STATUS_FORM.fullmatch(text):
        status = int(text)
        return status, set() if status in _STATUSES else {Drift("endpoint.status", text)}
    return None, {Drift("endpoint.status", clean_text(text)[:100])}


def _read_performance(item: JsonObject) -> Performance | None:
    latency, throughput = item.get("latency_last_30m"), item.get("throughput_last_30m")
    if not isinstance(latency, dict) and not isinstance(throughput, dict):
        return None
    values = {
        f"{name}_{percentile}_{unit}": optional_number(given.get(percentile), f"{name} {percentile}")
        for name, given, unit in (("latency", latency, "ms"), ("throughput", throughput, "tps"))
        if isinstance(given, dict)
        for percentile in _PERCENTILES
    }
    return Performance(**values)


def _endpoint_drift(item: JsonObject) -> set[Drift]:
    drift = {unknown_key("endpoint", key) for key in item.keys() - _KNOWN_KEYS}
    quantization = item.get("quantization")
    if quantization is not None and str(quantization) not in _QUANTIZATIONS:
        drift.add(Drift("endpoint.quantization", clean_text(str(quantization))[:100]))
    return drift


def _performance_drift(item: JsonObject) -> set[Drift]:
    return {
        Drift(f"endpoint.{name}", "not percentiles")
        for name in ("latency_last_30m", "throughput_last_30m")
        if not isinstance(item.get(name), dict | None)
    }
