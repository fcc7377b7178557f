"""What a request costs, by payloads made for the point they make, and by laws that must hold for all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from endpoint_history.analysis.cheapest.cost import Usage, cost_usd
from endpoint_history.errors import ConfigurationError
from endpoint_history.parsing.prices import read_prices
from endpoint_history.parsing.scheduled_price import ObservedPrices, UnknownPriceError, is_timed
from models.listing import PriceSet, canonical_decimal
from tests.reference.cheapest import cost_of

NOON = datetime(2026, 5, 16, 12, tzinfo=UTC)  # a saturday
MILLION = Usage(1_000_000, 0)
LONG = {"min_prompt_tokens": 200_000, "prompt": "0.000002"}
NIGHT = {"utc_start": 2200, "utc_end": 600, "prompt": "0.0000005"}


def the_prices(*overrides: dict[str, Any], **keys: Any) -> PriceSet:
    """Prices read as a body gives them: a dollar for a million tokens of the prompt, four for those of the answer."""
    pricing = {"prompt": "0.000001", "completion": "0.000004", **keys}
    return read_prices(pricing | ({"overrides": list(overrides)} if overrides else {}))[0]


def cost(prices: PriceSet, usage: Usage, at: datetime = NOON, seen_at: datetime | None = None) -> Decimal:
    return cost_usd([ObservedPrices(seen_at or at, prices)], usage, at)


def clock(hour: int, minute: int = 0) -> datetime:
    return NOON.replace(hour=hour, minute=minute)


def test_tokens_of_prompt_and_answer_are_paid_each_at_its_price() -> None:
    assert cost(the_prices(), Usage(10_000, 1_000)) == Decimal("0.014")


def test_a_price_of_23_decimals_is_not_rounded() -> None:
    prices = the_prices(prompt="0.00000010000000000000001", completion="0")
    paid = cost(prices, Usage(123_456_789, 0, requests=987_654_321))
    assert canonical_decimal(paid) == "12193263111.26352811932631112635269"


def test_a_free_offer_costs_nothing() -> None:
    assert cost(the_prices(prompt="0", completion="0"), Usage(10_000, 1_000, Decimal("0.5"), 100, 3, 7)) == 0


def test_a_price_that_varies_can_not_be_told() -> None:
    with pytest.raises(UnknownPriceError, match="varies"):
        cost(the_prices(image="-1"), MILLION)


def test_the_cached_share_is_paid_at_the_price_of_reading() -> None:
    prices = the_prices(input_cache_read="0.0000001")
    assert cost(prices, Usage(1_000_000, 0, cached_share=Decimal("0.8"))) == Decimal("0.28")


def test_cached_tokens_cost_as_others_where_reading_has_no_price() -> None:
    assert cost(the_prices(), Usage(1_000_000, 0, cached_share=Decimal("0.8"))) == 1


def test_written_tokens_are_paid_at_the_price_of_writing_and_not_twice() -> None:
    prices = the_prices(input_cache_write="0.00000125")
    assert cost(prices, Usage(1_000_000, 0, cache_write=400_000)) == Decimal("1.1")


def test_written_tokens_cost_as_others_where_writing_has_no_price() -> None:
    assert cost(the_prices(), Usage(1_000_000, 0, cache_write=400_000)) == 1


def test_a_price_of_writing_below_that_of_the_prompt_comes_on_top() -> None:
    """As Gemini's, which is five minutes of storage: upstream documents a write as the prompt price plus that."""
    prices = the_prices(prompt="0.00000125", input_cache_write="0.000000375")
    assert cost(prices, Usage(1_000_000, 0, cache_write=1_000_000)) == Decimal("1.625")


def test_images_and_requests_are_paid_by_the_piece() -> None:
    prices = the_prices(prompt="0", completion="0", image="0.005", request="0.01")
    assert cost(prices, Usage(10, 10, images=3, requests=2)) == Decimal("0.05")


def test_prices_of_what_is_not_asked_for_do_not_count() -> None:
    prices = the_prices(internal_reasoning="1", web_search="1", audio="1", image="1", input_cache_read="1")
    assert cost(prices, MILLION) == 1


@pytest.mark.parametrize(("tokens", "expected"), [(200_000, "0.2"), (200_001, "0.400002")])
def test_a_prompt_must_be_longer_than_the_threshold(tokens: int, expected: str) -> None:
    assert cost(the_prices(LONG), Usage(tokens, 0)) == Decimal(expected)


def test_a_threshold_counts_cached_tokens_and_each_request_alone() -> None:
    prices = the_prices(LONG, input_cache_read="0.0000001")
    assert cost(prices, Usage(300_000, 0, cached_share=Decimal("0.5"))) == Decimal("0.315")
    assert cost(prices, Usage(150_000, 0, requests=2)) == Decimal("0.3")


def test_a_key_that_an_entry_lacks_keeps_its_price() -> None:
    assert cost(the_prices(LONG), Usage(1_000_000, 1_000_000)) == 6


def test_the_last_entry_that_holds_wins_key_by_key() -> None:
    first = {"min_prompt_tokens": 100, "prompt": "0.000003", "completion": "0.000005"}
    then = {"min_prompt_tokens": 50, "prompt": "0.000002"}
    assert cost(the_prices(first, then), Usage(1_000_000, 1_000_000)) == 7
    assert cost(the_prices(then, first), Usage(1_000_000, 1_000_000)) == 8


def test_all_conditions_of_an_entry_must_hold() -> None:
    prices = the_prices({**LONG, **NIGHT})
    assert cost(prices, MILLION, clock(12)) == 1
    assert cost(prices, Usage(200_000, 0), clock(23), seen_at=clock(12)) == Decimal("0.2")
    assert cost(prices, MILLION, clock(23)) == Decimal("0.5")


@pytest.mark.parametrize(
    ("at", "half"),
    [
        (clock(21, 59), False),
        (clock(22), True),
        (clock(0), True),
        (clock(5, 59) + timedelta(seconds=59), True),
        (clock(6), False),
        (clock(12), False),
    ],
)
def test_a_window_past_midnight_begins_with_its_start_and_ends_before_its_end(at: datetime, half: bool) -> None:
    assert cost(the_prices(NIGHT), MILLION, at, seen_at=clock(12)) == (Decimal("0.5") if half else 1)


@pytest.mark.parametrize(("hour", "half"), [(0, True), (3, True), (4, False), (23, False)])
def test_an_end_alone_begins_at_midnight(hour: int, half: bool) -> None:
    prices = the_prices({"utc_end": 400, "prompt": "0.0000005"})
    assert cost(prices, MILLION, clock(hour), seen_at=clock(12)) == (Decimal("0.5") if half else 1)


@pytest.mark.parametrize(("hour", "half"), [(0, False), (21, False), (22, True), (23, True)])
def test_a_start_alone_ends_at_midnight(hour: int, half: bool) -> None:
    prices = the_prices({"utc_start": 2200, "prompt": "0.0000005"})
    assert cost(prices, MILLION, clock(hour), seen_at=clock(12)) == (Decimal("0.5") if half else 1)


def test_weekdays_are_those_of_the_instant_itself() -> None:
    prices = the_prices({**NIGHT, "utc_days": ["saturday"]})
    friday_late, saturday_early, sunday_early = (clock(23) - timedelta(days=1), clock(3), clock(3) + timedelta(days=1))
    costs = [cost(prices, MILLION, at, seen_at=NOON) for at in (friday_late, saturday_early, sunday_early)]
    assert costs == [1, Decimal("0.5"), 1]


def test_weekdays_alone_mean_the_whole_day() -> None:
    prices = the_prices({"utc_days": ["Saturday", "sunday"], "prompt": "0.0000005"})
    monday = NOON + timedelta(days=2)
    assert cost(prices, MILLION) == Decimal("0.5")
    assert cost(prices, MILLION, monday, seen_at=monday) == 1


def test_an_optional_price_of_zero_in_an_entry_is_not_charged() -> None:
    prices = the_prices({"min_prompt_tokens": 10, "image": "0", "prompt": "0"}, image="0.005")
    assert cost(prices, Usage(1_000, 0, images=2)) == 0


def test_a_conditional_price_that_varies_can_not_be_told() -> None:
    prices = the_prices({"min_prompt_tokens": 10, "completion": "-1"})
    assert cost(prices, Usage(1_000, 0)) == Decimal("0.001")
    with pytest.raises(UnknownPriceError, match="varies"):
        cost(prices, Usage(1_000, 1))


def test_the_price_of_a_window_is_known_wherever_it_was_seen() -> None:
    assert cost(the_prices(NIGHT), MILLION, clock(23), seen_at=clock(12)) == Decimal("0.5")


def test_the_plain_price_is_unknown_where_it_was_only_seen_in_a_window() -> None:
    at_night = the_prices(NIGHT, prompt="0.0000005")
    with pytest.raises(UnknownPriceError, match="outside its time windows was never observed"):
        cost(at_night, MILLION, clock(12), seen_at=clock(3))


def test_the_plain_price_is_the_newest_that_was_seen_outside_the_windows() -> None:
    at_night, by_day, before = (the_prices(NIGHT, prompt=p) for p in ("0.0000005", "0.000001", "0.000009"))
    looks = [
        ObservedPrices(clock(5), at_night),
        ObservedPrices(clock(5) - timedelta(hours=8), by_day),
        ObservedPrices(clock(1), before),
    ]
    assert cost_usd(looks, MILLION, clock(12)) == 1


def test_a_plain_price_seen_beside_other_windows_tells_nothing() -> None:
    at_night, other = the_prices(NIGHT, prompt="0.0000005"), the_prices({**NIGHT, "utc_end": 500})
    with pytest.raises(UnknownPriceError):
        cost_usd(
            [ObservedPrices(clock(3), at_night), ObservedPrices(clock(1) - timedelta(hours=8), other)],
            MILLION,
            clock(12),
        )


def test_a_price_at_the_top_that_is_not_that_of_the_open_window_is_the_plain_one() -> None:
    assert cost(the_prices(NIGHT), MILLION, clock(12), seen_at=clock(3)) == 1


def test_a_key_that_no_window_has_is_known_at_any_time() -> None:
    at_night = the_prices(NIGHT, prompt="0.0000005")
    assert cost_usd([ObservedPrices(clock(3), at_night)], Usage(0, 1_000_000), clock(4)) == 4


@pytest.mark.parametrize(
    "entry",
    [
        {"region": "eu"},
        {"min_answer_tokens": 10},
        {"min_prompt_tokens": "many"},
        {"min_prompt_tokens": True},
        {"utc_start": 2560},
        {"utc_start": 0, "utc_end": 961},
        {"utc_days": ["someday"]},
        {"utc_days": "saturday"},
        {"utc_days": [6]},
    ],
    ids=str,
)
def test_a_condition_that_can_not_be_read_makes_its_price_unknown_and_no_other(entry: dict[str, Any]) -> None:
    prices = the_prices({**entry, "prompt": "0.000002"})
    with pytest.raises(UnknownPriceError, match=f"can't read: ({'|'.join(entry)})$"):
        cost(prices, MILLION)
    assert cost(the_prices({**entry, "completion": "0.000002"}), MILLION) == 1


def test_a_condition_that_can_not_be_read_does_not_matter_where_another_does_not_hold() -> None:
    assert cost(the_prices({"region": "eu", **LONG}), Usage(1_000, 0)) == Decimal("0.001")


def test_an_entry_without_conditions_always_holds() -> None:
    assert cost(the_prices({"prompt": "0.000002", "utc_days": None}), MILLION) == 2


def test_a_price_key_that_is_new_is_no_condition() -> None:
    assert cost(the_prices({**LONG, "video": "0.01"}), MILLION) == 2


@pytest.mark.parametrize(
    ("entries", "timed"),
    [([], False), ([LONG], False), ([LONG, NIGHT], True), ([{"utc_days": ["monday"], "prompt": "0"}], True)],
)
def test_prices_with_times_of_day_or_week_are_timed(entries: list[dict[str, Any]], timed: bool) -> None:
    assert is_timed(the_prices(*entries)) is timed


@pytest.mark.parametrize(
    ("given_", "told"),
    [
        ({"input_tokens": -1}, "--input-tokens: -1 is no whole number between 0 and"),
        ({"output_tokens": 10**12 + 1}, "--output-tokens"),
        ({"images": -1}, "--images"),
        ({"requests": 0}, "--requests: 0 is no whole number between 1 and"),
        ({"cached_share": Decimal("1.1")}, "--cached-share: 1.1 is no share between 0 and 1"),
        ({"cached_share": Decimal("-0.1")}, "--cached-share"),
        ({"cached_share": Decimal("NaN")}, "--cached-share"),
        ({"cached_share": Decimal("1E-31")}, "--cached-share: more than 30 decimals"),
        ({"cache_write": 51, "cached_share": Decimal("0.5")}, "--cache-write: more tokens than the input has"),
    ],
)
def test_a_usage_that_can_not_be_is_refused(given_: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        Usage(**{"input_tokens": 100, "output_tokens": 100} | given_)


PRICES = st.decimals(0, 1, places=12).map(lambda price: format(price, "f"))
ENTRIES = st.fixed_dictionaries(
    {},
    optional={
        "min_prompt_tokens": st.integers(0, 2_000),
        "utc_start": st.integers(0, 23).map(lambda hour: hour * 100),
        "utc_end": st.integers(0, 24).map(lambda hour: hour * 100),
        "prompt": PRICES,
        "completion": PRICES,
        "input_cache_read": PRICES,
    },
)
PRICE_SETS = st.builds(
    lambda entries, keys: the_prices(*entries, **keys),
    st.lists(ENTRIES, max_size=4),
    st.fixed_dictionaries(
        {"prompt": PRICES, "completion": PRICES},
        optional={"request": PRICES, "image": PRICES, "input_cache_read": PRICES, "input_cache_write": PRICES},
    ),
)
INSTANTS = st.integers(0, 7 * 24 * 60).map(lambda minute: NOON + timedelta(minutes=minute))
TOKENS = st.integers(0, 3_000)
SHARES = st.decimals(0, 1, places=4)


@given(prices=PRICE_SETS, at=INSTANTS, usage=st.builds(Usage, TOKENS, TOKENS, SHARES, st.just(0), st.integers(0, 9)))
def test_the_cost_is_that_of_the_entries_laid_one_over_another(prices: PriceSet, at: datetime, usage: Usage) -> None:
    looks = [ObservedPrices(at, prices)]  # seen at the instant itself, so that all is known
    assert cost_usd(looks, usage, at) == cost_of(looks, usage, at)


@given(prices=PRICE_SETS, at=INSTANTS, one=TOKENS, other=TOKENS, times=st.integers(1, 9))
def test_the_cost_is_linear_where_no_threshold_is_crossed(
    prices: PriceSet, at: datetime, one: int, other: int, times: int
) -> None:
    def paid(answer: int, images: int, requests: int = 1) -> Decimal:
        return cost(prices, Usage(1_500, answer, Decimal("0.3"), 0, images, requests), at)

    assert paid(one + other, 0) + paid(0, 0) == paid(one, 0) + paid(other, 0)
    assert paid(one, times) - paid(one, 0) == times * (paid(one, 1) - paid(one, 0))
    assert paid(one, 2, times) == times * paid(one, 2)


@given(prices=PRICE_SETS, at=INSTANTS, below=st.integers(2_001, 10_000), more=st.integers(0, 10_000), share=SHARES)
def test_the_cost_is_linear_in_the_prompt_beyond_all_thresholds(
    prices: PriceSet, at: datetime, below: int, more: int, share: Decimal
) -> None:
    def paid(tokens: int) -> Decimal:
        return cost(prices, Usage(tokens, 0, share), at)

    assert paid(below + 2 * more) - paid(below + more) == paid(below + more) - paid(below)


@given(prices=PRICE_SETS, at=INSTANTS, usage=st.builds(Usage, TOKENS, TOKENS, SHARES))
def test_an_entry_that_comes_last_and_holds_is_paid(prices: PriceSet, at: datetime, usage: Usage) -> None:
    from_then_on = read_prices(
        {
            "prompt": "0",
            "completion": "0",
            "overrides": [*(prices.overrides or []), {"prompt": "1", "completion": "2", "input_cache_read": "3"}],
        }
    )[0]
    cached = usage.input_tokens * usage.cached_share
    expected = usage.input_tokens - cached + cached * 3 + usage.output_tokens * 2
    assert cost(from_then_on, usage, at) == expected


@given(start=st.integers(0, 23), end=st.integers(0, 23), minute=st.integers(0, 1439))
def test_a_window_and_its_opposite_share_out_the_day(start: int, end: int, minute: int) -> None:
    at = NOON.replace(hour=minute // 60, minute=minute % 60)

    def is_open(begins: int, ends: int) -> bool:
        entry = {"utc_start": begins * 100, "utc_end": ends * 100, "prompt": "0.000002"}
        return cost(the_prices(entry), MILLION, at, seen_at=at) == 2

    if start == end:
        assert not is_open(start, end)
    else:
        assert is_open(start, end) != is_open(end, start)


@pytest.mark.parametrize(
    "condition",
    [
        {"utc_start": "1E+999999999"},
        {"utc_end": "-1E+999999999"},
        {"utc_start": 10**400},
        {"utc_start": "1e-999999999"},
        {"min_prompt_tokens": "1" * 5000},
        {"min_prompt_tokens": "1E+999999999"},
        {"utc_days": ["monday"] * 101},
        {"utc_days": ["caturday"]},
        {"region": "1" * 5000},
    ],
    ids=lambda condition: str(condition)[:40],
)
def test_a_stored_condition_out_of_all_bounds_makes_the_cost_unknown_at_once(condition: dict[str, Any]) -> None:
    prices = PriceSet(Decimal("0.000001"), Decimal("0.000004"), overrides=[{**condition, "prompt": "0"}])
    with pytest.raises(UnknownPriceError, match="a conditional price depends on what this version can't read"):
        cost(prices, MILLION)


@pytest.mark.parametrize("saturday", ["sat", "Sat", "saturday", " SATURDAY "])
def test_a_day_is_known_by_its_name_or_its_first_three_letters(saturday: str) -> None:
    prices = the_prices({"utc_days": ["fri", saturday], "prompt": "0.0000005"})
    assert cost(prices, MILLION) == Decimal("0.5")
    assert cost(prices, MILLION, at=NOON + timedelta(days=1)) == 1
