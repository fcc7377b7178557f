"""How well a model was observed, by hand: looks in minutes after a midnight."""

from __future__ import annotations

from endpoint_history.rollups.coverage import Day, Gap, Known, Look, coverage

HALF_HOURLY = 1800
DAY = 1440
MIDNIGHT = 20_000 * 86_400


def looks(*minutes: float, own: bool = True, cadence: int | None = HALF_HOURLY) -> list[Look]:
    return [(MIDNIGHT + round(60 * minute), own, cadence) for minute in minutes]


def gaps(*of: Look, cadence: int | None = None) -> list[tuple[float, float, int]]:
    return [
        ((gap.start - MIDNIGHT) / 60, (gap.end - MIDNIGHT) / 60, gap.missed)
        for gap in coverage(of, known=Known(cadence=cadence))[1]
    ]


def missed(*of: Look) -> dict[int, int]:
    return {number - 20_000: day.missed for number, day in coverage(of)[0].items() if day.missed}


def test_looks_as_the_schedule_wants_them_leave_no_gap() -> None:
    assert coverage(looks(0, 30, 60.5, 89)) == (
        {20_000: Day(observed=4, covered=3 * 1800 + 28 * 60 + 30, last=MIDNIGHT + 89 * 60)},
        [],
    )


def test_a_gap_is_longer_than_one_and_a_half_intervals() -> None:
    assert gaps(*looks(0, 45)) == []
    assert gaps(*looks(0, 45.1)) == [(0, 45.1, 1)]


def test_a_gap_lacks_the_looks_that_would_have_kept_the_interval() -> None:
    assert gaps(*looks(0, 60, 150, 151 + 299)) == [(0, 60, 1), (60, 150, 2), (150, 450, 9)]


def test_a_gap_over_days_is_spread_over_them() -> None:
    assert missed(*looks(DAY - 60, 3 * DAY + 30)) == {0: 1, 1: 48, 2: 48, 3: 1}


def test_what_lacks_at_midnight_is_of_the_new_day() -> None:
    assert missed(*looks(DAY - 30, DAY + 30)) == {1: 1}


def test_before_a_schedule_nothing_was_promised() -> None:
    assert gaps(*looks(0, 5000, cadence=None), *looks(9000)) == []


def test_a_schedule_holds_until_another_look_tells_one() -> None:
    by_hand = looks(100, 300, cadence=None)
    assert gaps(*looks(0), *by_hand) == [(0, 100, 2), (100, 300, 6)]
    assert gaps(*looks(0), *looks(30, cadence=86_400), *by_hand) == []


def test_a_schedule_from_before_holds() -> None:
    assert gaps(*looks(0, 100, cadence=None), cadence=HALF_HOURLY) == [(0, 100, 2)]


def test_looks_of_others_fill_gaps_and_count_apart() -> None:
    days, found = coverage([*looks(0), *looks(30, own=False, cadence=None), *looks(60)])
    assert found == []
    assert days == {20_000: Day(observed=2, imported=1, covered=3 * 1800, last=MIDNIGHT + 3600)}


def test_two_looks_of_one_second_are_one() -> None:
    assert coverage([*looks(0), *looks(0)]) == coverage(looks(0))


def test_a_gap_tells_the_interval_that_it_breaks() -> None:
    assert coverage(looks(0, 500))[1] == [Gap(MIDNIGHT, MIDNIGHT + 30_000, HALF_HOURLY, 16, 0)]


def failures(*minutes: float, run: int = 1) -> list[tuple[int, int]]:
    return [(MIDNIGHT + round(60 * minute), run) for minute in minutes]


def test_of_what_lacks_as_many_failed_as_runs_did() -> None:
    by_two_paths = [*failures(30, 31), *failures(60, run=2)]
    days, [gap] = coverage(looks(0, 120), by_two_paths)
    assert (gap.missed, gap.failed) == (3, 2)
    assert (days[20_000].missed, days[20_000].failed) == (3, 2)


def test_what_failed_without_a_gap_lacks_nothing() -> None:
    days, found = coverage(looks(0, 40), failures(30))
    assert (found, days[20_000].failed) == ([], 0)


def test_what_failed_outside_a_gap_is_not_of_it() -> None:
    assert coverage(looks(0, 30, 90, 120), failures(10, 100))[1][0].failed == 0


def test_what_failed_after_the_gap_of_its_day_is_not_of_it() -> None:
    assert coverage(looks(0, 30, 90, 120), failures(10, 100))[0][20_000].failed == 0


def test_no_more_failed_than_lack() -> None:
    many = [failure for run in range(5) for failure in failures(30 + run, run=run)]
    assert coverage(looks(0, 60), many)[1][0].failed == 1
