"""Fields that are not as upstream documents them: the price is read all the same, and the drift says what came."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from endpoint_history.parsing.body import read_observation
from models.listing import Drift, EndpointListing, ParsedObservation, Uptime
from tests.support.factories import a_body, a_look, an_endpoint

PERCENTS = [f"uptime_last_{window}" for window in ("5m", "30m", "1d")]
LIMITS = ["context_length", "max_completion_tokens", "max_prompt_tokens"]


def read(raw: str, field: str, **others: Any) -> tuple[EndpointListing, ParsedObservation]:
    """An endpoint with this JSON text as one of its fields, beside another endpoint, and the whole reading."""
    body = a_body(an_endpoint("south"), an_endpoint(**others | {field: "@raw@"}))
    reading = read_observation(a_look(body=body.replace(b'"@raw@"', raw.encode())))
    assert reading.listing, reading.reason
    (endpoint,) = (each for each in reading.listing.endpoints if each.tag == "north/fp8")
    return endpoint, reading


def without_drift(field: str, value: Any) -> EndpointListing:
    endpoint, reading = read(json.dumps(value), field)
    assert (reading.complete, reading.drift) == (True, frozenset())
    return endpoint


@pytest.mark.parametrize("field", PERCENTS)
@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ("100.00000000000001", "more than 100"),
        ("250", "more than 100"),
        ("-0.5", "negative"),
        ("1e-300", "between 0 and 1e-09"),
        ("1e300", "more than 100"),
        ("1e99999999", "more than 100"),
        ("-1e99999999", "negative"),
        ("1" * 5000, "not a number"),
        ("1" * 500, "more than 100"),
        ("-" + "1" * 500, "negative"),
        ("1e99999999999999999999", "not a number"),
        ("NaN", "not a number"),
        ("Infinity", "not a number"),
        ('"99.5"', "a number as text"),
        ('"99.5%"', "a number as text"),
        ('"n/a"', "n/a"),
        ('""', "empty text"),
        ("true", "true"),
        ("[99.5]", "a list"),
        ('{"p50": 99.5}', "an object"),
    ],
)
def test_an_unusual_uptime_is_none_and_drift_beside_its_price(field: str, raw: str, words: str) -> None:
    endpoint, reading = read(raw, field)
    assert (reading.complete, endpoint.prices.prompt) == (True, without_drift("name", "x").prices.prompt)
    assert getattr(endpoint.uptime, f"uptime_{field.removeprefix('uptime_last_')}_pct") is None
    assert reading.drift == {Drift(f"endpoint.{field}", words)}


@pytest.mark.parametrize(
    ("raw", "percent"), [("0.995", 0.995), ("0", 0.0), ("-0.0", 0.0), ("100", 100.0), ("1e2", 100)]
)
def test_a_number_from_0_to_100_is_an_uptime_as_delivered(raw: str, percent: float) -> None:
    endpoint, reading = read(raw, "uptime_last_30m")
    assert (endpoint.uptime.uptime_30m_pct, reading.drift) == (percent, frozenset())
    assert str(endpoint.uptime.uptime_30m_pct) != "-0.0"


def test_an_unusual_uptime_leaves_the_other_windows() -> None:
    endpoint, _ = read('"99.5"', "uptime_last_30m", uptime_last_5m=98, uptime_last_1d=97)
    assert endpoint.uptime == Uptime(0, 98.0, None, 97.0)


@pytest.mark.parametrize(
    ("raw", "status", "words"),
    [
        ("0.0", 0, None),
        ('"-2"', -2, None),
        ("200", 200, "200"),
        ("-7.0", -7, "-7"),
        ('"active"', None, "active"),
        ("1234", None, "a number out of range"),
        ("0.5", None, "a number out of range"),
        ("true", None, "true"),
        ("[0]", None, "a list"),
        ('{"code": 0}', None, "an object"),
        ("1" * 5000, None, "a number out of range"),
    ],
)
def test_a_status_of_another_kind_costs_nothing(raw: str, status: int | None, words: str | None) -> None:
    endpoint, reading = read(raw, "status")
    assert (reading.complete, endpoint.uptime.status) == (True, status)
    assert reading.drift == ({Drift("endpoint.status", words)} if words else frozenset())


@pytest.mark.parametrize("name", ["latency", "throughput"])
@pytest.mark.parametrize(
    ("raw", "p50", "path", "words"),
    [
        ("210.4", None, "", "not percentiles"),
        ("[1, 2]", None, "", "not percentiles"),
        ('"fast"', None, "", "not percentiles"),
        ('{"p50": 1, "p95": 2}', 1.0, ".p95", None),
        ('{"p50": -1}', None, ".p50", "negative"),
        ('{"p50": "1"}', None, ".p50", "a number as text"),
        ('{"p50": 1e-300}', None, ".p50", "between 0 and 1e-09"),
        ('{"p50": 1e300}', None, ".p50", "more than 1000000000000000"),
        ('{"p50": 1, "p90": {}}', 1.0, ".p90", "an object"),
    ],
)
def test_unusual_percentiles_are_none_and_drift(
    name: str, raw: str, p50: float | None, path: str, words: str | None
) -> None:
    endpoint, reading = read(raw, f"{name}_last_30m")
    unit = {"latency": "ms", "throughput": "tps"}[name]
    assert (getattr(endpoint.performance, f"{name}_p50_{unit}") if endpoint.performance else None) == p50
    assert (reading.complete, reading.drift) == (True, frozenset({Drift(f"endpoint.{name}_last_30m{path}", words)}))


@pytest.mark.parametrize("field", LIMITS)
@pytest.mark.parametrize("value", ["131072", " 131072 ", "131072.0", 131072.0])
def test_a_number_of_tokens_is_one_number_however_written(field: str, value: Any) -> None:
    read_as = getattr(without_drift(field, value).terms, field)
    assert (read_as, type(read_as)) == (131072, int)


@pytest.mark.parametrize("field", LIMITS)
@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ('"128K"', "128K"),
        ('"131,072"', "a number as text"),
        ("0.5", "not a whole number"),
        ("-1", "a number out of range"),
        ("1" + "0" * 30, "a number out of range"),
        ("1e30", "a number out of range"),
        ("1e-99999999", "not a whole number"),
        ("1" * 5000, "a number out of range"),
        ("true", "true"),
        ("{}", "an object"),
    ],
)
def test_a_malformed_limit_is_none_and_drift_beside_its_price(field: str, raw: str, words: str) -> None:
    endpoint, reading = read(raw, field)
    assert (getattr(endpoint.terms, field), endpoint.prices) == (None, without_drift("name", "x").prices)
    assert (reading.complete, reading.drift) == (True, frozenset({Drift(f"endpoint.{field}", words)}))


@pytest.mark.parametrize(
    ("field", "raw", "words"),
    [
        ("name", "7", "not text"),
        ("name", '{"en": "x"}', "an object"),
        ("quantization", "8", "not text"),
        ("supported_parameters", '{"tools": true}', "an object"),
        ("supported_parameters", '"tools"', "tools"),
        ("supported_parameters", '["tools", 7]', "items that are not text"),
        ("supported_parameters", json.dumps([str(number) for number in range(1001)]), "more than 1000 items"),
        ("native_tools", json.dumps("x" * 70_000), "longer than 65536 characters"),
    ],
)
def test_another_malformed_field_is_drift_beside_its_price(field: str, raw: str, words: str) -> None:
    endpoint, reading = read(raw, field)
    assert (reading.complete, endpoint.prices) == (True, without_drift("name", "x").prices)
    assert reading.drift == {Drift(f"endpoint.{field}", words)}


@pytest.mark.parametrize(
    ("field", "value", "path", "words"),
    [
        ("name", 7, "name", "not text"),
        ("description", ["x"], "description", "a list"),
        ("created", "2025", "created", "a number as text"),
        ("created", -5, "created", "a number out of range"),
        ("created", 10**18, "created", "a number out of range"),
        ("architecture", "text->text", "architecture", "text->text"),
        ("architecture", {"input_modalities": "text"}, "architecture.input_modalities", "text"),
        ("architecture", {"tokenizer": 7}, "architecture.tokenizer", "not text"),
    ],
)
def test_a_malformed_field_of_the_model_is_drift(field: str, value: Any, path: str, words: str) -> None:
    reading = read_observation(a_look(body=a_body(an_endpoint(), **{field: value})))
    assert (reading.complete, reading.drift) == (True, frozenset({Drift(f"data.{path}", words)}))


def test_a_body_that_names_its_model_wrongly_falls_back_on_the_id() -> None:
    reading = read_observation(a_look(body=a_body(an_endpoint(), name={"en": "Swift"})))
    assert reading.listing is not None
    assert reading.listing.name == reading.listing.openrouter_id


def test_a_malformed_term_makes_twins_unread_as_terms_tell_them_apart() -> None:
    twins = [an_endpoint("twin", context_length=length) for length in (1000, "large")]
    reading = read_observation(a_look(an_endpoint("south"), *twins))
    assert reading.listing is not None
    assert [endpoint.tag for endpoint in reading.listing.endpoints] == ["south"]
    assert {(item.position, item.reason) for item in reading.unread} == {
        (1, "shares its tag with an endpoint that can't be read"),
        (2, "shares its tag with another endpoint, and can't be told apart by context_length"),
    }


def test_malformed_telemetry_leaves_twins_apart() -> None:
    twins = [an_endpoint("twin", context_length=length, uptime_last_30m="x", status="up") for length in (1000, 2000)]
    assert read_observation(a_look(*twins)).complete


def test_more_endpoints_than_anybody_has_fail_the_body() -> None:
    reading = read_observation(a_look(body=a_body(*[{}] * 2001)))
    assert reading.reason == "wrong shape: data.endpoints has 2001 items, more than 2000"


@given(st.floats(0, 100, exclude_min=True), st.sampled_from(PERCENTS))
def test_words_for_malformed_numbers_are_few(number: float, field: str) -> None:
    for value in (str(number), 100.0000001 + number, -number):
        _, reading = read(json.dumps(value), field)
        (drift,) = reading.drift
        assert drift.value in {"a number as text", "more than 100", "negative"}


def test_a_malformed_field_changes_nothing_else_of_an_endpoint() -> None:
    usual = without_drift("name", "x")
    endpoint, _ = read('"large"', "max_prompt_tokens", name="x")
    assert endpoint == dataclasses.replace(usual, terms=dataclasses.replace(usual.terms, max_prompt_tokens=None))
