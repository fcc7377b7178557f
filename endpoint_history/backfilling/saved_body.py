"""Saved body → observation: its time, and its target. Pure."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

from endpoint_history.parsing.safe_parse import parse_or_fail
from endpoint_history.refusals import Refused
from endpoint_history.sources.items import SavedBody
from models.listing import ModelListing, ParsedObservation
from models.observation import Observation, Run, Target

_OK = 200
_CLOCK_ERROR = timedelta(minutes=5)
_BEFORE_OPENROUTER = datetime(2023, 1, 1, tzinfo=UTC)
_UNKNOWN = Target("unknown", "unknown")


def observation_of(found: SavedBody, run: Run, at: datetime) -> tuple[Observation, ParsedObservation | None] | Refused:
    """Return the observation that a body was saved by, and its reading if the body itself had to name the target."""
    observed_at = found.observed_at.astimezone(UTC).replace(microsecond=0)
    if reason := _impossible(observed_at, at, found.dated_by):
        return Refused(found.origin, reason)
    observation = Observation(
        run, found.target or _UNKNOWN, observed_at, found.status, body=found.body, origin=found.origin
    )
    if found.target is not None and found.status == _OK:
        return observation, None
    reading = parse_or_fail(observation)
    if found.target is not None and reading.outcome == "gone":
        return observation, reading
    if reading.listing is None:
        return unlisted(observation, reading)
    return _by_own_name(observation, reading, reading.listing)


def _impossible(observed_at: datetime, at: datetime, dated_by: str) -> str | None:
    """Return why nothing can have been observed at this time; None if it can."""
    when = f"its time {observed_at:%Y-%m-%d %H:%M:%S} UTC"
    source = f" ({dated_by})" if dated_by else ""
    if observed_at > at + _CLOCK_ERROR:
        return f"{when} is in the future{source}"
    return f"{when} is before OpenRouter existed{source}" if observed_at < _BEFORE_OPENROUTER else None


def _by_own_name(
    observation: Observation, reading: ParsedObservation, listing: ModelListing
) -> tuple[Observation, ParsedObservation | None] | Refused:
    own = _own_name(listing)
    try:
        observation = dataclasses.replace(observation, target=Target.parse(own))
    except ValueError as error:
        return Refused(observation.origin or "", str(error))
    # A body of a variant is read again, with the variant as its target.
    return observation, reading if own == listing.openrouter_id else None


def unlisted(observation: Observation, reading: ParsedObservation) -> Refused:
    """Return the refusal of an observation whose body lists no endpoints."""
    return Refused(observation.origin or "", reading.reason or "not an endpoints body")


def _own_name(listing: ModelListing) -> str:
    """Return the path that was probably requested: the variant if all endpoints are of one, else the model."""
    variants = {endpoint.key.variant for endpoint in listing.endpoints}
    only = variants.pop() if len(variants) == 1 else listing.openrouter_id
    return only if only.startswith(f"{listing.openrouter_id}:") else listing.openrouter_id
