"""Every shape that the endpoints body has had, read as what it says."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from endpoint_history.parsing.body import read_observation
from models.listing import (
    Drift,
    EndpointKey,
    EndpointListing,
    ModelListing,
    ParsedObservation,
    Performance,
    PriceSet,
    Terms,
    Uptime,
)
from tests.support.factories import MODEL, NOT_FOUND, a_body, a_failed_look, a_gone_look, a_look, an_endpoint

OLDEST = b"""{"data": {"id": "acme/swift-1", "name": "Acme: Swift 1",
 "created": 1741818122.0, "description": "A model.",
 "architecture": {"tokenizer": null, "instruct_type": "chatml", "input_modalities": ["text"],
  "output_modalities": ["text"]},
 "endpoints": [{"name": "North | acme/swift-1", "context_length": 131072.0, "provider_name": "North",
  "pricing": {"request": "0", "image": 0, "prompt": "0.00000015", "completion": 0.0000006},
  "quantization": null, "max_completion_tokens": 8192.0, "max_prompt_tokens": null,
  "supported_parameters": ["temperature"], "status": "default", "uptime_last_30m": null}]}}"""

MAY_2025 = b"""{"data": {"id": "acme/swift-1", "name": "Acme: Swift 1",
 "created": 1746578513, "description": "A model.",
 "architecture": {"tokenizer": "Gemini", "instruct_type": null, "modality": "text+image->text",
  "input_modalities": ["text", "image"], "output_modalities": ["text"]},
 "endpoints": [
  {"name": "North | acme/swift-1", "context_length": 1048576, "pricing": {"prompt": "0.00000125",
   "completion": "0.00001", "request": "0", "image": "0.00516", "web_search": "0", "discount": 0},
   "provider_name": "North", "quantization": null, "max_completion_tokens": 65535, "max_prompt_tokens": null,
   "supported_parameters": ["tools"], "status": 0},
  {"name": "South | acme/swift-1", "context_length": 1048576, "pricing": {"prompt": "0.00000125",
   "completion": "0.00001"}, "provider_name": "South", "quantization": "fp8", "max_completion_tokens": 65535,
   "max_prompt_tokens": null, "supported_parameters": ["tools"], "status": 0}]}}"""

MAY_2026 = b"""{"data": {"id": "acme/swift-1", "name": "Acme: Swift 1",
 "created": 1767225600, "description": "A mod...",
 "architecture": {"tokenizer": "Other", "instruct_type": null, "modality": "text->text", "input_modalities": ["text"],
  "output_modalities": ["text"]},
 "endpoints": [{"name": "North | acme/swift-1-20260101", "model_id": "acme/swift-1", "model_name": "Acme: Swift 1",
  "context_length": 131072, "pricing": {"prompt": "0.00000010000000000000001", "completion": "0.0000004",
   "input_cache_read": "0.00000001", "discount": 0.1}, "provider_name": "North", "tag": "north/fp8",
  "quantization": "fp8", "max_completion_tokens": 8192, "max_prompt_tokens": 120000, "status": -2,
  "supported_parameters": ["tools", "stop"], "uptime_last_30m": 99.53051643192488, "uptime_last_5m": 100,
  "uptime_last_1d": 98.7, "supports_implicit_caching": false,
  "latency_last_30m": {"p50": 365, "p75": 501.5, "p90": 900, "p99": 2816},
  "throughput_last_30m": {"p50": 51, "p75": 66, "p90": 80, "p99": 120.25}}]}}"""


def listing_of(body: bytes, target: str = MODEL) -> ModelListing:
    reading = read_observation(a_look(body=body, target=target))
    assert reading.listing, reading.reason
    return reading.listing


def only(body: bytes) -> EndpointListing:
    (endpoint,) = listing_of(body).endpoints
    return endpoint


def reading_of(*endpoints: Any) -> ParsedObservation:
    return read_observation(a_look(*endpoints))


@pytest.mark.parametrize("body", [OLDEST, MAY_2025, MAY_2026], ids=["oldest", "May 2025", "May 2026"])
def test_a_body_of_any_year_is_read_whole(body: bytes) -> None:
    reading = read_observation(a_look(body=body))
    assert (reading.outcome, reading.complete, reading.unread) == ("ok", True, ())


@pytest.mark.parametrize("body", [MAY_2025, MAY_2026, a_body(an_endpoint())], ids=["May 2025", "May 2026", "factory"])
def test_a_body_of_a_known_shape_shows_no_drift(body: bytes) -> None:
    assert read_observation(a_look(body=body)).drift == frozenset()


def test_the_oldest_shape_is_read_to_plain_values() -> None:
    endpoint = only(OLDEST)
    assert endpoint == EndpointListing(
        key=EndpointKey(MODEL, "provider:North quantization:unknown"),
        name="North | acme/swift-1",
        tag=None,
        prices=PriceSet(prompt=Decimal("0.00000015"), completion=Decimal("0.0000006")),
        terms=Terms("North", 131072, None, 8192, None, ("temperature",)),
        uptime=Uptime(),
    )
    assert isinstance(endpoint.terms.context_length, int)


def test_the_model_of_the_oldest_shape_is_read() -> None:
    listing = listing_of(OLDEST)
    assert listing.created_at == datetime(2025, 3, 12, 22, 22, 2, tzinfo=UTC)
    assert (listing.openrouter_id, listing.name, listing.description) == (MODEL, "Acme: Swift 1", "A model.")
    assert (listing.tokenizer, listing.instruct_type) == (None, "chatml")


def test_endpoints_of_2025_are_told_apart_without_tags() -> None:
    north, south = listing_of(MAY_2025).endpoints
    assert north.key == EndpointKey(MODEL, "provider:North quantization:unknown")
    assert south.key == EndpointKey(MODEL, "provider:South quantization:fp8")
    assert (north.tag, north.uptime, north.performance) == (None, Uptime(status=0), None)
    assert north.prices == PriceSet(Decimal("0.00000125"), Decimal("0.00001"), image=Decimal("0.00516"))


def test_a_body_of_2026_is_read_field_by_field() -> None:
    assert only(MAY_2026) == EndpointListing(
        key=EndpointKey(MODEL, "north/fp8"),
        name="North | acme/swift-1-20260101",
        tag="north/fp8",
        prices=PriceSet(
            prompt=Decimal("0.00000010000000000000001"),
            completion=Decimal("0.0000004"),
            input_cache_read=Decimal("0.00000001"),
            discount=Decimal("0.1"),
        ),
        terms=Terms("North", 131072, "fp8", 8192, 120000, ("stop", "tools"), {"supports_implicit_caching": False}),
        uptime=Uptime(-2, 100.0, 99.53051643192488, 98.7),
        performance=Performance(365, 501.5, 900, 2816, 51, 66, 80, 120.25),
    )


@pytest.mark.parametrize(("status", "read"), [(0, 0), (-5, -5), ("-2", -2), ("0", 0), (None, None), ("default", None)])
def test_a_status_is_a_number_however_it_comes(status: Any, read: int | None) -> None:
    assert only(a_body(an_endpoint(status=status))).uptime.status == read


def test_a_json_number_keeps_all_decimals_of_a_price() -> None:
    body = a_body(an_endpoint(prompt="@")).replace(b'"@"', b"0.00000010000000000000001")
    assert only(body).prices.prompt == Decimal("0.00000010000000000000001")


def test_overrides_are_read_beside_the_base_price() -> None:
    night = {"utc_start": 1630, "utc_end": 30, "prompt": "0.0000005"}
    prices = only(a_body(an_endpoint(pricing={"overrides": [night]}))).prices
    assert (prices.prompt, prices.overrides) == (Decimal("0.000001"), [night])


def test_latency_alone_leaves_the_throughput_unknown() -> None:
    body = a_body(an_endpoint(latency_last_30m={"p50": 365}))
    assert only(body).performance == Performance(latency_p50_ms=365)


def test_a_model_without_endpoints_is_ok_and_complete() -> None:
    reading = reading_of()
    assert (reading.outcome, reading.complete, reading.drift) == ("ok", True, frozenset())
    assert reading.listing is not None
    assert reading.listing.endpoints == ()


@pytest.mark.parametrize("said", [{"quantization": None}, {"quantization": "unknown"}, {"quantization": ""}])
@pytest.mark.parametrize("tag", ["north", None])
def test_an_unknown_quantization_is_one_fact_however_said(said: dict[str, Any], tag: str | None) -> None:
    without = an_endpoint(tag)
    del without["quantization"]
    assert only(a_body(an_endpoint(tag, **said))) == only(a_body(without))


def test_the_order_of_supported_parameters_means_nothing() -> None:
    orders = itertools.permutations(["tools", "stop", "seed"])
    listings = [only(a_body(an_endpoint(supported_parameters=list(order)))) for order in orders]
    assert all(listing == listings[0] for listing in listings)
    assert listings[0].terms.supported_parameters == ("seed", "stop", "tools")


TWINS = [
    an_endpoint(context_length=32768, prompt="0.000003"),
    an_endpoint(context_length=131072, prompt="0.000002"),
    an_endpoint(supported_parameters=["stop"], prompt="0.000001"),
    an_endpoint("south", prompt="0.000004"),
]


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_twins_keep_their_keys_in_any_array_order(order: tuple[int, ...]) -> None:
    assert listing_of(a_body(*(TWINS[at] for at in order))).endpoints == listing_of(a_body(*TWINS)).endpoints


def test_twins_are_numbered_within_their_tag_alone() -> None:
    keys = [endpoint.key for endpoint in listing_of(a_body(*TWINS)).endpoints]
    assert keys == [EndpointKey(MODEL, "north/fp8", at) for at in range(3)] + [EndpointKey(MODEL, "south", 0)]


def test_a_price_change_does_not_renumber_twins() -> None:
    def context_lengths(*prices: str) -> list[int | None]:
        twins = (an_endpoint(prompt=price, context_length=at) for at, price in enumerate(prices))
        return [endpoint.terms.context_length for endpoint in listing_of(a_body(*twins)).endpoints]

    assert context_lengths("0.1", "0.2") == context_lengths("0.2", "0.1") == [0, 1]


def test_twins_alike_in_terms_are_numbered_by_price() -> None:
    cheap, dear = an_endpoint(prompt="0.1"), an_endpoint(prompt="0.2")
    assert listing_of(a_body(cheap, dear)) == listing_of(a_body(dear, cheap))


@pytest.mark.parametrize("tag", [None, "a\0"])
def test_twins_of_a_bad_endpoint_are_unread_whatever_names_them(tag: str | None) -> None:
    body = a_body(an_endpoint(tag=tag), an_endpoint(tag=tag, prompt="x"), an_endpoint(tag=tag, provider_name="South"))
    others = 1 if tag is None else 0
    assert len(read_observation(a_look(body=body)).unread) == 3 - others


def test_another_spelling_of_a_price_does_not_renumber_twins() -> None:
    def numbered(*prices: str) -> list[str]:
        twins = (an_endpoint(prompt=price, uptime_last_1d=at) for at, price in enumerate(prices))
        return [str(endpoint.uptime.uptime_1d_pct) for endpoint in listing_of(a_body(*twins)).endpoints]

    assert numbered("0.1", "0.15") == numbered("1E-1", "0.15")


def test_the_same_tag_under_two_variants_makes_no_twins() -> None:
    free = an_endpoint(model_id=f"{MODEL}:free")
    keys = [endpoint.key for endpoint in listing_of(a_body(an_endpoint(), free)).endpoints]
    assert keys == [EndpointKey(MODEL, "north/fp8"), EndpointKey(f"{MODEL}:free", "north/fp8")]


def test_the_body_says_which_model_an_alias_is() -> None:
    assert listing_of(a_body(an_endpoint()), target="acme/swift-1-20260101").openrouter_id == MODEL


@pytest.mark.parametrize(
    ("model", "endpoints", "resolved"),
    [
        (f"{MODEL}:free", [an_endpoint(model_id=f"{MODEL}:free")], f"{MODEL}:free"),
        (MODEL, [an_endpoint(model_id=f"{MODEL}:free")], f"{MODEL}:free"),
        (MODEL, [], f"{MODEL}:free"),
        (f"{MODEL}:free", [], f"{MODEL}:free"),
        (MODEL, [an_endpoint()], MODEL),
        (MODEL, [an_endpoint(), an_endpoint(model_id=f"{MODEL}:free")], MODEL),
        (MODEL, [an_endpoint(model_id="acme/other:free")], MODEL),
    ],
)
def test_a_free_variant_does_not_speak_for_its_model(model: str, endpoints: list[Any], resolved: str) -> None:
    assert listing_of(a_body(*endpoints, model=model), target=f"{MODEL}:free").openrouter_id == resolved


@pytest.mark.parametrize("created", [None, 0, -1, "2025", True, 1e300, 4_102_444_800, []])
def test_a_creation_time_that_makes_no_sense_is_none(created: Any) -> None:
    assert listing_of(a_body(an_endpoint(), created=created)).created_at is None


def test_the_404_of_the_api_means_gone() -> None:
    reading = read_observation(a_gone_look())
    assert (reading.outcome, reading.complete, reading.listing, reading.reason) == ("gone", True, None, None)


ERROR = {"error": {"code": 502, "message": "Bad upstream"}}


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (404, b"<!DOCTYPE html><h1>Not found</h1>", "HTTP 404: a web page, not JSON"),
        (404, b"", "HTTP 404: empty"),
        (404, b'{"error": "not found"}', "HTTP 404: not the API's own 404: not found"),
        (404, b'{"error": {"message": "not found"}}', "HTTP 404: not the API's own 404: not found"),
        (404, a_body(an_endpoint()), "HTTP 404: not the API's own 404: no error message"),
        (200, NOT_FOUND, "an error body under HTTP 200: Model not found"),
        (200, b'{"error": {"code": 500}}', "an error body under HTTP 200: no message"),
        (500, json.dumps(ERROR).encode(), "HTTP 500: Bad upstream"),
        (503, b"upstream connect error", "HTTP 503: not JSON: a text that begins with 'upstream connect error'"),
        (429, b"{}", "HTTP 429: no error message"),
        (500, a_body(an_endpoint()), "HTTP 500: no error message"),
        (403, NOT_FOUND, "HTTP 403: Model not found"),
        (None, None, "empty"),
    ],
)
def test_any_other_answer_is_failed_and_says_why(status: int | None, body: bytes | None, reason: str) -> None:
    reading = read_observation(a_look(status=status, body=body))
    assert (reading.outcome, reading.reason, reading.listing, reading.complete) == ("failed", reason, None, False)


@pytest.mark.parametrize("body", [a_body(an_endpoint()), NOT_FOUND, None])
@pytest.mark.parametrize("status", [200, 404, None])
def test_an_observation_with_an_error_is_failed_whatever_its_body(status: int | None, body: bytes | None) -> None:
    reading = read_observation(a_look(status=status, body=body, error="connection lost"))
    assert reading == ParsedObservation("failed", reason="connection lost")


def test_a_look_without_answer_is_failed() -> None:
    assert read_observation(a_failed_look()) == ParsedObservation("failed", reason="connection refused")


BAD = [
    ("a string", "not an object"),
    (an_endpoint("bad", prompt="free"), "prompt is not a number: 'free'"),
    (an_endpoint("bad", provider_name=None), "provider_name is missing or not text"),
    (an_endpoint("bad", pricing={"request": "free"}), "request is not a number: 'free'"),
    (an_endpoint("bad", pricing={"overrides": "none"}), "overrides is not a list of objects"),
    (an_endpoint(None, quantization=8), "there is no tag, and quantization is not text"),
    (an_endpoint(""), "tag is missing or not text"),
    (an_endpoint("t" * 201), "tag is longer than 200 characters"),
    (an_endpoint("bad", model_id=7), "model_id is missing or not text"),
]


@pytest.mark.parametrize(("bad", "reason"), BAD, ids=[reason for _, reason in BAD])
def test_one_bad_endpoint_costs_that_endpoint_alone(bad: Any, reason: str) -> None:
    reading = reading_of(an_endpoint("north"), bad, an_endpoint("south"))
    assert reading.listing is not None
    assert [endpoint.tag for endpoint in reading.listing.endpoints] == ["north", "south"]
    assert [(unread.position, unread.reason) for unread in reading.unread] == [(1, reason)]
    assert (reading.outcome, reading.complete) == ("ok", False)


@pytest.mark.parametrize("model_id", [MODEL, None])
def test_twins_of_a_bad_endpoint_are_unread_too(model_id: str | None) -> None:
    bad = an_endpoint("north", prompt="free", model_id=model_id)
    reading = reading_of(an_endpoint("south"), an_endpoint("north"), bad, an_endpoint("north", context_length=1))
    assert reading.listing is not None
    assert [endpoint.tag for endpoint in reading.listing.endpoints] == ["south"]
    assert sorted(unread.position for unread in reading.unread) == [1, 2, 3]


def test_the_tag_of_a_bad_variant_costs_that_variant_only() -> None:
    reading = reading_of(an_endpoint("north"), an_endpoint("north", prompt="free", model_id=f"{MODEL}:free"))
    assert [unread.position for unread in reading.unread] == [1]


@pytest.mark.parametrize(
    ("body", "drift"),
    [
        (a_body(an_endpoint(carbon=1)), Drift("endpoint.carbon")),
        (a_body(an_endpoint(pricing={"video": "1"})), Drift("endpoint.pricing.video")),
        (a_body(an_endpoint(pricing={"overrides": [{"eu": 1}]})), Drift("endpoint.pricing.overrides.eu")),
        (a_body(an_endpoint(), stars=5), Drift("data.stars")),
        (a_body(an_endpoint(), architecture={"layers": 3}), Drift("data.architecture.layers")),
        (
            a_body(an_endpoint(), architecture={"input_modalities": ["text", "smell"]}),
            Drift("data.architecture.modalities", "smell"),
        ),
        (a_body(an_endpoint(quantization="int2")), Drift("endpoint.quantization", "int2")),
        (a_body(an_endpoint(status=-7)), Drift("endpoint.status", "-7")),
        (a_body(an_endpoint(status="default")), Drift("endpoint.status", "default")),
        (a_body(an_endpoint(latency_last_30m=365)), Drift("endpoint.latency_last_30m", "not percentiles")),
    ],
)
def test_what_is_new_is_drift_and_costs_nothing(body: bytes, drift: Drift) -> None:
    reading = read_observation(a_look(body=body))
    assert (reading.complete, reading.drift) == (True, frozenset({drift}))


def test_new_enum_values_are_kept_as_they_came() -> None:
    body = a_body(an_endpoint(quantization="int2", status=-7), architecture={"output_modalities": ["smell"]})
    endpoint = only(body)
    assert (endpoint.terms.quantization, endpoint.uptime.status) == ("int2", -7)
    assert listing_of(body).output_modalities == ("smell",)


def test_known_flags_are_kept_among_the_features() -> None:
    flags: dict[str, Any] = {"supports_tool_choice": {"auto": True}, "native_tools": [], "service_tier": "flex"}
    assert only(a_body(an_endpoint(**flags))).terms.features == flags
