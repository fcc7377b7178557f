"""When a rule alerts: values, looks and rules by hand, and what must be so of any."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from endpoint_history.alerts.engine import (
    Alert,
    HeldValue,
    IncidentTimes,
    alerts,
    combined,
    debounced,
    held_values,
    incident_steps,
    moved,
)
from tests.support.factories import at

STEP = 30
NORMAL, HIGH, HIGHER = 10, 20, 40
Told = tuple[str, float]


def beyond(before: int, after: int) -> bool:
    return after >= 2 * before


def first_look_of(looks: Sequence[datetime]) -> Callable[[datetime], datetime | None]:
    return lambda instant: next(iter(looks[bisect_left(looks, instant) :]), None)


def told(values: str, hold: int = 0, rearm: int = 0, until: int | None = None) -> list[Told]:
    """What fires (f) and returns (r) at which look, in a row of looks half an hour apart.

    n normal, h high, H higher, `.` a look that says nothing, and `x` none at all.
    """
    seen = {"n": NORMAL, "h": HIGH, "H": HIGHER}
    last = len(values) if until is None else until
    looks = [at(STEP * place) for place, sign in enumerate(values[:last]) if sign in seen]
    rows = [(at(STEP * place), seen[sign]) for place, sign in enumerate(values[:last]) if sign in seen]
    found = fired(rows, looks, timedelta(minutes=STEP * hold), timedelta(minutes=STEP * rearm))
    return [(alert.kind[0], (alert.at - at(0)) / timedelta(minutes=STEP)) for alert in found]


def fired(
    rows: Sequence[tuple[datetime, int | None]], looks: Sequence[datetime], hold: timedelta, rearm: timedelta
) -> list[Alert[int]]:
    next_observation = first_look_of(looks)
    return list(alerts(debounced(held_values(rows), hold, next_observation), rearm, beyond, next_observation))


@pytest.mark.parametrize(
    ("values", "hold", "rearm", "expected"),
    [
        ("nnnn", 0, 0, []),
        ("hhhh", 0, 0, []),
        ("nnhh", 0, 0, [("f", 2)]),
        ("nnnhhhh", 2, 0, [("f", 5)]),
        ("nnhhhh", 2, 0, []),
        ("nnnhhnn", 2, 0, []),
        ("nhnhnhnhn", 1, 0, []),
        ("nhnhnhnhn", 0, 100, [("f", 1), ("r", 2)]),
        ("nnhhhnnn", 1, 0, [("f", 3), ("r", 6)]),
        ("nnhhhnnhhh", 1, 100, [("f", 3), ("r", 6)]),
        ("nhhnhhhhh", 0, 6, [("f", 1), ("r", 3), ("f", 7)]),
        ("nhhnhhnnn", 0, 6, [("f", 1), ("r", 3)]),
        ("nhhHHnn", 0, 0, [("f", 1), ("f", 3), ("r", 5)]),
        ("nhhHHnn", 0, 100, [("f", 1), ("r", 5)]),
        ("nnnnhxxxxh", 3, 0, [("f", 9)]),
        ("nnnnhxxxxn", 3, 0, []),
        ("nhh..hh", 0, 0, [("f", 1)]),
    ],
)
def test_what_fires_and_returns_when(values: str, hold: int, rearm: int, expected: list[Told]) -> None:
    assert told(values, hold, rearm) == expected


def test_an_alert_that_waits_for_its_rule_is_told_at_a_look_after_it_is_armed() -> None:
    assert told("nhnhhxxh", rearm=5) == [("f", 1), ("r", 2), ("f", 7)]


def test_a_value_of_which_nothing_is_known_breaks_what_was_held() -> None:
    rows = [(at(-90), NORMAL), (at(30), HIGH), (at(60), None), (at(90), HIGH)]
    looks = [at(minute) for minute in (-90, -30, 30, 90, 120, 150)]
    [alert] = fired(rows, looks, timedelta(minutes=60), timedelta(0))
    assert (alert.kind, alert.at) == ("fired", at(150))


def test_spans_are_the_times_of_one_value() -> None:
    rows = [(at(0), 1), (at(1), 1), (at(2), 2), (at(3), None), (at(4), None), (at(5), 2)]
    assert held_values(rows) == [HeldValue(at(0), at(2), 1), HeldValue(at(2), at(3), 2), HeldValue(at(5), None, 2)]


@pytest.mark.parametrize(
    ("before", "after", "direction", "expected"),
    [
        ("1", "1.1", "both", {"prompt": Decimal(10)}),
        ("1", "1.09", "both", {}),
        ("1", "0.9", "both", {"prompt": Decimal(-10)}),
        ("1", "0.9", "up", {}),
        ("1", "0.9", "down", {"prompt": Decimal(-10)}),
        ("1", "1.1", "down", {}),
        ("0", "0.0000001", "up", {"prompt": None}),
        ("0", "0", "both", {}),
        ("1", "0", "down", {"prompt": Decimal(-100)}),
    ],
)
def test_a_price_moves_by_percent(before: str, after: str, direction: Any, expected: dict[str, Decimal]) -> None:
    prices = ({"prompt": Decimal(before), "image": Decimal(1)}, {"prompt": Decimal(after)})
    assert moved(*prices, Decimal(10), direction) == expected


def test_prices_that_move_at_one_look_are_one_step() -> None:
    tracks = {key: debounced([HeldValue(at(0), None, Decimal(1))], timedelta(0), lambda _: None) for key in ("a", "b")}
    assert [step.value for step in combined(tracks)] == [{"a": 1, "b": 1}]


def test_an_incident_counts_once_it_was_known_and_has_lasted() -> None:
    looks = [at(30 * place) for place in range(9)]
    trouble = IncidentTimes(at(30), at(90), at(150), at(210))
    assert steps_of([trouble], looks, 0) == [(90, True), (210, False)]
    assert steps_of([trouble], looks, 120) == [(150, True), (210, False)]
    assert steps_of([trouble], looks, 180) == []
    assert steps_of([IncidentTimes(at(30), at(90))], looks, 60) == [(90, True)]


def steps_of(incidents: list[IncidentTimes], looks: list[datetime], hold: int) -> list[tuple[float, bool]]:
    found = incident_steps(incidents, timedelta(minutes=hold), first_look_of(looks))
    return [((step.at - at(0)).total_seconds() / 60, step.value) for step in found]


# By hand above, by chance below: looks at random minutes, values that change at some of them.
MINUTES = st.lists(st.integers(0, 600), min_size=2, max_size=25, unique=True).map(sorted)
VALUES = st.lists(st.sampled_from([NORMAL, NORMAL, HIGH, HIGHER, None]), min_size=25, max_size=25)
SPANS = st.integers(0, 200)
CUTS = st.lists(st.integers(0, 600), max_size=8)


@given(minutes=MINUTES, values=VALUES, hold=SPANS, rearm=SPANS, cuts=CUTS)
def test_the_time_cut_into_runs_gives_the_alerts_of_one_pass_each_once(
    minutes: list[int], values: list[int | None], hold: int, rearm: int, cuts: list[int]
) -> None:
    looks, rows = history(minutes, values)
    given_ = (timedelta(minutes=hold), timedelta(minutes=rearm))
    whole = fired(rows, looks, *given_)
    told_: list[Alert[int]] = []
    for since, until in pairwise([at(-1), *map(at, sorted(cuts)), at(601)]):
        known = fired([row for row in rows if row[0] <= until], looks[: bisect_right(looks, until)], *given_)
        told_ += [alert for alert in known if since < alert.at <= until]
    assert told_ == whole


@given(minutes=MINUTES, values=VALUES, hold=SPANS, rearm=SPANS)
def test_an_alert_comes_once_and_a_return_is_told_once(
    minutes: list[int], values: list[int | None], hold: int, rearm: int
) -> None:
    looks, rows = history(minutes, values)
    found = fired(rows, looks, timedelta(minutes=hold), timedelta(minutes=rearm))
    kinds = [alert.kind for alert in found]
    assert kinds[:1] != ["returned"]
    assert ("returned", "returned") not in pairwise(kinds)
    times = [alert.at for alert in found if alert.kind == "fired"]
    assert all(later - earlier >= timedelta(minutes=rearm) for earlier, later in pairwise(times))
    assert all(alert.at in looks for alert in found)
    assert all(beyond(alert.before, alert.after) for alert in found if alert.kind == "fired")


@given(minutes=MINUTES, values=VALUES, hold=st.integers(1, 200))
def test_what_does_not_hold_alerts_nobody(minutes: list[int], values: list[int | None], hold: int) -> None:
    looks, rows = history(minutes, values)
    held = timedelta(minutes=hold)
    for alert in fired(rows, looks, held, timedelta(0)):
        [span] = [
            span for span in held_values(rows) if span.start <= alert.at and not (span.end and span.end <= alert.at)
        ]
        assert span.value == alert.after
        assert alert.at - span.start >= held


@given(minutes=MINUTES, values=VALUES, hold=SPANS, rearm=SPANS)
def test_who_was_told_of_an_alert_is_told_of_the_return(
    minutes: list[int], values: list[int | None], hold: int, rearm: int
) -> None:
    looks, rows = history(minutes, values)
    times = (timedelta(minutes=hold), timedelta(minutes=rearm))
    found = fired(rows, looks, *times)
    if found and found[-1].kind == "fired":
        last = found[-1]
        counted = [step for step in debounced(held_values(rows), times[0], first_look_of(looks)) if step.at > last.at]
        assert all(beyond(last.before, step.value) for step in counted)


TROUBLES = st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3)), max_size=4)


@given(lengths=TROUBLES, hold=SPANS, rearm=SPANS, cuts=CUTS)
def test_incidents_cut_into_runs_give_the_alerts_of_one_pass(
    lengths: list[tuple[int, int, int, int]], hold: int, rearm: int, cuts: list[int]
) -> None:
    looks = [at(STEP * place) for place in range(21)]
    incidents: list[IncidentTimes] = []
    place = 0
    for calm, opens, lasts, closes in lengths:
        start = place + calm
        place = start + opens + lasts + closes
        times = (start, start + opens, start + opens + lasts, place)
        incidents.append(IncidentTimes(*(at(STEP * time) for time in times)))
    whole = troubles(incidents, looks, hold, rearm)
    told_ = []
    for since, until in pairwise([at(-1), *map(at, sorted(cuts)), at(601)]):
        known = [as_known(item, until) for item in incidents if item.opened_at <= until]
        found = troubles(known, looks[: bisect_right(looks, until)], hold, rearm)
        told_ += [alert for alert in found if since < alert.at <= until]
    assert told_ == [alert for alert in whole if alert.at <= at(601)]


def as_known(trouble: IncidentTimes, until: datetime) -> IncidentTimes:
    is_over = trouble.over_at is not None and trouble.over_at <= until
    return trouble if is_over else replace(trouble, ended_at=None, over_at=None)


def troubles(incidents: list[IncidentTimes], looks: list[datetime], hold: int, rearm: int) -> list[Alert[bool]]:
    next_observation = first_look_of(looks)
    steps = list(incident_steps(incidents, timedelta(minutes=hold), next_observation))
    return list(
        alerts(
            steps, timedelta(minutes=rearm), lambda before, after: after and not before, next_observation, normal=False
        )
    )


def history(minutes: list[int], values: list[int | None]) -> tuple[list[datetime], list[tuple[datetime, int | None]]]:
    return [at(minute) for minute in minutes], [
        (at(minute), value) for minute, value in zip(minutes, values, strict=False)
    ]
