"""What could not be read of bodies that count all the same. Values only."""

from __future__ import annotations

from dataclasses import dataclass, field

from endpoint_history.refusals import Reasons, Refused
from models.listing import ParsedObservation
from models.observation import Observation


@dataclass(slots=True)
class ReadProblems:
    """Endpoints that could not be read (`unread`) of so many `bodies`, and what this version does not know (`drift`).

    Such a body lists what could be read of it, but proves no absence. Drift costs nothing: it is kept with its value.
    """

    bodies: int = 0
    unread: Reasons = field(default_factory=Reasons)
    drift: Reasons = field(default_factory=Reasons)

    def add(self, look: Observation, reading: ParsedObservation) -> None:
        """Count what could not be read of one body."""
        origin = look.origin or f"{look.target} at {look.observed_at:%Y-%m-%d %H:%M:%S}"
        self.bodies += bool(reading.unread)
        for unread in reading.unread:
            self.unread.add(Refused(f"{origin} endpoint {unread.position + 1}", unread.reason))
        for drift in sorted(reading.drift, key=str):
            self.drift.add(Refused(origin, drift.path if drift.value is None else f"{drift.path}: {drift.value!r}"))
