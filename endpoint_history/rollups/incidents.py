"""Find the incidents of an endpoint, with hysteresis. Pure: times and uptimes in, spans out.

A sample is bad below `BAD_BELOW` percent. An incident opens at the first of `OPENS_AFTER` bad samples in a row and ends
at the first of `CLOSES_AFTER` good samples in a row. So a single sample neither opens nor ends one. A sample without a
value is neither good nor bad, and a failed observation has no sample: neither interrupts a row or counts in it.

A row is interrupted, and an incident ends, where nothing more is known about it:

- the endpoint is no longer listed (`left`): from the evidence that proves it;
- no sample has had a value for `SILENCE` (`silent`): a second after the last one, once a later observation shows it;
- uptime was redefined (`redefined`) at `REDEFINED_AT`: bad samples before and after measure different things.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from models.listing import UPTIME_REDEFINED_AT

BAD_BELOW = 95.0  # where upstream itself begins to say degraded (-2); below 80 it says down (-5)
OPENS_AFTER = 2
CLOSES_AFTER = 3
SILENCE = 86_400
REDEFINED_AT = int(UPTIME_REDEFINED_AT.timestamp())
# No sample older than this before an instant is in a row with later samples, as there would be a silence in between.
# It matters only to an incident that continues.
REACH = (max(OPENS_AFTER, CLOSES_AFTER) - 1) * SILENCE

Ending = Literal["recovered", "left", "silent", "redefined"]
_LONG_AGO = -(1 << 60)


@dataclass(slots=True)
class Incident:
    """One incident, half-open, in unix seconds; `ended_at` is None while it continues.

    `samples` counts its samples with a value; `worst` is the lowest of them in percent.
    """

    started_at: int
    samples: int
    worst: float
    ended_at: int | None = None
    ended_by: Ending | None = None


def incidents(
    samples: Iterable[tuple[int, float | None]],
    absences: Sequence[int],
    running: Incident | None = None,
    last_value_at: int = _LONG_AGO,
) -> list[Incident]:
    """Return the incidents in an endpoint's samples (unix seconds, percent), in order of time.

    `absences` are the times at which it was no longer listed. `running` is an incident that continues at the first
    sample, and `last_value_at` is the time of its last sample with a value.
    """
    track = _Track(absences, running, last_value_at)
    for at, uptime in samples:
        if track.running or track.bad:
            track.end_before(at)
        if uptime is None:
            continue
        track.last_value_at = at
        if uptime < BAD_BELOW:
            track.add_bad(at, uptime)
        elif track.running:
            track.add_good(at, track.running)
        else:
            track.bad.clear()
    if absences:
        track.end_before(absences[-1])
    return track.found


@dataclass(slots=True)
class _Track:
    absences: Sequence[int]
    running: Incident | None
    last_value_at: int
    found: list[Incident] = field(default_factory=list)
    bad: list[tuple[int, float]] = field(default_factory=list)  # in a row, too few to open an incident
    good: list[int] = field(default_factory=list)  # in a row, too few to end the running one

    def __post_init__(self) -> None:
        self.found += [self.running] if self.running else []

    def add_bad(self, at: int, uptime: float) -> None:
        self.good.clear()
        if self.running:
            self.running.samples += 1
            self.running.worst = min(self.running.worst, uptime)
            return
        self.bad.append((at, uptime))
        if len(self.bad) == OPENS_AFTER:
            self.running = Incident(self.bad[0][0], OPENS_AFTER, min(worst for _, worst in self.bad))
            self.found.append(self.running)
            self.bad.clear()

    def add_good(self, at: int, running: Incident) -> None:
        running.samples += 1
        self.good.append(at)
        if len(self.good) == CLOSES_AFTER:
            running.samples -= CLOSES_AFTER
            self._end(self.good[0], "recovered")

    def end_before(self, at: int) -> None:
        """End the row or incident at the first event between the last value and this instant, if there was one."""
        last = self.last_value_at
        left = self.absences[bisect_right(self.absences, last) :][:1]
        endings: list[tuple[int, int, Ending]] = [
            (last + SILENCE, last + 1, "silent"),
            (REDEFINED_AT, REDEFINED_AT, "redefined"),
            *((absence, absence, "left") for absence in left),
        ]
        came = [ending for ending in endings if last < ending[0] <= at]
        if came:
            _, ended_at, ended_by = min(came)
            self._end(ended_at, ended_by)

    def _end(self, at: int, by: Ending) -> None:
        if self.running:
            self.running.ended_at, self.running.ended_by = at, by
        self.running = None
        self.bad.clear()
        self.good.clear()
