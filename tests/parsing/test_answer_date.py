"""An observation whose time and the date of its answer are far apart proves nothing, whoever judges it and when."""

from __future__ import annotations

from datetime import timedelta
from email.utils import format_datetime

import pytest

from endpoint_history.parsing.answer_date import clock_trouble
from endpoint_history.parsing.body import read_observation
from tests.support.factories import a_look, an_endpoint, at

DAY = 24 * 60
DECADE = 3652 * DAY


def dated(minute: float, **headers: str) -> dict[str, str]:
    return {"date": format_datetime(at(minute), usegmt=True), **headers}


@pytest.mark.parametrize("minute", [-DAY, -5, 0, 5, DAY])
def test_clocks_within_a_day_agree(minute: float) -> None:
    assert clock_trouble(a_look(an_endpoint(), headers=dated(minute))) is None


@pytest.mark.parametrize("minute", [-DECADE, -DAY - 1, DAY + 1, DECADE])
def test_an_observation_at_another_time_than_its_answer_proves_nothing(minute: float) -> None:
    look = a_look(an_endpoint(), headers=dated(minute))
    told = f"this machine's clock said 2026-05-16 09:00 UTC, but the answer is dated {at(minute):%Y-%m-%d %H:%M} UTC"
    reading = read_observation(look)
    assert (reading.outcome, reading.listing, reading.reason) == ("failed", None, told)


def test_an_answer_out_of_a_cache_is_as_old_as_the_cache_says() -> None:
    old = dated(-3 * DAY, age=str(int(timedelta(days=3).total_seconds())))
    assert clock_trouble(a_look(an_endpoint(), headers=old)) is None
    assert clock_trouble(a_look(an_endpoint(), headers=dated(0, age=old["age"]))) is None
    assert clock_trouble(a_look(an_endpoint(), headers=dated(-3 * DAY))) is not None


@pytest.mark.parametrize("age", ["", "-1", "1e9", "²", "ten", "9" * 5000])
def test_an_age_that_is_none_breaks_nothing(age: str) -> None:
    assert clock_trouble(a_look(an_endpoint(), headers=dated(0, age=age))) is None
    assert clock_trouble(a_look(an_endpoint(), headers=dated(-DECADE, age=age))) is not None


NO_DATES = [
    *("", "soon", "0", "9" * 5000, "\x00", ",", ":::", "1 Jan", "Thu, 99 Foo 2026"),
    *("Thu, 01 Jan 99999 00:00:00 GMT", "Thu, 01 Jan 2026 00:00:00 +99999999999"),
    "Fri, 31 Dec 9999 23:59:59 -2359",  # a day later in UTC
]


@pytest.mark.parametrize("date", NO_DATES)
def test_a_date_that_cannot_be_read_says_nothing(date: str) -> None:
    assert clock_trouble(a_look(an_endpoint(), headers={"date": date})) is None
    assert read_observation(a_look(an_endpoint(), headers={"date": date})).outcome == "ok"


def test_the_error_of_a_request_is_told_first() -> None:
    look = a_look(status=None, body=None, error="connection refused", headers=dated(DECADE))
    assert read_observation(look).reason == "connection refused"
