"""The look that saved a body: when it was, and at what. Pure."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

from flows.safe_parse import parse_or_fail
from flows.sources.found import Found, Refused
from models.listing import ModelListing, Reading
from models.observation import Observation, Run, Target

_OK = 200
_CLOCK_ERROR = timedelta(minutes=5)
_BEFORE_OPENROUTER = datetime(2023, 1, 1, tzinfo=UTC)
_UNTOLD = Target("unknown", "unknown")


def look_of(found: Found, run: Run, at: datetime) -> tuple[Observation, Reading | None] | Refused:
    """The look that saved a body, and its reading where the body had to tell what was looked at."""
    observed_at = found.observed_at.astimezone(UTC).replace(microsecond=0)
    if observed_at > at + _CLOCK_ERROR:
        return Refused(found.origin, f"its time {observed_at:%Y-%m-%d %H:%M:%S} UTC lies in the future")
    if observed_at < _BEFORE_OPENROUTER:
        return Refused(found.origin, f"its time {observed_at:%Y-%m-%d %H:%M:%S} UTC is before OpenRouter was")
    look = Observation(run, found.target or _UNTOLD, observed_at, _OK, body=found.body, origin=found.origin)
    if found.target is not None:
        return look, None
    reading = parse_or_fail(look)
    if reading.listing is None:
        return unlisted(look, reading)
    own = _own_name(reading.listing)
    try:
        look = dataclasses.replace(look, target=Target.parse(own))
    except ValueError as error:
        return Refused(found.origin, str(error))
    # A variant that was asked for is read as that variant's.
    return look, reading if own == reading.listing.openrouter_id else None


def unlisted(look: Observation, reading: Reading) -> Refused:
    """The refusal of a look whose body lists no endpoints."""
    return Refused(look.origin or "", reading.reason or "not an endpoints body")


def _own_name(listing: ModelListing) -> str:
    """The path that a body was asked for by, as far as it can tell: the id of its endpoints where all are a variant."""
    variants = {endpoint.key.variant for endpoint in listing.endpoints}
    only = variants.pop() if len(variants) == 1 else listing.openrouter_id
    return only if only.startswith(f"{listing.openrouter_id}:") else listing.openrouter_id
