"""How well a model was observed, against the schedule. Pure: looks in, days and gaps out.

The schedule in force is that of the newest look under one, until such a look tells another; before the first, nothing
was promised. Where two looks lie further apart than one and a half of its intervals is a gap. It lacks as many looks as
would have kept the interval, evenly spread over it; as many as runs failed meanwhile were made, the others missed.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from models.listing import UPTIME_WINDOW

# As the uptime it brings: a look stands for so many seconds before it, or those since the last.
WINDOW = int(UPTIME_WINDOW.total_seconds())
_DAY = 86_400


# A look that counts: when (unix seconds), whether we made it ourselves, and the interval of its schedule in seconds.
Look = tuple[int, bool, int | None]
Failure = tuple[int, int]  # when (unix seconds), and the run by id


@dataclass(slots=True)
class Day:
    """What a day has: our own looks, imported ones, those that lack, of these failed; seconds that looks stand for.

    `last` is when the last of them was, in unix seconds.
    """

    observed: int = 0
    imported: int = 0
    missed: int = 0
    failed: int = 0
    covered: int = 0
    last: int | None = None


class Gap(NamedTuple):
    """A time between two looks, in unix seconds, in which some lack."""

    start: int
    end: int
    cadence: int
    missed: int
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Known:
    """What was known of a model before its looks, and what of that is final: all that began before `since`.

    `last` is its last look by then, in unix seconds, and `cadence` was in force. Where that look's day is to be gone on
    with, `day` is what it had, and `gaps` are those that reach into it.
    """

    since: int = 0
    last: int | None = None
    cadence: int | None = None
    day: Day | None = None
    gaps: Sequence[Gap] = ()


def coverage(
    looks: Iterable[Look], failures: Sequence[Failure] = (), known: Known = Known()
) -> tuple[dict[int, Day], list[Gap]]:
    """The days (since 1970-01-01) and gaps of one model's looks, in order of time; of one second the first counts.

    `failures` are looks that failed, in order of time too.
    """
    last, cadence = known.last, known.cadence
    days = {last // _DAY: known.day} if last is not None and known.day else {}
    gaps = list(known.gaps)
    for at, own, own_cadence in looks:
        if at == last:  # two paths may answer in the same second that a model is gone
            continue
        day = days.get(at // _DAY) or days.setdefault(at // _DAY, Day())
        if own:
            day.observed += 1
        else:
            day.imported += 1
        day.last = at
        day.covered += WINDOW if last is None or at - last > WINDOW else at - last
        if last is not None and cadence and 2 * (at - last) > 3 * cadence:
            gap = Gap(last, at, cadence, missed=(2 * (at - last) + cadence) // (2 * cadence) - 1)
            gaps.append(gap)
            for on, missed in _spread(gap):
                days.setdefault(on, Day()).missed += missed
        cadence = own_cadence or cadence
        last = at
    failed_of_days: dict[int, set[int]] = {}
    for place, gap in enumerate(gaps):
        within = failures[bisect_left(failures, (gap.start, -1)) : bisect_left(failures, (gap.end, -1))]
        for at, run in within:
            failed_of_days.setdefault(at // _DAY, set()).add(run)
        gaps[place] = gap._replace(failed=min(gap.missed, len({run for _, run in within})))
    for number, runs in failed_of_days.items():
        if number in days:
            days[number].failed = min(days[number].missed, len(runs))
    return days, [gap for gap in gaps if gap.start >= known.since]


def _spread(gap: Gap) -> Iterator[tuple[int, int]]:
    """How many of the looks that lack fall on which day."""
    before = 0
    for day in range(gap.start // _DAY, gap.end // _DAY + 1):
        # The gap is cut into missed + 1 parts, one look at each cut: so many cuts lie before the day's end.
        cuts = ((_DAY * (day + 1) - gap.start) * (gap.missed + 1) - 1) // (gap.end - gap.start)
        until = min(cuts, gap.missed)
        if until > before:
            yield day, until - before
        before = until
