"""Four cases in which what keeps history goes wrong: here each comes out as it was, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa
import stamina

from benchmarks.told_by_us import keep, told_by_us
from endpoint_history.database.engine import opened
from models.views import endpoint_intervals
from tests.support.correctness_cases import CASES, Case, Interval, differences, intervals
from tests.support.factories import at

Listing = tuple[str, datetime, datetime | None]


@pytest.fixture(autouse=True)
def _no_waiting_between_attempts() -> Iterator[None]:
    with stamina.set_testing(True, attempts=2):
        yield


def listings(database_url: str) -> set[Listing]:
    e = endpoint_intervals.c
    query = sa.select(e.model + " " + e.route, e.valid_from, e.valid_to)
    with opened(database_url) as engine, engine.connect() as connection:
        return {(endpoint, since, until) for endpoint, since, until in connection.execute(query)}


def spans(history: list[Interval]) -> set[Listing]:
    """From when to when each endpoint is listed, at whatever price."""
    found: list[Listing] = []
    for interval in history:
        last = found[-1] if found else None
        if last and last[0] == interval.endpoint and last[2] == interval.since:
            found[-1] = (interval.endpoint, last[1], interval.until)
        else:
            found.append((interval.endpoint, interval.since, interval.until))
    return set(found)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_prices_and_listings_are_told_as_they_were(case: Case, database_url: str, tmp_path: Path) -> None:
    keep(case, database_url, tmp_path)
    told = told_by_us(database_url)
    assert differences(told, case.truth) == []
    assert set(told) == set(case.truth)
    assert listings(database_url) == spans(list(case.truth))


def steps(*changes: tuple[int, str | None]) -> list[Interval]:
    return intervals("acme/m north", [(at(minute), Decimal(price) if price else None) for minute, price in changes])


@pytest.mark.parametrize(
    ("told", "line"),
    [
        (steps((0, "1"), (60, "2")), "at 09:30: $1, was $2"),
        (steps((0, "1"), (30, None)), "at 09:30: not listed, was $2"),
        (steps((0, "1")) + steps((30, "2")), "at 09:30: $1 and $2, was $2"),
        (steps((0, "1"), (30, "2"), (60, None)), "at 10:00: not listed, was $2"),
        ([], "at 09:00: not listed, was $1"),
    ],
    ids=["too late", "retired", "two prices", "ended", "nothing"],
)
def test_a_history_that_is_wrong_is_found_out(told: list[Interval], line: str) -> None:
    assert differences(told, steps((0, "1"), (30, "2"))) == [f"acme/m north {line}"]


def test_a_history_that_says_the_same_in_more_rows_is_right() -> None:
    assert differences(steps((0, "1"), (15, "1"), (30, "2")), steps((0, "1"), (30, "2"))) == []
