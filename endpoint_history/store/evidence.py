"""Decide which observations count as evidence. Pure, and a function of the set of observations alone, in any order.

Several paths can lead to one model, and two sources can report the same observation. To count nothing twice, and to
keep the answers of two paths from contradicting each other, an `ok` or `gone` observation counts unless

1. it is a *conflict*: another observation of the same target at the same instant ranks before it. `ok` ranks before
   `gone`, complete before incomplete; then the smaller body digest decides;
2. it is an *echo*: a preferred path returned an `ok` for the same model within `ECHO_WINDOW`, before or after. The path
   that equals the model id is preferred, then the first path in alphabetical order. An echo may be an older copy of
   the same answer out of a cache;
3. it is *outweighed*: it is a `gone`, and another path returned an `ok` for that model within `ECHO_WINDOW`.

A `gone` is about the model that its path showed last, and about no model if the path never showed one.
No rule asks whether the other observation counts, so an observation that does not count never counts later.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter

from models.observation import Outcome, Target

ECHO_WINDOW = timedelta(minutes=15)
observed_at = attrgetter("observed_at")


@dataclass(frozen=True, slots=True)
class Candidate:
    """An `ok` or `gone` observation, with what decides whether it counts. `id` and `model_id` are ids of rows.

    `model` is the OpenRouter id of the model that it is about. `is_evidence`: it counted before this decision.
    """

    id: int
    target: Target
    observed_at: datetime
    outcome: Outcome
    complete: bool
    body_digest: str
    model: str
    model_id: int = 0
    is_evidence: bool = False


def counting(candidates: Sequence[Candidate]) -> set[int]:
    """Return the ids of the observations that count, compared with each other only."""
    by_model: dict[str, list[Candidate]] = {}
    by_instant: dict[tuple[Target, datetime], list[Candidate]] = {}
    for candidate in candidates:
        by_instant.setdefault((candidate.target, candidate.observed_at), []).append(candidate)
        by_model.setdefault(candidate.model, []).append(candidate)
    oks = {model: _sorted_oks(items) for model, items in by_model.items() if _have_several_paths(items)}
    best = [min(same, key=_rank) for same in by_instant.values()]
    return {
        candidate.id
        for candidate in best
        if not any(_outweighs(other, candidate) for other in _near(candidate, oks.get(candidate.model, ())))
    }


def _have_several_paths(candidates: Sequence[Candidate]) -> bool:
    return any(candidate.target != candidates[0].target for candidate in candidates)


def _sorted_oks(candidates: Sequence[Candidate]) -> list[Candidate]:
    return sorted((candidate for candidate in candidates if candidate.outcome == "ok"), key=observed_at)


def _near(candidate: Candidate, oks: Sequence[Candidate]) -> Sequence[Candidate]:
    start = bisect_left(oks, candidate.observed_at - ECHO_WINDOW, key=observed_at)
    return oks[start : bisect_right(oks, candidate.observed_at + ECHO_WINDOW, key=observed_at)]


def _rank(candidate: Candidate) -> tuple[bool, bool, str]:
    return (candidate.outcome != "ok", not candidate.complete, candidate.body_digest)


def _outweighs(other: Candidate, candidate: Candidate) -> bool:
    """True if `other`, an `ok` for the same model within the window, keeps `candidate` from counting."""
    if other.target == candidate.target:
        return False
    return candidate.outcome == "gone" or _preference(other) < _preference(candidate)


def _preference(candidate: Candidate) -> tuple[bool, Target]:
    return (str(candidate.target) != candidate.model, candidate.target)
