"""When a rule alerts. Pure: dated values and looks in, alerts out.

What fires at an instant is a function of what was known by then, and of nothing else. So no table says what was told:
the time line cut into runs, each of which tells what fires in its own part, gives the same alerts as one pass over all
of it, each once.

1. **Held.** A value counts from the first look at which it has held for as long as the rule says. One that doesn't last
   so long is passed over, as if it had not been.
2. **Fired.** A value that counts and is beyond the rule, seen from the one that counted before it, alerts: at once, or
   where the last alert is younger than `rearm`, at the first look after that at which it is still beyond.
3. **Returned.** After an alert, the first value that counts and is not beyond the rule, seen from what counted before
   the alert, is the return to normal. It is told once, and is never an alert itself. A new alert takes the place of one
   that has not returned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Generic, Literal, TypeVar

V = TypeVar("V")
Direction = Literal["up", "down", "both", "gone", "listed"]
NextObservation = Callable[[datetime], datetime | None]
Prices = Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class HeldValue(Generic[V]):
    """A value from `start` to before `end`; None: it holds."""

    start: datetime
    end: datetime | None
    value: V

    def can_hold(self, hold: timedelta) -> bool:
        """Whether it lasts long enough for a look to find it held."""
        return self.end is None or self.end > self.start + hold


@dataclass(frozen=True, slots=True)
class Step(Generic[V]):
    """From `at` on this value counts."""

    at: datetime
    value: V


@dataclass(frozen=True, slots=True)
class Alert(Generic[V]):
    """It fired, or what had fired returned to normal, at a look. `before` and `after` are the values that counted."""

    kind: Literal["fired", "returned"]
    at: datetime
    before: V
    after: V


@dataclass(frozen=True, slots=True)
class IncidentTimes:
    """An incident: what is known of it, and since when.

    It began at `started_at`, which was known at `opened_at`, the second bad sample. It ended at `ended_at`, which was
    known at `over_at`, such as the third good sample.
    """

    started_at: datetime
    opened_at: datetime
    ended_at: datetime | None = None
    over_at: datetime | None = None


def held_values(rows: Iterable[tuple[datetime, V | None]]) -> list[HeldValue[V]]:
    """The spans of each value in rows in order of time; None says nothing, but ends what was before."""
    found: list[HeldValue[V]] = []
    start: datetime | None = None
    held: V | None = None
    for at, value in rows:
        if value == held:
            continue
        if start is not None and held is not None:
            found.append(HeldValue(start, at, held))
        start, held = at, value
    return [*found, HeldValue(start, None, held)] if start is not None and held is not None else found


def debounced(found: Iterable[HeldValue[V]], hold: timedelta, next_observation: NextObservation) -> list[Step[V]]:
    """From when on each span's value counts; `next_observation` gives the first look at or after an instant."""
    steps: list[Step[V]] = []
    for span in found:
        # The look that showed it first is one: there is no need to ask for it.
        at = (next_observation(span.start + hold) if hold else span.start) if span.can_hold(hold) else None
        if at is not None and (span.end is None or at < span.end):
            steps.append(Step(at, span.value))
    return steps


def combined(tracks: Mapping[str, Iterable[Step[Decimal]]]) -> list[Step[Prices]]:
    """Several prices that count from their own instants, as sets of prices."""
    by_time: dict[datetime, dict[str, Decimal]] = {}
    for key, steps in tracks.items():
        for step in steps:
            by_time.setdefault(step.at, {})[key] = step.value
    found: list[Step[Prices]] = []
    now: dict[str, Decimal] = {}
    for at in sorted(by_time):
        now = now | by_time[at]
        found.append(Step(at, now))
    return found


def incident_steps(
    incidents: Iterable[IncidentTimes], hold: timedelta, next_observation: NextObservation
) -> Iterator[Step[bool]]:
    """When incidents that last so long count as trouble, and when as over, in order of time."""
    for incident in incidents:
        held = next_observation(incident.started_at + hold)
        at = held and max(held, incident.opened_at)
        if at is not None and (incident.over_at is None or at < incident.over_at):
            yield Step(at, True)
            if incident.over_at is not None:
                yield Step(incident.over_at, False)


def alerts(
    steps: Sequence[Step[V]],
    rearm: timedelta,
    beyond: Callable[[V, V], bool],
    next_observation: NextObservation,
    normal: V | None = None,
) -> Iterator[Alert[V]]:
    """The alerts of one rule about one endpoint, in order of time.

    `beyond` says whether a value is beyond the rule, seen from another. `normal` is what counted before the first step;
    without it the first one is normal.
    """
    current = normal
    told: V | None = None  # what was normal before the last alert, while that has not returned
    awaited: V | None = None  # what was normal before something that has to wait for the rule to be armed
    armed_at: datetime | None = None
    for place, step in enumerate(steps):
        before, current = current, step.value
        if before is None:
            continue
        if told is not None and not beyond(told, step.value):
            yield Alert("returned", step.at, before, step.value)
            told = awaited = None
            continue
        seen_from = before if awaited is None else awaited
        awaited = None
        if not beyond(seen_from, step.value):
            continue
        waits = armed_at is not None and step.at < armed_at
        at = next_observation(armed_at) if waits and armed_at is not None else step.at
        following = steps[place + 1].at if place + 1 < len(steps) else None
        if at is None or (following is not None and at >= following):
            awaited = seen_from
            continue
        yield Alert("fired", at, seen_from, step.value)
        told, armed_at = seen_from, at + rearm


def moved(before: Prices, after: Prices, threshold_pct: Decimal, direction: Direction) -> dict[str, Decimal | None]:
    """Which prices moved by so many percent or more, and by how many; None: something was free before."""
    found: dict[str, Decimal | None] = {}
    for key in sorted(before.keys() & after.keys()):
        old, new = before[key], after[key]
        if old == new or direction == ("down" if new > old else "up"):
            continue
        percent = (new - old) / old * 100 if old else None
        if percent is None or abs(percent) >= threshold_pct:
            found[key] = percent
    return found
