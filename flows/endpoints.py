"""Read one endpoint of a body, and number those that share a tag. Pure."""

from __future__ import annotations

import dataclasses
import re
from decimal import Decimal
from itertools import groupby
from typing import Any

from flows.fields import (
    UnreadableError,
    checked_text,
    optional_count,
    optional_number,
    optional_percent,
    optional_text,
    text_list,
    unknown_key,
)
from flows.prices import read_prices
from flows.strict_json import canonical, clean_text, plain
from models.listing import (
    Drift,
    EndpointKey,
    EndpointListing,
    JsonObject,
    Performance,
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


def read_endpoint(item: Any, model_id: str) -> tuple[EndpointListing, set[Drift]]:
    """Read one item of `data.endpoints`. Its ordinal is 0 until with_ordinals. Raises UnreadableError."""
    if not isinstance(item, dict):
        raise UnreadableError("not an object")
    prices, drift = read_prices(item.get("pricing"))
    terms = _read_terms(item)
    tag = checked_text(item["tag"], "tag") if item.get("tag") is not None else None
    variant = checked_text(item["model_id"], "model_id") if item.get("model_id") is not None else model_id
    status, status_drift = _read_status(item.get("status"))
    endpoint = EndpointListing(
        key=EndpointKey(
            variant, tag or f"provider:{terms.provider_name} quantization:{terms.quantization or 'unknown'}"
        ),
        name=clean_text(str(item.get("name") or ""))[:500],
        tag=tag,
        prices=prices,
        terms=terms,
        uptime=_read_uptime(item, status),
        performance=_read_performance(item),
    )
    return endpoint, drift | status_drift | _endpoint_drift(item)


def with_ordinals(endpoints: list[EndpointListing]) -> tuple[EndpointListing, ...]:
    """Number the endpoints that share model and tag, by their own terms: array order is unstable, and prices vary.

    Only where all terms are equal do prices, then uptime, decide; twins alike in everything are interchangeable.
    """
    numbered = []
    ordered = sorted(endpoints, key=lambda endpoint: (endpoint.key, _rank(endpoint)))
    for key, twins in groupby(ordered, key=lambda endpoint: endpoint.key):
        for ordinal, twin in enumerate(twins):
            numbered.append(dataclasses.replace(twin, key=dataclasses.replace(key, ordinal=ordinal)))
    return tuple(numbered)


def _rank(endpoint: EndpointListing) -> tuple[str, str, str, str]:
    prices = [canonical_decimal(p) if isinstance(p, Decimal) else p for p in dataclasses.astuple(endpoint.prices)]
    return (canonical(dataclasses.astuple(endpoint.terms)), endpoint.name, canonical(prices), str(endpoint.uptime))


def _read_terms(item: JsonObject) -> Terms:
    quantization = optional_text(item.get("quantization"))
    features = {key: plain(item[key]) for key in _FEATURES if item.get(key) is not None}
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
    for name in ("latency_last_30m", "throughput_last_30m"):
        if item.get(name) is not None and not isinstance(item[name], dict):
            drift.add(Drift(f"endpoint.{name}", "not percentiles"))
    return drift
