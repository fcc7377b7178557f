"""The change rule: a row is stored exactly where a value differs from that at the evidence before. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TypeVar

from models.listing import ABSENT, Absent

V = TypeVar("V")


def changes(before: V | Absent, values: Iterable[tuple[datetime, V | Absent]]) -> dict[datetime, V | Absent]:
    """Return the change rows of `values`, which are in order of time and follow the value `before`."""
    rows: dict[datetime, V | Absent] = {}
    for at, value in values:
        if value != before:
            rows[at] = before = value
    return rows


def value_at(at: datetime, rows: Mapping[datetime, V | Absent], before: V | Absent = ABSENT) -> V | Absent:
    """Return the value at an instant from change rows in order of time; `before` if the first row is later."""
    times = list(rows)
    place = bisect_right(times, at)
    return rows[times[place - 1]] if place else before
