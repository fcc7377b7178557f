"""Which observations count. Pure, and a function of the set of observations alone, whatever order they came in.

A model can be reached by several paths, and two sources can tell of one look. So that nothing is counted twice and no
answer of one path contradicts another, an observation that proves something (`ok`, `gone`) counts unless

1. it is a *conflict*: another of the same target at the same instant ranks before it. `ok` ranks before `gone`,
   complete before incomplete, then the smaller body digest decides;
2. it is an *echo*: an `ok` of the same model within `ECHO_WINDOW`, before or after, came by a preferred path. Preferred
   is the path that equals the model id, then the first in order of the alphabet. An echo may be an older copy of the
   same answer out of a cache;
3. it is *outweighed*: a `gone` while another path showed that model as `ok` within `ECHO_WINDOW`.

A `gone` speaks only for the model that its path showed last, and for none if the path never showed one.
No rule asks whether the other observation counts itself: so what once does not count never counts later.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from models.observation import Outcome, Target

ECHO_WINDOW = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Sighting:
    """What of an `ok` or `gone` observation decides whether it counts. `model` is the id it speaks for."""

    id: int
    target: Target
    observed_at: datetime
    outcome: Outcome
    complete: bool
    body_digest: str
    model: str


def counting(sightings: Sequence[Sighting]) -> set[int]:
    """The ids of those that count, judged among themselves."""
    by_model: dict[str, list[Sighting]] = {}
    by_look: dict[tuple[Target, datetime], list[Sighting]] = {}
    for sighting in sightings:
        by_look.setdefault((sighting.target, sighting.observed_at), []).append(sighting)
        by_model.setdefault(sighting.model, []).append(sighting)
    shared = {model: _shown(items) for model, items in by_model.items() if _several_paths(items)}
    best = [min(same, key=_rank) for same in by_look.values()]
    return {
        sighting.id
        for sighting in best
        if not any(_outweighs(other, sighting) for other in _near(sighting, shared.get(sighting.model, ())))
    }


def _several_paths(sightings: Sequence[Sighting]) -> bool:
    return any(sighting.target != sightings[0].target for sighting in sightings)


def _shown(sightings: Sequence[Sighting]) -> list[Sighting]:
    return sorted((sighting for sighting in sightings if sighting.outcome == "ok"), key=_observed_at)


def _near(sighting: Sighting, shown: Sequence[Sighting]) -> Sequence[Sighting]:
    start = bisect_left(shown, sighting.observed_at - ECHO_WINDOW, key=_observed_at)
    return shown[start : bisect_right(shown, sighting.observed_at + ECHO_WINDOW, key=_observed_at)]


def _observed_at(sighting: Sighting) -> datetime:
    return sighting.observed_at


def _rank(sighting: Sighting) -> tuple[bool, bool, str]:
    return (sighting.outcome != "ok", not sighting.complete, sighting.body_digest)


def _outweighs(other: Sighting, sighting: Sighting) -> bool:
    """Whether `other`, an `ok` of the same model nearby, makes `sighting` not count."""
    if other.target == sighting.target:
        return False
    return sighting.outcome == "gone" or _preference(other) < _preference(sighting)


def _preference(sighting: Sighting) -> tuple[bool, Target]:
    return (str(sighting.target) != sighting.model, sighting.target)
