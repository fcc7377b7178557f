"""What a hostile or broken server may send: never an exception, never a half-understood price."""

from __future__ import annotations

import json
from dataclasses import astuple
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from endpoint_history.parsing.body import read_observation
from models.listing import Drift, ParsedObservation
from tests.support.factories import a_body, a_look, an_endpoint

MODEL_FIELDS = ["id", "name", "created", "description", "architecture", "endpoints", "unheard_of"]
ARCHITECTURE_FIELDS = ["input_modalities", "output_modalities", "tokenizer", "instruct_type", "modality", "unheard_of"]
ENDPOINT_FIELDS = [*an_endpoint(), "native_tools", "service_tier", "supports_tool_choice", "unheard_of"]
PRICING_FIELDS = ["prompt", "completion", "request", "input_cache_read", "discount", "overrides", "unheard_of"]
PERCENTILE_FIELDS = [f"{name}_last_30m.{share}" for name in ("latency", "throughput") for share in ("p50", "p99")]
ENDPOINT_PLACES = [
    *(f"endpoint.{field}" for field in ENDPOINT_FIELDS + PERCENTILE_FIELDS),
    *(f"endpoint.pricing.{field}" for field in PRICING_FIELDS),
    *(f"endpoint.pricing.overrides.{field}" for field in [*PRICING_FIELDS, "utc_start", "utc_days"]),
]
PLACES = [
    *(f"data.{field}" for field in MODEL_FIELDS),
    *(f"data.architecture.{field}" for field in ARCHITECTURE_FIELDS),
    *ENDPOINT_PLACES,
]
UNSTORABLE = "a\0b\ud800c"
STORABLE = "a\ufffdb\ufffdc"


def read(body: bytes, status: int | None = 200) -> ParsedObservation:
    return read_observation(a_look(body=body, status=status))


def planted(place: str, raw: bytes | str) -> bytes:
    """A good body of two endpoints with this JSON text at one place of the model or of the second endpoint."""
    override: dict[str, Any] = {}
    second = an_endpoint("south", pricing={"overrides": [override]}, latency_last_30m={}, throughput_last_30m={})
    data: dict[str, Any] = {"architecture": {}, "endpoints": [an_endpoint("north"), second]}
    roots = {"data": data, "endpoint": second}
    *parents, name = place.split(".")
    at: Any = roots[parents[0]]
    for key in parents[1:]:
        at = override if key == "overrides" else at[key]
    at[name] = "@planted@"
    body = a_body(**data)
    return body.replace(b'"@planted@"', raw.encode("utf-8", "surrogatepass") if isinstance(raw, str) else raw)


@pytest.mark.parametrize("status", ["--5", "-", "5-", "\u0665", "1234", "99999999"])
def test_a_status_that_is_no_number_is_drift(status: str) -> None:
    reading = read(planted("endpoint.status", json.dumps(status)))
    assert reading.outcome == "ok"
    assert Drift("endpoint.status", status) in reading.drift


@pytest.mark.parametrize("place", ["endpoint.pricing.video", "endpoint.native_tools", "endpoint.pricing.overrides.x"])
@pytest.mark.parametrize("depth", [60, 600, 900, 2000])
def test_a_value_nested_too_deeply_fails_the_body(place: str, depth: int) -> None:
    assert read(planted(place, "[" * depth + "]" * depth)).reason == "nested too deeply"


@pytest.mark.parametrize("place", ["data", "data.architecture", "endpoint", "endpoint.pricing"])
def test_an_unknown_key_is_kept_short_and_storable(place: str) -> None:
    reading = read(planted(f"{place}.a\0b\ud800c{'x' * 5000}", "1"))
    (path,) = (item.path for item in reading.drift)
    assert path == f"{place}.{STORABLE}{'x' * 95}"


def test_many_keys_of_which_one_stands_twice_are_refused_at_once() -> None:
    keys = ",".join(f'"{number}":1' for number in [*range(200_000), 199_999])
    assert read(b'{"data":{%s}}' % keys.encode()).reason == "the key '199999' stands twice in one object"


def test_a_long_key_that_stands_twice_is_told_in_short() -> None:
    key = "k" * 100_000
    assert len(read(f'{{"{key}":1,"{key}":2}}'.encode()).reason or "") < 150


@given(st.binary(), st.sampled_from([200, 404, 500, None]))
def test_arbitrary_bytes_are_failed_and_never_raise(body: bytes, status: int | None) -> None:
    reading = read(body, status)
    assert (reading.outcome, bool(reading.reason), reading.listing) == ("failed", True, None)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
JSON_NUMBERS = (
    st.from_regex(r"-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,40})?([eE][-+]?[0-9]{1,25})?", fullmatch=True)
    | st.integers(900, 6000).map(lambda digits: "9" * digits)
    | st.sampled_from(["NaN", "Infinity", "-Infinity"])
)
JSON_TEXTS = JSON_VALUES.map(json.dumps) | JSON_NUMBERS | JSON_NUMBERS.map(json.dumps)


def assert_coherent(reading: ParsedObservation) -> None:
    assert reading.outcome in {"ok", "gone", "failed"}
    assert (reading.listing is not None) == (reading.outcome == "ok")
    assert bool(reading.reason) == (reading.outcome == "failed")


@given(st.sampled_from(PLACES), JSON_TEXTS)
def test_any_value_at_any_field_gives_an_outcome(place: str, raw: str) -> None:
    assert_coherent(read(planted(place, raw)))


@given(st.sampled_from(ENDPOINT_PLACES), JSON_TEXTS)
def test_a_bad_field_of_an_endpoint_spares_its_neighbour(place: str, raw: str) -> None:
    reading = read(planted(place, raw))
    assert reading.listing is not None
    assert "north" in {endpoint.tag for endpoint in reading.listing.endpoints}
    assert len(reading.listing.endpoints) + len(reading.unread) == 2


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "value",
    [None, True, -1, 0.5, 10**4000, "", "x" * 5000, [], [[]], {}, {"": None}],
    ids=lambda value: repr(value)[:12],
)
def test_a_wrong_type_at_any_field_gives_an_outcome(place: str, value: Any) -> None:
    assert_coherent(read(planted(place, json.dumps(value))))


@given(st.sampled_from(PLACES), JSON_TEXTS)
def test_what_is_read_of_any_value_fits_the_columns(place: str, raw: str) -> None:
    listing = read(planted(place, raw)).listing
    for endpoint in listing.endpoints if listing else ():
        limits = (endpoint.terms.context_length, endpoint.terms.max_completion_tokens, endpoint.terms.max_prompt_tokens)
        assert all(limit is None or 0 <= limit <= 10**15 for limit in limits)
        numbers = [
            *(astuple(endpoint.uptime)[1:]),
            *(astuple(endpoint.performance) if endpoint.performance else ()),
        ]
        assert all(number is None or number == 0 or 1e-9 <= number <= 1e15 for number in numbers)
        assert endpoint.uptime.status is None or -999 <= endpoint.uptime.status <= 999
        json.dumps([endpoint.prices.overrides, endpoint.prices.other, endpoint.terms.features], allow_nan=False)


@pytest.mark.parametrize("place", ["data.created", "endpoint.uptime_last_30m", "endpoint.unheard_of"])
@pytest.mark.parametrize("raw", ["NaN", "-Infinity", "9" * 10_000, "1e99999999999999999999", "1e-99999999999999999999"])
def test_a_number_that_nothing_holds_costs_its_field_alone(place: str, raw: str) -> None:
    reading = read(planted(place, raw))
    assert (reading.complete, {item.path for item in reading.drift}) == (True, {place})


@pytest.mark.parametrize("raw", ["NaN", "-Infinity", "9" * 10_000, "1e99999999999999999999"])
def test_a_price_that_no_number_holds_costs_its_endpoint(raw: str) -> None:
    reading = read(planted("endpoint.pricing.prompt", raw))
    assert [item.reason for item in reading.unread] == ["prompt is not a number"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"{", "not JSON: "),
        (b"not json", "not JSON: "),
        (a_body(an_endpoint())[:-5], "not JSON: "),
        (a_body(an_endpoint()) * 2, "not JSON: Extra data"),
        (b"<!DOCTYPE html><html></html>", "a web page, not JSON"),
        (b"\n  <html>", "a web page, not JSON"),
        (
            a_body(an_endpoint()).decode().encode("utf-16"),
            "UTF-16 text, expected UTF-8: convert it with iconv -f utf-16",
        ),
        (b"\x1f\x8b\x08", "gzip-compressed bytes: decompress them first"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"data":' * 100_000, "nested too deeply"),
        (b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
        (b"null", "not an endpoints body"),
        (b"7", "not an endpoints body"),
        (b'"data"', "not an endpoints body"),
        (b"[]", "not an endpoints body"),
        (b"{}", "not an endpoints body"),
        (b'{"data": null}', "not an endpoints body"),
        (b'{"data": {}}', "not an endpoints body"),
        (b'{"data": {"id": "acme/swift-1", "endpoints": {}}}', "not an endpoints body"),
        (b'{"data": {"endpoints": []}}', "wrong shape: data.id is missing"),
        (b'{"data": [{"id": "acme/swift-1", "canonical_slug": "acme/swift-1-20260101"}]}', "a list of models"),
    ],
)
def test_a_body_that_lists_no_endpoints_says_why(body: bytes, reason: str) -> None:
    reading = read(body)
    assert reading.outcome == "failed"
    assert (reading.reason or "").startswith(reason)


@pytest.mark.parametrize("place", ["data.name", "endpoint.pricing.prompt", "endpoint.unheard_of"])
@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b'{"a": 1, "a": 1}', "the key 'a' stands twice in one object"),
        (b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
        (b'"\xff\xfe"', "not UTF-8 at byte "),
        (b'"\xed\xa0\x80"', "not UTF-8 at byte "),
    ],
    ids=["duplicate key", "deep", "bytes", "raw surrogate"],
)
def test_ambiguous_json_anywhere_fails_the_whole_body(place: str, raw: bytes, reason: str) -> None:
    reading = read(planted(place, raw))
    assert reading.outcome == "failed"
    assert (reading.reason or "").startswith(reason)


def test_a_price_given_twice_is_never_chosen_between() -> None:
    body = a_body(an_endpoint()).replace(b'"prompt": "0.000001"', b'"prompt": "0.000001", "prompt": "0.000002"')
    assert read(body) == ParsedObservation("failed", reason="the key 'prompt' stands twice in one object")


def test_a_byte_order_mark_before_the_body_is_harmless() -> None:
    body = a_body(an_endpoint())
    assert read(b"\xef\xbb\xbf" + body) == read(body)


@pytest.mark.parametrize("field", ["name", "description"])
def test_a_model_text_loses_what_no_database_stores(field: str) -> None:
    listing = read(planted(f"data.{field}", json.dumps(UNSTORABLE))).listing
    assert listing is not None
    assert getattr(listing, field) == STORABLE


@pytest.mark.parametrize("place", ["name", "tag", "model_id", "provider_name", "quantization", "status"])
def test_an_endpoint_text_loses_what_no_database_stores(place: str) -> None:
    text = repr(read(planted(f"endpoint.{place}", json.dumps(UNSTORABLE))))
    assert "\\x00" not in text
    assert "\\ud800" not in text


def test_an_unknown_endpoint_key_is_named_in_storable_text() -> None:
    assert read(a_body(an_endpoint() | {UNSTORABLE: 1})).drift == {Drift(f"endpoint.{STORABLE}")}


def test_names_of_an_endpoint_keep_their_other_characters() -> None:
    listing = read(a_body(an_endpoint(UNSTORABLE, name=UNSTORABLE, provider_name=UNSTORABLE))).listing
    assert listing is not None
    (endpoint,) = listing.endpoints
    assert (endpoint.tag, endpoint.name, endpoint.terms.provider_name) == (STORABLE, STORABLE, STORABLE)


@pytest.mark.parametrize("where", ["features", "other", "overrides"])
def test_kept_json_loses_what_no_database_stores(where: str) -> None:
    junk = {UNSTORABLE: [UNSTORABLE]}
    item = an_endpoint(native_tools=junk, pricing={"video": junk, "overrides": [junk]})
    listing = read(a_body(item)).listing
    assert listing is not None
    (endpoint,) = listing.endpoints
    kept = {
        "features": (endpoint.terms.features or {})["native_tools"],
        "other": (endpoint.prices.other or {})["video"],
        "overrides": (endpoint.prices.overrides or [])[0],
    }
    assert kept[where] == {STORABLE: [STORABLE]}


def test_an_error_message_is_cut_and_storable() -> None:
    reading = read(json.dumps({"error": {"code": 500, "message": UNSTORABLE + "x" * 5000}}).encode(), status=500)
    assert (reading.reason or "").startswith(f"HTTP 500: {STORABLE}xxx")
    assert len(reading.reason or "") <= 250


def test_a_flood_of_unknown_keys_is_cut_to_some_drift() -> None:
    reading = read(a_body(an_endpoint() | {f"key_{at}": at for at in range(5000)}))
    assert (reading.complete, len(reading.drift)) == (True, 100)
