"""What could not be read in bodies that count nevertheless. Values only."""

from __future__ import annotations

from dataclasses import dataclass, field

from endpoint_history.refusals import Reasons, Refused
from models.listing import ParsedObservation
from models.observation import Observation


@dataclass(slots=True)
class ReadProblems:
    """Endpoints that could not be read (`unread`), in how many `bodies`, and unknown keys and values (`drift`).

    Such a body lists the endpoints that could be read, but proves no absence. Drift is stored with its value.
    """

    bodies: int = 0
    unread: Reasons = field(default_factory=Reasons)
    drift: Reasons = field(default_factory=Reasons)

    def add(self, observation: Observation, reading: ParsedObservation) -> None:
        """Count what could not be read of one body."""
        origin = observation.origin or f"{observation.target} at {observation.observed_at:%Y-%m-%d %H:%M:%S}"
        self.bodies += bool(reading.unread)
        for unread in reading.unread:
            self.unread.add(Refused(f"{origin} endpoint {unread.position + 1}", unread.reason))
        for drift in sorted(reading.drift, key=str):
            self.drift.add(Refused(origin, drift.path if drift.value is None else f"{drift.path}: {drift.value!r}"))
