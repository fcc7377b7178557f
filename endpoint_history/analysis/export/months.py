"""Months of the calendar, in UTC, by names such as 2026-05."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from endpoint_history.errors import ConfigurationError

_NAME = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")


@dataclass(frozen=True, slots=True)
class Months:
    """The months from `since` on and before `until`; None: no bound. Raises ConfigurationError for other names."""

    since: str | None = None
    until: str | None = None

    def __post_init__(self) -> None:
        for month in (self.since, self.until):
            if month is not None and not (_NAME.fullmatch(month) and month >= "0001"):
                raise ConfigurationError(f"{month!r} is not a month such as 2026-05")
        if self.since and self.until and self.until <= self.since:
            raise ConfigurationError(f"until {self.until} is not after since {self.since}")

    def __contains__(self, month: str | None) -> bool:
        """Whether a month is among them; what has no month always is."""
        return month is None or (self.since or "") <= month < (self.until or "~")

    def within(self, first: str, last: str) -> Iterator[str]:
        """Those from `first` to `last`, in order."""
        month = max(first, self.since or "")
        while month <= last and month in self:
            yield month
            month = next_month(month)


def next_month(month: str) -> str:
    """The month after it."""
    year, number = int(month[:4]), int(month[5:])
    return f"{year + number // 12:04}-{number % 12 + 1:02}"


def start_of(month: str) -> datetime:
    """Its first instant."""
    return datetime(int(month[:4]), int(month[5:]), 1, tzinfo=UTC)


def month_of(moment: int | str) -> str:
    """The month in which unix seconds, or a date such as 2026-05-16, lie."""
    return moment[:7] if isinstance(moment, str) else _month_of_day(moment // 86_400)


@lru_cache(maxsize=1024)
def _month_of_day(day: int) -> str:
    return f"{datetime.fromtimestamp(day * 86_400, UTC):%Y-%m}"
