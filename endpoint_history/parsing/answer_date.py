"""Whether the clock of the machine that looked agrees with the date of the answer. Pure.

An answer says when it was made, in its Date header, and how long a cache has kept it since, in Age. Both are archived
with the observation, so this is a function of the observation alone: a live collect, a later load and a rebuild all
judge alike, whenever they run. No answer with either clock far off can put a price at a time when nobody saw it.
"""

from __future__ import annotations

import email.utils
from datetime import UTC, datetime, timedelta

from models.observation import Observation

TOLERANCE = timedelta(days=1)
_AGE_DIGITS = 9
_LONGEST_KEPT = timedelta(days=30)


def clock_trouble(observation: Observation) -> str | None:
    """Why the time of this observation can't be trusted; None if it can, or if the answer has no readable date."""
    made_at = _http_date(observation.headers.get("date", ""))
    if made_at is None:
        return None
    age = observation.headers.get("age", "").strip()
    kept = timedelta(seconds=int(age[:_AGE_DIGITS])) if age.isascii() and age.isdecimal() else timedelta()
    # Some caches give the time of their own answer as its date, others that of the answer they keep: both are right.
    if -TOLERANCE <= observation.observed_at - made_at <= min(kept, _LONGEST_KEPT) + TOLERANCE:
        return None
    return (
        f"this machine's clock said {observation.observed_at:%Y-%m-%d %H:%M} UTC, but the answer is dated"
        f" {made_at:%Y-%m-%d %H:%M} UTC"
    )


def _http_date(text: str) -> datetime | None:
    try:
        date = email.utils.parsedate_to_datetime(text)
        return date.replace(tzinfo=date.tzinfo or UTC).astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
