"""When an incident begins and ends, by hand: a row of letters is a row of samples half an hour apart."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from endpoint_history.rollups.incidents import (
    CLOSES_AFTER,
    OPENS_AFTER,
    REACH,
    REDEFINED_AT,
    SILENCE,
    Incident,
    incidents,
)

Sample = tuple[int, float | None]
START = 1_780_000_000
STEP = 1800
UPTIMES = {"b": 90.0, "d": 50.0, "g": 99.0, "-": None}


def found(row: str, *absences: int, start: int = START, step: int = STEP, **before: Any) -> list[tuple[Any, ...]]:
    """The incidents in a row: b bad, d worse, g good, - without a value; times as places in the row."""
    samples = [(start + step * place, UPTIMES[letter]) for place, letter in enumerate(row)]
    spans = incidents(samples, [start + step * place for place in absences], **before)
    return [
        (
            (span.started_at - start) / step,
            None if span.ended_at is None else (span.ended_at - start) / step,
            span.ended_by,
            span.samples,
            span.worst,
        )
        for span in spans
    ]


def test_the_rows_here_are_long_enough() -> None:
    assert (OPENS_AFTER, CLOSES_AFTER) == (2, 3)


@pytest.mark.parametrize("row", ["", "ggg", "-", "gbg", "bgbgb", "g-b-g"])
def test_one_bad_sample_makes_no_incident(row: str) -> None:
    assert found(row) == []


def test_an_incident_begins_with_the_first_bad_sample_and_ends_with_the_first_good_one() -> None:
    assert found("ggbdbggg") == [(2, 5, "recovered", 3, 50)]


def test_an_incident_without_enough_good_samples_goes_on() -> None:
    assert found("gbbgg") == [(1, None, None, 4, 90)]


def test_one_odd_sample_ends_no_incident() -> None:
    assert found("bbgbggbggg") == [(0, 7, "recovered", 7, 90)]


def test_exactly_95_percent_is_good() -> None:
    assert incidents([(0, 95.0), (STEP, 95.0)], []) == []
    assert len(incidents([(0, 94.999), (STEP, 94.999)], [])) == 1


def test_a_sample_without_a_value_neither_breaks_a_row_nor_counts_in_it() -> None:
    assert found("b-b-g-gg") == [(0, 4, "recovered", 2, 90)]


def test_who_leaves_ends_an_incident_at_the_look_that_proves_it() -> None:
    assert found("bbb", 4) == [(0, 4, "left", 3, 90)]


def test_who_left_and_returned_begins_anew() -> None:
    assert found("bbgb--bd", 5) == [(0, 5, "left", 4, 90), (6, None, None, 2, 50)]


def test_an_absence_breaks_a_row_of_bad_samples() -> None:
    assert found("b--b", 1) == []


def test_an_absence_before_the_incident_means_nothing_to_it() -> None:
    assert found("--bb", 1) == [(2, None, None, 2, 90)]


def test_a_day_without_a_value_ends_an_incident_right_after_the_last_one() -> None:
    day = SILENCE // STEP
    assert found("bb" + "-" * (day - 1)) == [(0, None, None, 2, 90)]
    assert found("bb" + "-" * day) == [(0, 1 + 1 / STEP, "silent", 2, 90)]


def test_nothing_but_a_later_look_shows_a_silence() -> None:
    assert found("bb", 1 + SILENCE // STEP) == [(0, 1 + 1 / STEP, "silent", 2, 90)]
    assert found("bb", SILENCE // STEP) == [(0, SILENCE // STEP, "left", 2, 90)]


def test_bad_samples_a_day_apart_are_no_row() -> None:
    assert found("bbb", step=SILENCE) == []
    assert found("bbb", step=SILENCE - 1) == [(0, None, None, 3, 90)]


def test_an_incident_ends_where_uptime_was_redefined() -> None:
    assert found("bbbb", start=REDEFINED_AT - 2 * STEP) == [(0, 2, "redefined", 2, 90), (2, None, None, 2, 90)]


def test_bad_samples_on_both_sides_of_the_redefinition_are_no_row() -> None:
    assert found("bb", start=REDEFINED_AT - STEP) == []


def test_an_incident_from_before_goes_on() -> None:
    before = Incident(START - STEP, samples=5, worst=10.0)
    assert found("bggg", running=before, last_value_at=START - STEP) == [(-1, 1, "recovered", 6, 10)]


def test_an_incident_from_before_is_silent_when_its_last_value_is_old() -> None:
    before = Incident(START - 2 * SILENCE, samples=5, worst=10.0)
    [(_, _, ended_by, samples, _)] = found("b", running=before, last_value_at=START - SILENCE)
    assert (ended_by, samples) == ("silent", 5)


STEPS = st.sampled_from([1800, 13 * 3600, 13 * 3600, SILENCE - 1, SILENCE])
SAMPLES = st.lists(st.tuples(STEPS, st.sampled_from([None, 90.0, 99.0, 99.0])), max_size=8)


def timed(steps: list[tuple[int, float | None]], at: int) -> list[Sample]:
    found = []
    for step, uptime in steps:
        at += step
        found.append((at, uptime))
    return found


def goes_on(incident: Incident, since: int, change: int, events: list[int]) -> bool:
    """Whether what was known, of which all from `change` on may be otherwise now, tells that it goes on at `since`."""
    if incident.ended_at is None or incident.ended_at > since:
        return True
    shown_from = incident.ended_at - 1 + SILENCE
    return incident.ended_by == "silent" and not any(shown_from <= at < change for at in events)


# A good sample almost two silences before the change is the first of the row that closes.
@example([(STEP, 99.0), (SILENCE - 1, 99.0)], SILENCE - 1, [(1, 90.0)], [(1, 99.0)], [])
# Only the change shows that it was silent; now nothing does.
@example([], 9 * SILENCE, [(1, 99.0)], [], [])
@given(SAMPLES, STEPS, SAMPLES, SAMPLES, st.lists(st.integers(START, START + 9 * SILENCE), max_size=1))
def test_from_the_reach_before_a_change_it_is_enough_to_know_what_goes_on(
    before: list[tuple[int, float | None]],
    pause: int,
    old: list[tuple[int, float | None]],
    new: list[tuple[int, float | None]],
    absences: list[int],
) -> None:
    common = timed([(1, 90.0), (STEP, 90.0), *before], START)
    change = common[-1][0] + pause
    since = change - REACH
    known = incidents(common + timed(old, change - 1), sorted(absences))
    truth = incidents(common + timed(new, change - 1), sorted(absences))
    running = [
        i for i in known if i.started_at < since and goes_on(i, since, change, [at for at, _ in common] + absences)
    ]
    values = [(at, uptime) for at, uptime in common if uptime is not None and at < since]
    inside = [uptime for at, uptime in values if running and at >= running[0].started_at]
    found = incidents(
        [(at, uptime) for at, uptime in common + timed(new, change - 1) if at >= since],
        sorted(absences),
        Incident(running[0].started_at, len(inside), min(inside)) if running else None,
        values[-1][0] if running else -(10**12),
    )
    assert found == [i for i in truth if i.started_at >= since or (running and i.started_at == running[0].started_at)]
    assert len([i for i in truth if i.started_at < since and i not in found]) == len(
        [i for i in known if i.started_at < since and i not in running]
    )
