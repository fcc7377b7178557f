"""One factory for each noun: a test names what it is about and nothing else."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from models.observation import Observation, Run, Target

MORNING = datetime(2026, 5, 16, 9, 0, tzinfo=UTC)
RUN = Run("20260516T090000Z-collect-abc123", "collect", "live", 1800)
MODEL = "acme/swift-1"


def at(minutes: float) -> datetime:
    """So many minutes after MORNING."""
    return MORNING + timedelta(minutes=minutes)


def an_endpoint(tag: str | None = "north/fp8", prompt: Any = "0.000001", **fields: Any) -> dict[str, Any]:
    """One item of `data.endpoints` as the API sends it; `pricing` adds to its prompt and completion prices."""
    pricing = {"prompt": prompt, "completion": "0.000002", **fields.pop("pricing", {})}
    item: dict[str, Any] = {
        "name": "North | acme/swift-1-20260101",
        "model_id": MODEL,
        "provider_name": "North",
        "context_length": 131072,
        "pricing": pricing,
        "quantization": "fp8",
        "max_completion_tokens": None,
        "max_prompt_tokens": None,
        "supported_parameters": ["tools", "temperature"],
        "status": 0,
        "uptime_last_5m": 100,
        "uptime_last_30m": 99.5,
        "uptime_last_1d": None,
        "latency_last_30m": None,
        "throughput_last_30m": None,
    }
    if tag is not None:
        item["tag"] = tag
    return item | fields


def a_body(*endpoints: Any, model: str = MODEL, **fields: Any) -> bytes:
    """A whole body; a model without endpoints where none is given."""
    data = {
        "id": model,
        "name": "Acme: Swift 1",
        "created": 1_767_225_600,
        "description": "A model.",
        "architecture": {"input_modalities": ["text"], "output_modalities": ["text"], "tokenizer": "Other"},
        "endpoints": list(endpoints),
    }
    return json.dumps({"data": data | fields}).encode()


NOT_FOUND = json.dumps({"error": {"code": 404, "message": "Model not found"}}).encode()


def a_look(*endpoints: Any, minute: float = 0, target: str = MODEL, **fields: Any) -> Observation:
    """An observation that lists these endpoints, or has the `body`, `status` or `error` that is given."""
    model = fields.pop("model", MODEL)
    given: dict[str, Any] = {
        "run": RUN,
        "target": Target.parse(target),
        "observed_at": at(minute),
        "status": 200,
        "elapsed_ms": 120,
    }
    if "body" not in fields:
        given["body"] = a_body(*endpoints, model=model)
    return Observation(**given | fields)


def a_gone_look(minute: float = 0, target: str = MODEL, **fields: Any) -> Observation:
    """The API's own 404."""
    return a_look(minute=minute, target=target, status=404, body=NOT_FOUND, **fields)


def a_failed_look(
    minute: float = 0, target: str = MODEL, error: str = "connection refused", **fields: Any
) -> Observation:
    """No answer."""
    return a_look(minute=minute, target=target, status=None, body=None, error=error, **fields)
