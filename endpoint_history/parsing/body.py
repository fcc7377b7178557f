"""Read what one observation brought. Pure: bytes in, values out; it never raises for what a server may send.

Every shape that the endpoints API has had is read: the oldest documented one (no tag, no `model_id`, numbers as
doubles), the bodies of 2025 and of 2026. What is not known is kept as drift; an endpoint that can't be read costs that
endpoint.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from endpoint_history.io.other_bodies import MAX_MESSAGE, error_text, other_json
from endpoint_history.io.strict_json import NotJsonError, load_json
from endpoint_history.parsing.answer_date import clock_trouble
from endpoint_history.parsing.endpoint import ReadEndpoint, read_endpoint, with_ordinals
from endpoint_history.parsing.fields import (
    MAX_NAME,
    MAX_PROSE,
    UnreadableFieldError,
    checked_text,
    in_words,
    optional_text,
    text_list,
    unknown_key,
)
from endpoint_history.text import one_line
from models.listing import Drift, EndpointListing, ModelListing, ParsedObservation, Unread
from models.observation import Observation, Target

_OK, _NOT_FOUND = 200, 404
_MODEL_KEYS = {"id", "name", "created", "description", "architecture", "endpoints"}
_ARCHITECTURE_KEYS = {"tokenizer", "instruct_type", "modality", "input_modalities", "output_modalities"}
_MODALITIES = {"text", "image", "file", "audio", "video", "embeddings", "rerank", "speech", "transcription"}
_MAX_DRIFT = 100  # of one body; a hostile one could hold thousands of keys
_MAX_ENDPOINTS = 2000  # the most that were seen is 19
_LATEST_CREATED = 4_102_444_800  # the year 2100


def read_observation(observation: Observation) -> ParsedObservation:
    """Judge one observation: `ok` with a listing, `gone` by the API's own 404, or `failed` with the reason."""
    if observation.error:
        return ParsedObservation("failed", reason=observation.error)
    if trouble := clock_trouble(observation):
        return ParsedObservation("failed", reason=trouble)
    try:
        body = load_json(observation.body or b"")
    except NotJsonError as error:
        return ParsedObservation("failed", reason=_with_status(observation.status, str(error)))
    if observation.status == _OK:
        return _read_listing(body, observation.target)
    if observation.status == _NOT_FOUND and _error_message(body) is not None:
        return ParsedObservation("gone")
    return ParsedObservation("failed", reason=_with_status(observation.status, _why_refused(body, observation.status)))


def _with_status(status: int | None, reason: str) -> str:
    return reason if status in {_OK, None} else f"HTTP {status}: {reason}"


def _error_message(body: Any) -> str | None:
    """The message of the API's own error body; None for any other body."""
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict) or "code" not in error:
        return None
    return one_line(str(error.get("message") or "no message"), MAX_MESSAGE)


def _why_refused(body: Any, status: int | None) -> str:
    if (message := _error_message(body)) is not None:
        return message
    said = error_text(body) or "no error message"
    return f"not the API's own 404: {said}" if status == _NOT_FOUND else said


def _read_listing(body: Any, target: Target) -> ParsedObservation:
    message = _error_message(body)
    if message is not None:
        return ParsedObservation("failed", reason=f"an error body under HTTP 200: {message}")
    data = body.get("data") if isinstance(body, dict) else None
    if not isinstance(data, dict) or not isinstance(data.get("endpoints"), list):
        return ParsedObservation("failed", reason=other_json(body))
    try:
        return _read_model(data, target)
    except UnreadableFieldError as error:
        return ParsedObservation("failed", reason=f"wrong shape: {error}")


def _read_model(data: dict[str, Any], target: Target) -> ParsedObservation:
    model_id = checked_text(data.get("id"), "data.id")
    endpoints, unread, drift = _read_endpoints(data["endpoints"], model_id)
    given = data.get("architecture")
    architecture: dict[str, Any] = given if isinstance(given, dict) else {}
    if not isinstance(given, dict | None):
        drift.add(Drift("data.architecture", in_words(given)))

    def text(name: str) -> str | None:
        return optional_text(architecture.get(name), f"data.architecture.{name}", drift)

    def texts(name: str) -> tuple[str, ...]:
        return text_list(architecture.get(name), f"data.architecture.{name}", drift)

    listing = ModelListing(
        openrouter_id=_resolved_id(model_id, endpoints, target, empty=not data["endpoints"]),
        name=optional_text(data.get("name"), "data.name", drift, MAX_NAME) or model_id,
        created_at=_read_created(data.get("created"), drift),
        description=optional_text(data.get("description"), "data.description", drift, MAX_PROSE) or "",
        input_modalities=texts("input_modalities"),
        output_modalities=texts("output_modalities"),
        tokenizer=text("tokenizer"),
        instruct_type=text("instruct_type"),
        endpoints=with_ordinals(endpoints),
    )
    drift |= _model_drift(data, architecture, listing)
    return ParsedObservation("ok", listing, unread=unread, drift=frozenset(sorted(drift, key=str)[:_MAX_DRIFT]))


def _read_endpoints(items: list[Any], model_id: str) -> tuple[list[EndpointListing], tuple[Unread, ...], set[Drift]]:
    if len(items) > _MAX_ENDPOINTS:
        raise UnreadableFieldError(f"data.endpoints has {len(items)} items, more than {_MAX_ENDPOINTS}")
    read: dict[int, ReadEndpoint] = {}
    unread: list[Unread] = []
    drift: set[Drift] = set()
    for position, item in enumerate(items):
        try:
            read[position] = read_endpoint(item, model_id)
            drift |= read[position].drift
        except UnreadableFieldError as error:
            unread.append(Unread(position, str(error)))
    unread += _twins_without_terms(read)
    listings = {position: endpoint.listing for position, endpoint in read.items()}
    for item in unread:
        listings.pop(item.position, None)
    if unread:
        for position in _unnumberable(listings, [items[bad.position] for bad in unread], model_id):
            del listings[position]
            unread.append(Unread(position, "shares its tag with an endpoint that can't be read"))
    return list(listings.values()), tuple(unread), drift


def _twins_without_terms(read: dict[int, ReadEndpoint]) -> list[Unread]:
    """Endpoints that share their key, of which one has malformed terms: terms tell twins apart."""
    doubtful = {position: endpoint for position, endpoint in read.items() if endpoint.lacks}
    counts = Counter(endpoint.listing.key for endpoint in read.values()) if doubtful else Counter()
    return [
        Unread(position, f"shares its tag with another endpoint, and can't be told apart by {endpoint.lacks}")
        for position, endpoint in doubtful.items()
        if counts[endpoint.listing.key] > 1
    ]


def _unnumberable(read: dict[int, EndpointListing], bad: list[Any], model_id: str) -> list[int]:
    """Where endpoints stand whose ordinal can't be told, because one that shares their tag can't be read.

    In bodies from before tags that is one of the same provider.
    """
    doubtful = {names for item in bad if isinstance(item, dict) and (names := _names(item, model_id))}
    return [at for at, e in read.items() if (e.key.variant, e.tag, e.tag or e.terms.provider_name) in doubtful]


def _names(item: dict[str, Any], model_id: str) -> tuple[str, str | None, str] | None:
    try:
        variant = checked_text(item.get("model_id") or model_id, "model_id")
        tag = None if item.get("tag") is None else checked_text(item["tag"], "tag")
        return variant, tag, tag or checked_text(item.get("provider_name"), "provider_name")
    except UnreadableFieldError:
        return None


def _resolved_id(model_id: str, endpoints: list[EndpointListing], target: Target, *, empty: bool) -> str:
    """The id this body speaks for.

    A variant (`:free`) that is asked for has offers of its own, so where `data.id` leaves the suffix out the body must
    not speak for the model without it.
    """
    suffix = target.slug.partition(":")[2]
    variant = f"{model_id}:{suffix}"
    alone = empty or {endpoint.key.variant for endpoint in endpoints} == {variant}
    return variant if suffix and alone and ":" not in model_id else model_id


def _read_created(value: Any, drift: set[Drift]) -> datetime | None:
    """Unix seconds, an integer or (in the oldest bodies) a double."""
    if value is None:
        return None
    if isinstance(value, int | Decimal) and not isinstance(value, bool) and 1 <= value < _LATEST_CREATED:
        return datetime.fromtimestamp(int(value), UTC)
    drift.add(Drift("data.created", in_words(value)))
    return None


def _model_drift(data: dict[str, Any], architecture: dict[str, Any], listing: ModelListing) -> set[Drift]:
    drift = {unknown_key("data", key) for key in data.keys() - _MODEL_KEYS}
    drift |= {unknown_key("data.architecture", key) for key in architecture.keys() - _ARCHITECTURE_KEYS}
    modalities = {*listing.input_modalities, *listing.output_modalities}
    return drift | {Drift("data.architecture.modalities", value) for value in modalities - _MODALITIES}
