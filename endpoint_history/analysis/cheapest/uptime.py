"""Uptime of one endpoint over a span, from samples of the 30-minute window. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Context, Decimal, Inexact, localcontext
from typing import Final

from models.listing import UPTIME_REDEFINED_AT, UPTIME_WINDOW

_SECOND: Final = timedelta(seconds=1)
# Any sum of doubles, times seconds, has fewer digits: the smallest double begins 324 places behind the point.
_EXACT: Final = Context(prec=500, traps=[Inexact])


@dataclass(frozen=True, slots=True)
class SpanUptime:
    """How an endpoint did over a span.

    `covered_share` (0 to 1) is how much of the span samples with a number tell about; `samples` is how many those are,
    of `looks` in all. The mean of the covered time in percent is `weighted_pct / covered_seconds`, exact.
    """

    weighted_pct: Decimal
    covered_seconds: int
    span_seconds: int
    samples: int
    looks: int

    @property
    def mean_pct(self) -> float | None:
        """The mean uptime in percent, None where nothing is covered."""
        return float(self.weighted_pct / self.covered_seconds) if self.covered_seconds else None

    @property
    def covered_share(self) -> float:
        """How much of the span is covered, 0 to 1."""
        return self.covered_seconds / self.span_seconds

    def reaches(self, floor_pct: Decimal) -> bool:
        """Whether the mean, unrounded, is at least that. False where nothing is covered."""
        with localcontext(_EXACT):
            return self.covered_seconds > 0 and self.weighted_pct >= floor_pct * self.covered_seconds


def start_of(end: datetime, over: timedelta) -> datetime:
    """Where a span that ends there begins: not before the redefinition of uptime, if that lies in it."""
    start = end - over
    return UPTIME_REDEFINED_AT if start < UPTIME_REDEFINED_AT < end else start


def span_uptime(samples: Iterable[tuple[datetime, float | None]], start: datetime, end: datetime) -> SpanUptime:
    """Weigh samples (instant, percent or None) in order of time, from `start` (exclusive) to `end` (inclusive).

    Windows overlap: a sample stands for the minutes it alone adds, min(30 minutes, time since the sample before), and
    for none before the span. One without a number covers nothing: it is not 0.
    """
    seconds: Counter[float] = Counter()
    told, looks, before = 0, 0, start
    for at, percent in samples:
        if not start < at <= end or (at >= UPTIME_REDEFINED_AT) != (end > UPTIME_REDEFINED_AT):
            continue
        looks += 1
        if percent is not None:
            told += 1
            seconds[percent] += min(UPTIME_WINDOW, at - before) // _SECOND
        before = at
    with localcontext(_EXACT):
        weighted = sum((Decimal(repr(percent)) * weight for percent, weight in seconds.items()), Decimal(0))
    return SpanUptime(weighted, seconds.total(), (end - start) // _SECOND, told, looks)
