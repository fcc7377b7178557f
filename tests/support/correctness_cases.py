"""Four cases in which what keeps history goes wrong: what is seen, in which order it comes, and what was so.

The tests of this project stand on them, and `python -m benchmarks.correctness` asks other tools the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from simulator.faults import error_body
from tests.support.factories import NOT_FOUND, a_body, an_endpoint, at

_UNRATED = {"uptime_last_5m": None, "uptime_last_30m": None}
Step = tuple[int, str | None]  # from which minute on at which price, in USD for a million tokens; None: not listed


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API answers; without a `status` the connection breaks."""

    status: int | None
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Walk:
    """One look at each of these paths in one second. A `late` one comes after newer ones, out of saved files."""

    minute: int
    answers: Mapping[str, Answer]
    late: bool = False

    @property
    def observed_at(self) -> datetime:
        """When all these looks were."""
        return at(self.minute)


@dataclass(frozen=True, slots=True)
class Interval:
    """An endpoint, as `model tag`, was listed at this price, from `since` to before `until`; None: it still is."""

    endpoint: str
    usd_per_mtok: Decimal
    since: datetime
    until: datetime | None

    def holds(self, instant: datetime) -> bool:
        """Whether that was so at this instant."""
        return self.since <= instant and (self.until is None or instant < self.until)


@dataclass(frozen=True, slots=True)
class Case:
    """Walks in the order in which they come, and what was so."""

    name: str
    walks: Sequence[Walk]
    truth: Sequence[Interval]


def listed(model: str, **usd_per_mtok: str) -> Answer:
    """A body that lists these endpoints, by tag, at these prices; too few use them for an uptime."""
    offers = [
        an_endpoint(tag, format(Decimal(price).scaleb(-6), "f"), model_id=model, provider_name=tag.title(), **_UNRATED)
        for tag, price in usd_per_mtok.items()
    ]
    return Answer(200, a_body(*offers, model=model))


def intervals(endpoint: str, steps: Iterable[tuple[datetime, Decimal | None]]) -> list[Interval]:
    """The intervals between these changes, which are in order of time."""
    changes = list(steps)
    ends = [instant for instant, _ in changes[1:]]
    return [
        Interval(endpoint, price, since, until)
        for (since, price), until in zip(changes, [*ends, None], strict=True)
        if price is not None
    ]


def differences(told: Iterable[Interval], truth: Iterable[Interval]) -> list[str]:
    """Where a history first differs from the truth, a line for each endpoint that it is wrong about."""
    said, was = _by_endpoint(told), _by_endpoint(truth)
    lines = []
    for endpoint in sorted(said.keys() | was.keys()):
        here, there = said.get(endpoint, []), was.get(endpoint, [])
        for instant in sorted({edge for i in [*here, *there] for edge in (i.since, i.until) if edge}):
            says, truly = _prices(here, instant), _prices(there, instant)
            if says != truly:
                lines.append(f"{endpoint} at {instant:%H:%M}: {_text(says)}, was {_text(truly)}")
                break
    return lines


def _by_endpoint(history: Iterable[Interval]) -> dict[str, list[Interval]]:
    found: dict[str, list[Interval]] = {}
    for interval in history:
        found.setdefault(interval.endpoint, []).append(interval)
    return found


def _prices(history: Iterable[Interval], instant: datetime) -> list[Decimal]:
    return sorted({interval.usd_per_mtok for interval in history if interval.holds(instant)})


def _text(prices: Sequence[Decimal]) -> str:
    return " and ".join(f"${price.normalize():f}" for price in prices) or "not listed"


def _truth(model: str, **steps: Sequence[Step]) -> list[Interval]:
    return [
        interval
        for tag, changes in steps.items()
        for interval in intervals(
            f"{model} {tag}", [(at(minute), None if price is None else Decimal(price)) for minute, price in changes]
        )
    ]


_QUIET, _BUSY, _OTHER = "acme/quiet-1", "acme/busy-1", "acme/other-1"


def _late_data() -> Case:
    """Prices moved at 30, which is known only after what was seen at 60; then the collector goes on.

    What the quiet model answered at 30 is, byte for byte, what it answered at 60.
    """
    newest = {_BUSY: listed(_BUSY, north="3", south="2", east="1"), _QUIET: listed(_QUIET, north="2")}
    older = {_BUSY: listed(_BUSY, north="2", south="2", east="1", west="5"), _QUIET: listed(_QUIET, north="2")}
    walks = [
        Walk(0, {_BUSY: listed(_BUSY, north="1", south="1", east="1"), _QUIET: listed(_QUIET, north="1")}),
        Walk(60, newest),
        Walk(30, older, late=True),
        Walk(90, newest),
    ]
    busy = _truth(
        _BUSY,
        north=[(0, "1"), (30, "2"), (60, "3")],
        south=[(0, "1"), (30, "2")],
        east=[(0, "1")],
        west=[(30, "5"), (60, None)],
    )
    return Case("late data", walks, busy + _truth(_QUIET, north=[(0, "1"), (30, "2")]))


def _failed_fetch() -> Case:
    """The connection of one target breaks in one run; a price of another moves in that run."""
    first = {_BUSY: listed(_BUSY, north="1", south="1"), _QUIET: listed(_QUIET, north="1")}
    moved = {**first, _OTHER: listed(_OTHER, north="2")}
    walks = [
        Walk(0, {**first, _OTHER: listed(_OTHER, north="1")}),
        Walk(30, {**moved, _BUSY: Answer(None)}),
        Walk(60, moved),
    ]
    still = _truth(_BUSY, north=[(0, "1")], south=[(0, "1")]) + _truth(_QUIET, north=[(0, "1")])
    return Case("one failed fetch", walks, still + _truth(_OTHER, north=[(0, "1"), (30, "2")]))


def _left_empty() -> Case:
    """A model lists nothing any more, under 200, and another is not found; the first comes back with half of it."""
    emptied, gone = "acme/emptied-1", "acme/gone-1"
    other = {_OTHER: listed(_OTHER, north="1")}
    walks = [
        Walk(0, {**other, emptied: listed(emptied, north="1", south="2"), gone: listed(gone, north="1")}),
        Walk(30, {**other, emptied: listed(emptied), gone: Answer(404, NOT_FOUND)}),
        Walk(60, {**other, emptied: listed(emptied, north="1"), gone: Answer(404, NOT_FOUND)}),
    ]
    truth = _truth(emptied, north=[(0, "1"), (30, None), (60, "1")], south=[(0, "2"), (30, None)])
    truth += _truth(gone, north=[(0, "1"), (30, None)]) + _truth(_OTHER, north=[(0, "1")])
    return Case("a model left without endpoints", walks, truth)


def _one_500() -> Case:
    """One of forty requests answers 500 in one run, in which every third model becomes dearer."""
    models = [f"acme/model-{number}" for number in range(40)]
    before = {model: listed(model, north="1", south="2") for model in models}
    dearer = {model: listed(model, north="1.5", south="2") for model in models[::3]}
    failed = Answer(500, error_body(500, "Internal Server Error"))
    walks = [
        Walk(0, before),
        Walk(30, {**before, **dearer, models[7]: failed}),
        Walk(60, {**before, **dearer}),
    ]
    truth = []
    for model in models:
        north = [(0, "1"), (30, "1.5")] if model in dearer else [(0, "1")]
        truth += _truth(model, north=north, south=[(0, "2")])
    return Case("one 500 among many", walks, truth)


CASES = [_late_data(), _failed_fetch(), _left_empty(), _one_500()]
