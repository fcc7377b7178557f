"""The look that saved a body: when it was, and at what. Pure."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

from endpoint_history.parsing.safe_parse import parse_or_fail
from endpoint_history.refusals import Refused
from endpoint_history.sources.git.times import BY_COMMIT
from endpoint_history.sources.items import SavedBody
from models.listing import ModelListing, ParsedObservation
from models.observation import Observation, Run, Target

_OK = 200
_CLOCK_ERROR = timedelta(minutes=5)
_BEFORE_OPENROUTER = datetime(2023, 1, 1, tzinfo=UTC)
_UNTOLD = Target("unknown", "unknown")


def observation_of(found: SavedBody, run: Run, at: datetime) -> tuple[Observation, ParsedObservation | None] | Refused:
    """The look that saved a body, and its reading where the body had to tell what was looked at."""
    observed_at = found.observed_at.astimezone(UTC).replace(microsecond=0)
    if reason := _impossible(observed_at, at, found.dated_by):
        return Refused(found.origin, reason)
    look = Observation(run, found.target or _UNTOLD, observed_at, found.status, body=found.body, origin=found.origin)
    if found.target is not None and found.status == _OK:
        return look, None
    reading = parse_or_fail(look)
    if found.target is not None and reading.outcome == "gone":
        return look, reading
    if reading.listing is None:
        return unlisted(look, reading)
    return _by_own_name(look, reading, reading.listing)


def _impossible(observed_at: datetime, at: datetime, dated_by: str) -> str | None:
    """Why nothing can have been observed at this time; None if it can."""
    when = f"its time {observed_at:%Y-%m-%d %H:%M:%S} UTC"
    if dated_by.startswith("the commit's"):
        when += f", {dated_by.partition(',')[0]},"
    hint = "; does --time committer help?" if dated_by.startswith(f"{BY_COMMIT['author']},") else ""
    if observed_at > at + _CLOCK_ERROR:
        return f"{when} lies in the future{hint}"
    return f"{when} is before OpenRouter was{hint}" if observed_at < _BEFORE_OPENROUTER else None


def _by_own_name(
    look: Observation, reading: ParsedObservation, listing: ModelListing
) -> tuple[Observation, ParsedObservation | None] | Refused:
    own = _own_name(listing)
    try:
        look = dataclasses.replace(look, target=Target.parse(own))
    except ValueError as error:
        return Refused(look.origin or "", str(error))
    # A variant that was asked for is read as that variant's.
    return look, reading if own == listing.openrouter_id else None


def unlisted(look: Observation, reading: ParsedObservation) -> Refused:
    """The refusal of a look whose body lists no endpoints."""
    return Refused(look.origin or "", reading.reason or "not an endpoints body")


def _own_name(listing: ModelListing) -> str:
    """The path that a body was asked for by, as far as it can tell: the id of its endpoints where all are a variant."""
    variants = {endpoint.key.variant for endpoint in listing.endpoints}
    only = variants.pop() if len(variants) == 1 else listing.openrouter_id
    return only if only.startswith(f"{listing.openrouter_id}:") else listing.openrouter_id
