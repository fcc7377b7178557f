"""Coverage by hand-made evidence, in minutes after a midnight."""

from __future__ import annotations

from endpoint_history.rollups.coverage import CoverageDay, CoverageState, EvidencePoint, Gap, coverage

HALF_HOURLY = 1800
DAY = 1440
MIDNIGHT = 20_000 * 86_400


def evidence(*minutes: float, own: bool = True, cadence: int | None = HALF_HOURLY) -> list[EvidencePoint]:
    return [(MIDNIGHT + round(60 * minute), own, cadence) for minute in minutes]


def gaps(*of: EvidencePoint, cadence: int | None = None) -> list[tuple[float, float, int]]:
    return [
        ((gap.start - MIDNIGHT) / 60, (gap.end - MIDNIGHT) / 60, gap.missed)
        for gap in coverage(of, state=CoverageState(cadence=cadence))[1]
    ]


def missed(*of: EvidencePoint) -> dict[int, int]:
    return {number - 20_000: day.missed for number, day in coverage(of)[0].items() if day.missed}


def test_evidence_on_schedule_leaves_no_gap() -> None:
    assert coverage(evidence(0, 30, 60.5, 89)) == (
        {20_000: CoverageDay(observed=4, covered=3 * 1800 + 28 * 60 + 30, last=MIDNIGHT + 89 * 60)},
        [],
    )


def test_a_gap_is_longer_than_one_and_a_half_intervals() -> None:
    assert gaps(*evidence(0, 45)) == []
    assert gaps(*evidence(0, 45.1)) == [(0, 45.1, 1)]


def test_a_gap_misses_the_observations_that_would_have_kept_the_cadence() -> None:
    assert gaps(*evidence(0, 60, 150, 151 + 299)) == [(0, 60, 1), (60, 150, 2), (150, 450, 9)]


def test_missed_observations_are_spread_over_the_days_of_a_gap() -> None:
    assert missed(*evidence(DAY - 60, 3 * DAY + 30)) == {0: 1, 1: 48, 2: 48, 3: 1}


def test_an_observation_missed_at_midnight_belongs_to_the_new_day() -> None:
    assert missed(*evidence(DAY - 30, DAY + 30)) == {1: 1}


def test_nothing_is_expected_before_the_first_schedule() -> None:
    assert gaps(*evidence(0, 5000, cadence=None), *evidence(9000)) == []


def test_a_cadence_holds_until_other_evidence_has_one() -> None:
    by_hand = evidence(100, 300, cadence=None)
    assert gaps(*evidence(0), *by_hand) == [(0, 100, 2), (100, 300, 6)]
    assert gaps(*evidence(0), *evidence(30, cadence=86_400), *by_hand) == []


def test_an_earlier_cadence_holds() -> None:
    assert gaps(*evidence(0, 100, cadence=None), cadence=HALF_HOURLY) == [(0, 100, 2)]


def test_imported_evidence_fills_gaps_and_is_counted_separately() -> None:
    days, found = coverage([*evidence(0), *evidence(30, own=False, cadence=None), *evidence(60)])
    assert found == []
    assert days == {20_000: CoverageDay(observed=2, imported=1, covered=3 * 1800, last=MIDNIGHT + 3600)}


def test_two_observations_in_one_second_count_once() -> None:
    assert coverage([*evidence(0), *evidence(0)]) == coverage(evidence(0))


def test_a_gap_has_the_cadence_that_it_breaks() -> None:
    assert coverage(evidence(0, 500))[1] == [Gap(MIDNIGHT, MIDNIGHT + 30_000, HALF_HOURLY, 16, 0)]


def failures(*minutes: float, run: int = 1) -> list[tuple[int, int]]:
    return [(MIDNIGHT + round(60 * minute), run) for minute in minutes]


def test_each_failed_run_in_a_gap_counts_once() -> None:
    by_two_paths = [*failures(30, 31), *failures(60, run=2)]
    days, [gap] = coverage(evidence(0, 120), by_two_paths)
    assert (gap.missed, gap.failed) == (3, 2)
    assert (days[20_000].missed, days[20_000].failed) == (3, 2)


def test_a_failure_outside_gaps_is_not_missed() -> None:
    days, found = coverage(evidence(0, 40), failures(30))
    assert (found, days[20_000].failed) == ([], 0)


def test_a_failure_before_or_after_a_gap_is_not_in_it() -> None:
    assert coverage(evidence(0, 30, 90, 120), failures(10, 100))[1][0].failed == 0


def test_a_failure_after_the_gap_of_its_day_is_not_counted_that_day() -> None:
    assert coverage(evidence(0, 30, 90, 120), failures(10, 100))[0][20_000].failed == 0


def test_no_more_failures_than_missed_observations() -> None:
    many = [failure for run in range(5) for failure in failures(30 + run, run=run)]
    assert coverage(evidence(0, 60), many)[1][0].failed == 1
