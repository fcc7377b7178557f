"""Uptime by days as strips: a level for each day, and one SVG path for each level. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import Final

from models.listing import UPTIME_REDEFINED_AT, Absent
from endpoint_history.site.data.history import Days, Endpoint

REDEFINED_ON: Final = UPTIME_REDEFINED_AT.date()
# A day's mean uptime in percent is at least that; the level is also the height of its bar, so that colour is not alone.
LEVELS: Final = ((99.9, "up5", 0.35), (99.0, "up4", 0.5), (95.0, "up3", 0.65), (80.0, "up2", 0.82), (0.0, "up1", 1.0))
UNTOLD: Final = ("up0", 0.12)
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Mean:
    """Mean uptime in percent over some time, None where nothing is covered; `covered` and `bad` are seconds.

    `seen` counts the days with a sample, with a number or without.
    """

    percent: float | None
    covered: int
    bad: int
    seen: int = 0


def mean(days: Days, since: date, until: date) -> Mean:
    """The mean from `since` to `until`, both included, weighted by what is covered; never across the redefinition."""
    if since < REDEFINED_ON <= until:
        since = REDEFINED_ON
    weighted, covered, bad = 0.0, 0, 0
    asked = slice(bisect_left(days.days, since), bisect_right(days.days, until))
    for percent, seconds, below in zip(days.means[asked], days.covered[asked], days.bad[asked], strict=True):
        if percent is not None:
            weighted += percent * seconds
            covered += seconds
            bad += below
    return Mean(weighted / covered if covered else None, covered, bad, len(days.days[asked]))


def together(means: Sequence[Mean]) -> Mean:
    """The mean of several, weighted by what each covers."""
    covered = sum(one.covered for one in means)
    weighted = sum((one.percent or 0) * one.covered for one in means)
    return Mean(
        weighted / covered if covered else None, covered, sum(one.bad for one in means), sum(one.seen for one in means)
    )


def level(percent: float | None) -> str:
    """The level of a day that was seen."""
    return UNTOLD[0] if percent is None else next(name for least, name, _ in LEVELS if percent >= least)


def paths(days: Days, begin: date) -> list[tuple[str, str]]:
    """For each level that occurs its name and the path of its bars: a unit is a day wide, and all heights fit in 1."""
    heights = dict([UNTOLD, *((name, height) for _, name, height in LEVELS)])
    drawn: dict[str, list[str]] = {}
    levels = [((day - begin).days, level(percent)) for day, percent in zip(days.days, days.means, strict=True)]
    numbered = ((name, day, day - place) for place, (day, name) in enumerate(levels))
    for (name, _), run in groupby(numbered, key=lambda item: (item[0], item[2])):
        found = list(run)
        height = heights[name]
        drawn.setdefault(name, []).append(f"M{found[0][1]} {1 - height:g}h{len(found)}v{height:g}h-{len(found)}z")
    return [(name, "".join(drawn[name])) for name in heights if name in drawn]


def listed(endpoint: Endpoint, begin: date, end: datetime) -> str:
    """The path of a line along the days on which it was listed: what is not on it was not offered."""
    zero = datetime(begin.year, begin.month, begin.day, tzinfo=UTC)
    spans, since = [], None
    for at, prices in endpoint.prices:
        if isinstance(prices, Absent):
            if since is not None:
                spans.append((since, at))
            since = None
        elif since is None:
            since = at
    if since is not None:
        spans.append((since, end))
    return "".join(f"M{(a - zero) / _DAY:.6g} 1H{(b - zero) / _DAY:.6g}" for a, b in spans)


def notes(days: Days, since: date, until: date) -> str:
    """A strip in words, for who does not see it."""
    shown = [(day, percent) for day, percent in zip(days.days, days.means, strict=True) if since <= day <= until]
    told = [(percent, day) for day, percent in shown if percent is not None]
    if not shown:
        return "no data"
    parts = [f"{len(shown)} days seen from {shown[0][0]} to {shown[-1][0]}"]
    if told:
        worst = min(told)
        parts.append(f"worst day {worst[1]} with {worst[0]:.2f} %")
    if silent := len(shown) - len(told):
        parts.append(f"{silent} days without a number")
    return ", ".join(parts)
