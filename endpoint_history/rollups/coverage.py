"""Compare the evidence of a model with the schedule. Pure: evidence in, days and gaps out.

The cadence in force is that of the newest scheduled evidence; before the first, nothing was expected. Two pieces of
evidence more than one and a half cadences apart enclose a gap. The observations that would have kept the cadence,
evenly spread over the gap, are missed. As many of them as runs failed meanwhile are counted as failed.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from models.listing import UPTIME_WINDOW

# Like its uptime, evidence covers this many seconds before it, or those since the evidence before.
WINDOW = int(UPTIME_WINDOW.total_seconds())
_DAY = 86_400


# Evidence: unix seconds, True if collected live (not imported), cadence in seconds.
EvidencePoint = tuple[int, bool, int | None]
Failure = tuple[int, int]  # unix seconds, run id


@dataclass(slots=True)
class CoverageDay:
    """Evidence of one day: live, imported, missed, and how many of the missed failed; covered seconds.

    `last` is the time of its last evidence, in unix seconds.
    """

    observed: int = 0
    imported: int = 0
    missed: int = 0
    failed: int = 0
    covered: int = 0
    last: int | None = None


class Gap(NamedTuple):
    """A span between two pieces of evidence, in unix seconds, in which some were missed."""

    start: int
    end: int
    cadence: int
    missed: int
    failed: int = 0


@dataclass(frozen=True, slots=True)
class CoverageState:
    """The coverage of a model before new evidence. Gaps that began before `since` are final.

    `last` is the time of its last evidence, in unix seconds, and `cadence` was in force. To continue the day of that
    evidence, `day` holds what the day had, and `gaps` the gaps that reach into it.
    """

    since: int = 0
    last: int | None = None
    cadence: int | None = None
    day: CoverageDay | None = None
    gaps: Sequence[Gap] = ()


def coverage(
    evidence: Iterable[EvidencePoint], failures: Sequence[Failure] = (), state: CoverageState = CoverageState()
) -> tuple[dict[int, CoverageDay], list[Gap]]:
    """Return the days (by days since 1970-01-01) and the gaps of one model's evidence.

    Evidence and `failures` (failed observations) are in order of time. In one second, the first evidence counts.
    """
    last, cadence = state.last, state.cadence
    days = {last // _DAY: state.day} if last is not None and state.day else {}
    gaps = list(state.gaps)
    for at, own, own_cadence in evidence:
        if at == last:  # two paths may return `gone` in the same second
            continue
        day = days.get(at // _DAY) or days.setdefault(at // _DAY, CoverageDay())
        if own:
            day.observed += 1
        else:
            day.imported += 1
        day.last = at
        day.covered += WINDOW if last is None or at - last > WINDOW else at - last
        if last is not None and cadence and 2 * (at - last) > 3 * cadence:
            gap = Gap(last, at, cadence, missed=(2 * (at - last) + cadence) // (2 * cadence) - 1)
            gaps.append(gap)
            for number, missed in _spread(gap):
                days.setdefault(number, CoverageDay()).missed += missed
        cadence = own_cadence or cadence
        last = at
    _count_failures(days, gaps, failures)
    return days, [gap for gap in gaps if gap.start >= state.since]


def _count_failures(days: dict[int, CoverageDay], gaps: list[Gap], failures: Sequence[Failure]) -> None:
    """Count the runs that failed in gaps: in each gap and on each day, at most as many as observations were missed."""
    failed_of_days: dict[int, set[int]] = {}
    for place, gap in enumerate(gaps):
        within = failures[bisect_left(failures, (gap.start, -1)) : bisect_left(failures, (gap.end, -1))]
        for at, run in within:
            failed_of_days.setdefault(at // _DAY, set()).add(run)
        gaps[place] = gap._replace(failed=min(gap.missed, len({run for _, run in within})))
    for number, runs in failed_of_days.items():
        if number in days:
            days[number].failed = min(days[number].missed, len(runs))


def _spread(gap: Gap) -> Iterator[tuple[int, int]]:
    """Yield each day with a missed observation, and how many."""
    before = 0
    for day in range(gap.start // _DAY, gap.end // _DAY + 1):
        # The missed observations divide the gap into missed + 1 equal parts: so many are before the day's end.
        cuts = ((_DAY * (day + 1) - gap.start) * (gap.missed + 1) - 1) // (gap.end - gap.start)
        until = min(cuts, gap.missed)
        if until > before:
            yield day, until - before
        before = until
