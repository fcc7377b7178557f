"""Parse an observation, whatever is in it: an error that nobody foresaw fails this observation alone. Pure."""

from __future__ import annotations

from endpoint_history.errors import unexpected
from endpoint_history.parsing.body import read_observation
from models.listing import ParsedObservation
from models.observation import Observation


def parse_or_fail(observation: Observation) -> ParsedObservation:
    """As `read_observation`, but never raises: the body stays in the archive, for a version that can read it."""
    try:
        return read_observation(observation)
    except Exception as error:  # noqa: BLE001 - one body must stop neither its batch nor the loading of a bundle
        return ParsedObservation("failed", reason=f"this version can't read the body: {unexpected(error)}")
