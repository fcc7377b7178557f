"""Prices as they come: exact, canonical, and refused by name where they can't be meant."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from endpoint_history.parsing.fields import UnreadableFieldError
from endpoint_history.parsing.prices import read_price, read_prices
from models.listing import PRICE_KEYS, Drift, PriceSet, canonical_decimal

OPTIONAL_KEYS = [key for key in PRICE_KEYS if key not in {"prompt", "completion"}]


def read(**pricing: Any) -> PriceSet:
    """The prices of an endpoint with these keys besides a prompt and a completion price."""
    return read_prices({"prompt": "0.000001", "completion": "0.000002"} | pricing)[0]


def drift_of(**pricing: Any) -> set[Drift]:
    return read_prices({"prompt": "0.000001", "completion": "0.000002"} | pricing)[1]


@pytest.mark.parametrize(
    ("given_price", "digits"),
    [
        ("0.00000010000000000000001", (10000000000000001, -23)),
        ("0.000001", (1, -6)),
        ("15", (15, 0)),
        ("1e-7", (1, -7)),
        ("2.5E-06", (25, -7)),
        ("1E+2", (100, 0)),
        ("1e-60", (1, -60)),
        (".5", (5, -1)),
        ("5.", (5, 0)),
        ("+0.25", (25, -2)),
        (" 0.25 ", (25, -2)),
        ("9999.999999", (9999999999, -6)),
        (3, (3, 0)),
        (Decimal("0.00000010000000000000001"), (10000000000000001, -23)),
        (Decimal("1E-7"), (1, -7)),
    ],
)
def test_a_price_is_read_to_its_last_digit(given_price: Any, digits: tuple[int, int]) -> None:
    coefficient, exponent = digits
    assert read(prompt=given_price).prompt == Decimal(f"{coefficient}e{exponent}")


@st.composite
def price_texts(draw: st.DrawFn) -> str:
    """Any spelling of a price below 10,000 USD: plain or with an exponent, with trailing zeros or without."""
    decimals = draw(st.integers(0, 60))
    coefficient = draw(st.integers(0, min(10**58, 10 ** (decimals + 4)) - 1))
    zeros = "0" * draw(st.integers(0, 60 - decimals)) if decimals else ""
    plain = format(Decimal(f"{coefficient}e-{decimals}"), "f") + zeros
    return draw(st.sampled_from([plain, f"{coefficient}e-{decimals}", f"{coefficient}E-{decimals:02}", f"+{plain}"]))


@given(price_texts(), st.sampled_from(PRICE_KEYS))
@example("0.00000010000000000000001", "prompt")
@example("9999.999999999999999999999999", "image")
def test_any_price_in_bounds_is_read_as_its_exact_value(text: str, key: str) -> None:
    assert (getattr(read(**{key: text}), key) or Decimal(0)) == Decimal(text)


@given(price_texts())
def test_one_number_has_one_text_however_spelled(text: str) -> None:
    canonical = canonical_decimal(Decimal(text))
    assert canonical == canonical_decimal(Decimal(f"{text}0" if "." in text and "e" not in text.lower() else text))
    assert Decimal(canonical) == Decimal(text)
    assert re.fullmatch(r"0|[1-9]\d*|(0|[1-9]\d*)\.\d*[1-9]", canonical)


@pytest.mark.parametrize("zero", ["-0", "-0.000", "-0e-7", "-0E2", Decimal("-0.0"), 0, "0"])
def test_a_negative_zero_is_stored_as_plain_zero(zero: Any) -> None:
    price = read(prompt=zero).prompt
    assert price is not None
    assert (price.is_zero(), price.is_signed()) == (True, False)


@pytest.mark.parametrize("key", PRICE_KEYS)
@pytest.mark.parametrize("minus_one", ["-1", -1, "-1.0", "-1e0", Decimal("-1.00")])
def test_minus_one_means_that_the_price_varies(key: str, minus_one: Any) -> None:
    prices = read(**{key: minus_one})
    assert (getattr(prices, key), prices.varies) == (None, True)


@pytest.mark.parametrize("pricing", [{}, {"request": "0"}, {"image": None}, {"discount": -1}])
def test_without_minus_one_no_price_varies(pricing: dict[str, Any]) -> None:
    assert not read(**pricing).varies


NEGATIVE = ["-0.000001", "-2", -5, "-0.999999", "-1.000001", Decimal("-1E-30")]
ABSURD = ["10000", 10_000, "1e4", "1e60", "10000.01", "1e61", "1e9999", "1e-61", f"0.{61 * '0'}", "1" * 101, 10**200]
NOT_NUMBERS = ["free", "0,5", "$1", "1 2", "0x10", "NaN", "Infinity", "-inf", "1_000", "--1", "1e", "."]
NOT_TEXT = [True, False, [], {}, ["1"], {"usd": "1"}]


@pytest.mark.parametrize("key", ["prompt", "image_token", "input_cache_write_1h"])
@pytest.mark.parametrize("bad", [*NEGATIVE, *ABSURD, *NOT_NUMBERS, *NOT_TEXT])
def test_what_is_no_price_is_refused_by_its_key(key: str, bad: Any) -> None:
    with pytest.raises(UnreadableFieldError, match=rf"^{key} is "):
        read(**{key: bad})


@pytest.mark.parametrize("dearest", ["9999.99", "9999", 9999, "9.9999e3"])
def test_a_price_just_under_the_bound_is_read(dearest: Any) -> None:
    assert read_price(dearest, "request") == Decimal(str(dearest))


@pytest.mark.parametrize("key", OPTIONAL_KEYS)
@pytest.mark.parametrize("nothing", [None, "", " ", "0", 0, "0.0", "-0", Decimal("0E-10")])
def test_nothing_charged_is_one_fact_however_said(key: str, nothing: Any) -> None:
    assert read(**{key: nothing}) == read()
    assert getattr(read(), key) is None


@pytest.mark.parametrize("key", OPTIONAL_KEYS)
def test_each_optional_price_has_its_own_place(key: str) -> None:
    charged = {name: getattr(read(**{key: "0.5"}), name) for name in OPTIONAL_KEYS}
    assert {name: price for name, price in charged.items() if price is not None} == {key: Decimal("0.5")}


@pytest.mark.parametrize("key", ["prompt", "completion"])
@pytest.mark.parametrize("nothing", ["0", 0, "0.000", Decimal("0.0")])
def test_a_free_token_price_stays_zero_not_unknown(key: str, nothing: Any) -> None:
    assert getattr(read(**{key: nothing}), key) == Decimal(0)


@pytest.mark.parametrize("key", ["prompt", "completion"])
@pytest.mark.parametrize("how", ["null", "empty", "missing"])
def test_a_missing_token_price_is_unreadable_by_name(key: str, how: str) -> None:
    pricing = {"prompt": "1", "completion": "1"} | {key: "" if how == "empty" else None}
    if how == "missing":
        del pricing[key]
    with pytest.raises(UnreadableFieldError, match=f"^pricing has no {key}$"):
        read_prices(pricing)


@pytest.mark.parametrize("pricing", [None, [], "0", 0, True, [["prompt", "1"]]])
def test_pricing_that_is_no_object_is_unreadable(pricing: Any) -> None:
    with pytest.raises(UnreadableFieldError, match=r"^pricing is not an object$"):
        read_prices(pricing)


@pytest.mark.parametrize(
    ("discount", "expected"),
    [
        (Decimal("0.25"), "0.25"),
        ("0.1", "0.1"),
        (1, "1"),
        (Decimal("-0.055"), "-0.055"),
        (-1, "-1"),
        (-100, "-100"),
    ],
)
def test_a_discount_is_an_exact_fraction_or_markup(discount: Any, expected: str) -> None:
    assert read(discount=discount).discount == Decimal(expected)


@pytest.mark.parametrize("nothing", [None, "", 0, "0", Decimal("0.0"), "-0"])
def test_a_discount_of_zero_is_no_discount(nothing: Any) -> None:
    assert read(discount=nothing) == read()


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ("1.01", "more than 1"),
        (2, "more than 1"),
        (-101, "less than -100"),
        ("ten", "ten"),
        (True, "true"),
        ([], "a list"),
        ({}, "an object"),
        ("1e99", "a number as text"),
        (10**200, "a number out of range"),
        (float("inf"), "a number out of range"),
    ],
)
def test_a_discount_that_is_none_hides_no_price(bad: Any, words: str) -> None:
    assert (read(discount=bad), drift_of(discount=bad)) == (read(), {Drift("endpoint.pricing.discount", words)})


@pytest.mark.parametrize("key", ["discount", "overrides", *PRICE_KEYS])
def test_a_known_pricing_key_is_no_drift(key: str) -> None:
    assert drift_of(**{key: [] if key == "overrides" else "0.5"}) == set()


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("0.50", "0.5"),
        (Decimal("5E-1"), "0.5"),
        (3, "3"),
        ("-1", "-1"),
        ("per second", "per second"),
        (True, True),
        (False, False),
        ({"720p": Decimal("0.10")}, {"720p": "0.10"}),
        (["1", 2], ["1", 2]),
    ],
)
def test_an_unknown_price_key_is_kept_and_is_drift(value: Any, kept: Any) -> None:
    assert (read(video=value).other, drift_of(video=value)) == ({"video": kept}, {Drift("endpoint.pricing.video")})


@pytest.mark.parametrize("nothing", [None, "", "0", 0, "0.00", "-0", "0e2"])
def test_an_unknown_price_of_nothing_is_only_drift(nothing: Any) -> None:
    assert (read(video=nothing), drift_of(video=nothing)) == (read(), {Drift("endpoint.pricing.video")})


def overrides(*entries: Any) -> list[dict[str, Any]] | None:
    return read(overrides=list(entries)).overrides


@pytest.mark.parametrize(
    ("price", "canonical"),
    [
        ("0.0000025000", "0.0000025"),
        ("2.5e-6", "0.0000025"),
        (Decimal("1E-7"), "0.0000001"),
        (100, "100"),
        ("-0", "0"),
        ("-1.0", "-1"),
        ("0.1234567890123456789012345678901234567890", "0.123456789012345678901234567890123456789"),
    ],
)
def test_prices_in_overrides_become_canonical_texts(price: Any, canonical: str) -> None:
    assert overrides({"completion": price}) == [{"completion": canonical}]


def test_overrides_keep_their_conditions_and_their_order() -> None:
    windows = [
        {"utc_start": 1630, "utc_end": 30, "utc_days": [1, 5], "prompt": "0.2"},
        {"min_prompt_tokens": 200000, "prompt": "0.1", "input_cache_read": "0.05"},
    ]
    assert (overrides(*windows), overrides(*reversed(windows))) == (windows, windows[::-1])


@pytest.mark.parametrize("nothing", [None, []])
def test_an_empty_list_of_overrides_is_none(nothing: Any) -> None:
    assert read(overrides=nothing) == read()


@pytest.mark.parametrize("nothing", [None, "", " "])
def test_an_empty_price_in_an_override_is_left_out(nothing: Any) -> None:
    assert overrides({"min_prompt_tokens": 1, "prompt": nothing}) == [{"min_prompt_tokens": 1}]


@pytest.mark.parametrize(
    ("condition", "value", "read_as"),
    [
        ("min_prompt_tokens", "200000", 200000),
        ("min_prompt_tokens", Decimal("2E+5"), 200000),
        ("min_prompt_tokens", 0, 0),
        ("utc_start", "0930", 930),
        ("utc_end", Decimal("2400.0"), 2400),
        ("utc_days", ["Saturday", "sun"], ["Saturday", "sun"]),
        ("utc_days", [], []),
        ("utc_start", None, None),
    ],
)
def test_a_condition_is_one_number_however_written(condition: str, value: Any, read_as: Any) -> None:
    assert overrides({condition: value}) == [{condition: read_as}]
    assert drift_of(overrides=[{condition: value}]) == set()


@pytest.mark.parametrize(
    ("condition", "value", "kept"),
    [
        ("utc_start", "1E+999999999", "1E+999999999"),
        ("utc_end", Decimal("1E+999999999"), "1E+999999999"),
        ("utc_start", 1260, 1260),
        ("utc_start", 2401, 2401),
        ("utc_start", -1, -1),
        ("utc_start", "9:30", "9:30"),
        ("utc_start", True, True),
        ("utc_start", [9], [9]),
        ("utc_days", ["caturday"], ["caturday"]),
        ("utc_days", "monday", "monday"),
        ("min_prompt_tokens", 10**16, 10**16),
        ("min_prompt_tokens", 10**400, str(10**400)),
        ("min_prompt_tokens", "1" * 5000, f'"{"1" * 99}...'),
        ("min_prompt_tokens", float("inf"), "inf"),
        ("min_prompt_tokens", Decimal("0.5"), "0.5"),
    ],
)
def test_a_condition_that_cannot_be_read_stays_as_it_came_and_is_drift(condition: str, value: Any, kept: Any) -> None:
    assert overrides({condition: value, "prompt": "1"}) == [{condition: kept, "prompt": "1"}]
    assert {item.path for item in drift_of(overrides=[{condition: value}])} == {
        f"endpoint.pricing.overrides.{condition}"
    }


def test_an_override_of_minus_one_leaves_the_base_price() -> None:
    prices = read(overrides=[{"prompt": "-1"}])
    assert (prices.prompt, prices.varies) == (Decimal("0.000001"), False)


def test_an_unknown_override_key_is_kept_and_is_drift() -> None:
    entry = {"region": "eu", "share": Decimal("0.50"), "prompt": "1"}
    assert overrides(entry) == [{"region": "eu", "share": "0.50", "prompt": "1"}]
    assert drift_of(overrides=[entry]) == {Drift(f"endpoint.pricing.overrides.{key}") for key in ("region", "share")}


@pytest.mark.parametrize("bad", ["-0.5", "10000", "free", True, {}])
def test_a_bad_price_in_an_override_is_refused_by_name(bad: Any) -> None:
    with pytest.raises(UnreadableFieldError, match=r"^overrides image is "):
        overrides({"image": bad})


@pytest.mark.parametrize("bad", ["none", 0, {}, ["x"], [{}, None], True])
def test_overrides_that_are_no_list_of_objects_are_refused(bad: Any) -> None:
    with pytest.raises(UnreadableFieldError, match=r"^overrides is not a list of objects$"):
        read(overrides=bad)
