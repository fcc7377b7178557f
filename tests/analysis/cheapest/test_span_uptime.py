"""Uptime over a span: what each sample weighs, what nobody told, and the day on which its meaning changed."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from endpoint_history.analysis.cheapest.uptime import SpanUptime, span_uptime, start_of
from models.listing import UPTIME_REDEFINED_AT as REDEFINED_AT
from tests.support.factories import at

Samples = list[tuple[datetime, float | None]]
HOUR = timedelta(hours=1)


def of(samples: dict[float, float | None], since: float = 0, until: float = 60) -> SpanUptime:
    """The uptime from samples by their minute."""
    return span_uptime([(at(minute), percent) for minute, percent in samples.items()], at(since), at(until))


def test_a_sample_stands_for_the_half_hour_before_it() -> None:
    uptime = of({30: 90, 60: 100})
    assert (uptime.mean_pct, uptime.covered_share, uptime.samples) == (95, 1, 2)


def test_a_sample_weighs_only_the_minutes_it_alone_adds() -> None:
    assert of({30: 100, 35: 40}).mean_pct == (30 * 100 + 5 * 40) / 35


def test_what_lies_more_than_half_an_hour_before_a_sample_is_not_covered() -> None:
    assert of({50: 100}).covered_share == 0.5


def test_a_sample_says_nothing_of_the_time_before_the_span() -> None:
    assert of({10: 0, 40: 100}).mean_pct == 75
    assert of({0: 0, 30: 100}).mean_pct == 100


def test_what_comes_after_the_span_is_not_looked_at() -> None:
    assert of({30: 100, 61: 0}).mean_pct == 100


def test_a_sample_without_a_number_covers_nothing_and_is_no_zero() -> None:
    uptime = of({20: 90, 40: None, 60: 100})
    assert (uptime.mean_pct, uptime.covered_seconds, uptime.samples, uptime.looks) == (95, 2400, 2, 3)


def test_nothing_known_is_none_and_reaches_no_floor() -> None:
    uptime = of({30: None})
    assert (uptime.mean_pct, uptime.covered_share, uptime.reaches(Decimal(0))) == (None, 0, False)


def test_an_outage_all_along_is_zero_and_reaches_the_floor_of_zero() -> None:
    uptime = of({30: 0})
    assert (uptime.mean_pct, uptime.reaches(Decimal(0)), uptime.reaches(Decimal("0.1"))) == (0, True, False)


def test_a_mean_that_equals_the_floor_reaches_it_in_spite_of_binary_fractions() -> None:
    assert of(dict.fromkeys(range(7, 60, 7), 99.1)).reaches(Decimal("99.1"))


def test_a_mean_just_below_the_floor_is_below() -> None:
    assert not of({30: 99.1, 60: 99.09999999999}).reaches(Decimal("99.1"))


def test_a_span_over_the_redefinition_begins_with_it() -> None:
    assert start_of(REDEFINED_AT + HOUR, 7 * 24 * HOUR) == REDEFINED_AT
    assert start_of(REDEFINED_AT + HOUR, HOUR) == REDEFINED_AT
    assert start_of(REDEFINED_AT, HOUR) == REDEFINED_AT - HOUR
    assert start_of(REDEFINED_AT + 2 * HOUR, HOUR) == REDEFINED_AT + HOUR


def test_samples_of_the_old_meaning_do_not_count_after_the_redefinition() -> None:
    end = REDEFINED_AT + HOUR
    samples: Samples = [(REDEFINED_AT - HOUR / 2, 0), (REDEFINED_AT, 0), (REDEFINED_AT + HOUR / 2, 100)]
    assert span_uptime(samples, start_of(end, 4 * HOUR), end).mean_pct == 100


def test_the_first_sample_of_the_new_meaning_does_not_count_before() -> None:
    samples: Samples = [(REDEFINED_AT - HOUR / 2, 100), (REDEFINED_AT, 0)]
    assert span_uptime(samples, REDEFINED_AT - HOUR, REDEFINED_AT).mean_pct == 100


@given(
    samples=st.dictionaries(st.integers(-100, 300), st.none() | st.integers(0, 100).map(float), max_size=30),
    span=st.integers(1, 240),
)
def test_every_minute_is_told_by_the_first_look_after_it(samples: dict[int, float | None], span: int) -> None:
    uptime = of({minute: samples[minute] for minute in sorted(samples)}, until=span)
    told = []
    for minute in range(span):
        later = [at_ for at_ in samples if minute < at_ <= span]
        if later and min(later) <= minute + 30 and samples[min(later)] is not None:
            told.append(samples[min(later)])
    assert uptime.covered_seconds == 60 * len(told)
    assert uptime.mean_pct == (pytest.approx(sum(filter(None, told)) / len(told)) if told else None)


@pytest.mark.parametrize("tiny", [1e-300, 5e-324])
def test_a_sample_that_is_almost_nothing_is_weighed_exactly(tiny: float) -> None:
    uptime = of({30: tiny, 60: 99.99999999})
    assert uptime.mean_pct == 99.99999999 / 2
    assert uptime.reaches(Decimal("49.999999995"))
    assert not of({30: 0, 60: 99.99999999}).reaches(Decimal("49.9999999950000000000000000000000001"))
