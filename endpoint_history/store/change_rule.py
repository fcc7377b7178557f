"""The change rule. Pure: a row stands exactly where a value differs from that at the evidence just before."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TypeVar

from models.listing import ABSENT, Absent

V = TypeVar("V")


def changes(before: V | Absent, values: Iterable[tuple[datetime, V | Absent]]) -> dict[datetime, V | Absent]:
    """The rows that `values`, in order of time, leave after the value `before`."""
    rows: dict[datetime, V | Absent] = {}
    for at, value in values:
        if value != before:
            rows[at] = before = value
    return rows


def value_at(at: datetime, rows: Mapping[datetime, V | Absent], before: V | Absent = ABSENT) -> V | Absent:
    """The value that change rows, in order of time, hold at an instant; `before` where none has come yet."""
    times = list(rows)
    place = bisect_right(times, at)
    return rows[times[place - 1]] if place else before
