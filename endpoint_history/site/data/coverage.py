"""How well models were looked at: what the schedule wanted against what counts. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from endpoint_history.site.data.history import History, Row


@dataclass(frozen=True, slots=True)
class ObservationCounts:
    """ObservationCounts of our own over some time: those that count, those that failed, those never made; and imported ones."""

    observed: int = 0
    failed: int = 0
    never_made: int = 0
    imported: int = 0

    @property
    def share(self) -> float | None:
        """Which share of those wanted counts, 0 to 1; None where none was wanted."""
        wanted = self.observed + self.failed + self.never_made
        return self.observed / wanted if wanted else None


def counted(rows: Iterable[Row]) -> ObservationCounts:
    """The sums of some days."""
    sums: Counter[str] = Counter()
    for row in rows:
        sums.update(observed=row["observed"], failed=row["failed"], imported=row["imported"])
        sums.update(never_made=row["missed_observations"] - row["failed"])
    return ObservationCounts(**sums)


def by_day(history: History, last: date, days: int) -> list[dict[str, Any]]:
    """Each of the last so many days of the whole catalogue: its share in percent, None where nothing was wanted."""
    of_day: dict[date, list[Row]] = {}
    for model in history.models:
        for row in model.coverage:
            of_day.setdefault(row["day"], []).append(row)
    begin = max(last - timedelta(days=days - 1), min(of_day, default=last))
    found = []
    for place in range((last - begin).days + 1):
        day = begin + timedelta(days=place)
        seen = counted(of_day.get(day, ()))
        share = seen.share
        level = "none" if share is None else "full" if share >= 0.98 else "most" if share >= 0.75 else "part"  # noqa: PLR2004
        height = 0.0 if share is None else max(share, 0.04)
        found.append(
            {
                "day": day.isoformat(),
                "place": place,
                "level": level,
                "height": round(height, 3),
                "share": None if share is None else f"{100 * share:.0f}",
                "looks": seen.observed + seen.imported,
                "missed": seen.failed + seen.never_made,
            }
        )
    return found
