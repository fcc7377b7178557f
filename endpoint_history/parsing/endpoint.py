"""Read one endpoint of a body, and number those that share a tag. Pure, but for remembering what it has read."""

from __future__ import annotations

import dataclasses
import re
from decimal import Decimal
from itertools import groupby
from typing import Any, NamedTuple

from endpoint_history.io.strict_json import canonical, clean_text
from endpoint_history.parsing.fields import (
    MAX_NAME,
    UnreadableFieldError,
    checked_text,
    in_words,
    optional_count,
    optional_json,
    optional_number,
    optional_percent,
    optional_text,
    text_list,
    unknown_key,
)
from endpoint_history.parsing.prices import read_prices
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
_STATUS_FORM = re.compile(r"(-?[0-9]{1,3})(?:\.0{1,16})?")
_PERCENTILES = {"p50", "p75", "p90", "p99"}
_VOLATILE = {
    *("status", "uptime_last_5m", "uptime_last_30m", "uptime_last_1d"),
    *("latency_last_30m", "throughput_last_30m", "perf_last_30m_by_workload"),
}


class _Offer(NamedTuple):
    key: EndpointKey
    name: str
    prices: PriceSet
    terms: Terms
    drift: frozenset[Drift]
    lacks: str


_OFFERS: dict[str, _Offer] = {}
_OFFERS_KEPT = 4096  # some 4 kB each; the whole catalogue had 1,203 in August 2026
_OFFER_LENGTH = 2**16  # longer ones are nobody's, and would fill the memory


class ReadEndpoint(NamedTuple):
    """One item of `data.endpoints` as it was read. `lacks` names the terms that are malformed, empty for none."""

    listing: EndpointListing
    drift: frozenset[Drift]
    lacks: str


def read_endpoint(item: Any, model_id: str) -> ReadEndpoint:
    """Read one item of `data.endpoints`. Its ordinal is 0 until with_ordinals.

    Raises UnreadableFieldError where its identity or a price can't be read.
    """
    if not isinstance(item, dict):
        raise UnreadableFieldError("not an object")
    offer = _read_offer(item, model_id)
    drift: set[Drift] = set()
    endpoint = EndpointListing(
        key=offer.key,
        name=offer.name,
        tag=offer.key.route if item.get("tag") is not None else None,
        prices=offer.prices,
        terms=offer.terms,
        uptime=_read_uptime(item, drift),
        performance=_read_performance(item, drift),
    )
    return ReadEndpoint(endpoint, offer.drift | drift if drift else offer.drift, offer.lacks)


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
    malformed: set[Drift] = set()
    terms = _read_terms(item, malformed)
    name = optional_text(item.get("name"), "endpoint.name", drift, MAX_NAME) or ""
    drift |= malformed | _endpoint_drift(item)
    lacks = ", ".join(sorted({found.path.removeprefix("endpoint.") for found in malformed}))
    return _Offer(_read_key(item, model_id, terms), name, prices, terms, frozenset(drift), lacks)


def _read_key(item: JsonObject, model_id: str, terms: Terms) -> EndpointKey:
    variant = checked_text(item["model_id"], "model_id") if item.get("model_id") is not None else model_id
    if item.get("tag") is not None:
        return EndpointKey(variant, checked_text(item["tag"], "tag"))
    if not isinstance(item.get("quantization"), str | None):
        raise UnreadableFieldError("there is no tag, and quantization is not text")
    return EndpointKey(variant, f"provider:{terms.provider_name} quantization:{terms.quantization or 'unknown'}")


def _read_terms(item: JsonObject, malformed: set[Drift]) -> Terms:
    def count(name: str) -> int | None:
        return optional_count(item.get(name), f"endpoint.{name}", malformed)

    quantization = optional_text(item.get("quantization"), "endpoint.quantization", malformed)
    features = {
        key: kept
        for key in _FEATURES
        if item.get(key) is not None and (kept := optional_json(item[key], f"endpoint.{key}", malformed)) is not None
    }
    return Terms(
        provider_name=checked_text(item.get("provider_name"), "provider_name"),
        context_length=count("context_length"),
        quantization=None if quantization == "unknown" else quantization,
        max_completion_tokens=count("max_completion_tokens"),
        max_prompt_tokens=count("max_prompt_tokens"),
        supported_parameters=text_list(item.get("supported_parameters"), "endpoint.supported_parameters", malformed),
        features=features or None,
    )


def _read_uptime(item: JsonObject, drift: set[Drift]) -> Uptime:
    return Uptime(
        _read_status(item.get("status"), drift),
        optional_percent(item.get("uptime_last_5m"), "endpoint.uptime_last_5m", drift),
        optional_percent(item.get("uptime_last_30m"), "endpoint.uptime_last_30m", drift),
        optional_percent(item.get("uptime_last_1d"), "endpoint.uptime_last_1d", drift),
    )


def _read_status(value: Any, drift: set[Drift]) -> int | None:
    """An integer, also as text; what else stood in old documents is kept as drift, not as a number."""
    if value is None:
        return None
    if type(value) is int and value in _STATUSES:
        return value
    is_written = isinstance(value, str | int | Decimal) and not isinstance(value, bool)
    match = _STATUS_FORM.fullmatch(str(value)) if is_written else None
    if not match:
        drift.add(Drift("endpoint.status", clean_text(value)[:100] if isinstance(value, str) else in_words(value)))
        return None
    status = int(match[1])
    if status not in _STATUSES:
        drift.add(Drift("endpoint.status", match[1]))
    return status


def _read_performance(item: JsonObject, drift: set[Drift]) -> Performance | None:
    """Percentiles under the names that we know; other names, and a number in their place, are drift."""
    latency, throughput = item.get("latency_last_30m"), item.get("throughput_last_30m")
    if latency is None and throughput is None:
        return None
    values = _percentiles(latency, "latency", "ms", drift) | _percentiles(throughput, "throughput", "tps", drift)
    return Performance(**values) if values else None


def _percentiles(given: Any, name: str, unit: str, drift: set[Drift]) -> dict[str, float | None]:
    path = f"endpoint.{name}_last_30m"
    if not isinstance(given, dict):
        drift |= set() if given is None else {Drift(path, "not percentiles")}
        return {}
    drift |= {unknown_key(path, key) for key in given.keys() - _PERCENTILES}
    return {f"{name}_{p}_{unit}": optional_number(given.get(p), f"{path}.{p}", drift) for p in _PERCENTILES}


def _endpoint_drift(item: JsonObject) -> set[Drift]:
    drift = {unknown_key("endpoint", key) for key in item.keys() - _KNOWN_KEYS}
    quantization = item.get("quantization")
    if isinstance(quantization, str) and quantization and quantization not in _QUANTIZATIONS:
        drift.add(Drift("endpoint.quantization", clean_text(quantization)[:100]))
    return drift
