"""The bodies that a backfill is asked for, and its result. Values only."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from endpoint_history.collecting.summary import RunSummary
from endpoint_history.errors import ConfigurationError
from endpoint_history.loading.read_problems import ReadProblems
from endpoint_history.refusals import Reasons, Refused
from endpoint_history.sources.items import SavedBody
from endpoint_history.targets import TargetList
from models.observation import Observation, Target


@dataclass(frozen=True, slots=True)
class Wanted:
    """The bodies wanted of a source: `since` inclusive, `until` exclusive (aware UTC), of these targets; None: all."""

    since: datetime | None = None
    until: datetime | None = None
    targets: TargetList | None = None

    def __post_init__(self) -> None:
        if self.since and self.until and self.until <= self.since:
            raise ConfigurationError(
                f"until {self.until:%Y-%m-%d %H:%M} is not after since {self.since:%Y-%m-%d %H:%M}"
            )

    def takes(self, observation: Observation) -> bool:
        """Return whether this observation is wanted."""
        after = self.since is None or observation.observed_at >= self.since
        before = self.until is None or observation.observed_at < self.until
        return after and before and (self.targets is None or self.targets.takes(str(observation.target)))


@dataclass(slots=True)
class Dating:
    """The places of the times and targets of saved bodies, and the first and last time.

    `sources` counts bodies by `SavedBody.dated_by`; `own_targets` counts bodies whose target is their own model id.
    """

    sources: dict[str, int] = field(default_factory=dict)
    own_targets: int = 0
    targets: set[Target] = field(default_factory=set)
    first: datetime | None = None
    last: datetime | None = None

    def add(self, found: SavedBody, observation: Observation) -> None:
        """Count one body that became this observation."""
        if found.dated_by:
            self.sources[found.dated_by] = self.sources.get(found.dated_by, 0) + 1
        self.own_targets += found.target is None
        self.targets.add(observation.target)
        self.first = min(self.first or observation.observed_at, observation.observed_at)
        self.last = max(self.last or observation.observed_at, observation.observed_at)


@dataclass(slots=True)
class BackfillResult:
    """The result of a backfill. `changed` counts rows of change tables.

    `refused` holds the bodies that were refused, `problems` the endpoints that could not be read in the others.
    `run` is None if the source is our own archive: its observations keep their runs. `conflicts` counts observations
    that lose to, or win over, another observation of the same target in the same second.
    For a dry run (`is_dry`), these are the results that a load would have, and `summary` is what its first new
    observations would bring.
    """

    run: str | None
    is_dry: bool = False
    bundles: int | None = None
    new: int = 0
    known: int = 0
    unwanted: int = 0
    changed: int = 0
    conflicts: int = 0
    refused: Reasons = field(default_factory=Reasons)
    problems: ReadProblems = field(default_factory=ReadProblems)
    dating: Dating = field(default_factory=Dating)
    troubles: list[str] = field(default_factory=list)
    summary: RunSummary | None = None

    @property
    def refusals(self) -> int:
        """The number of bodies that were refused."""
        return self.refused.count

    @property
    def read(self) -> int:
        """The number of bodies read."""
        return self.new + self.known + self.unwanted + self.refusals

    @property
    def exit_code(self) -> int:
        """0 if all bodies were loaded, 1 if none, 3 if some were refused or only partly readable.

        0 too if an archive holds nothing new.
        """
        if self.new or self.known or self.unwanted:
            return 3 if self.refusals or self.problems.bodies else 0
        return 1 if self.refusals or self.run else 0

    def refuse(self, refused: Refused) -> None:
        """Count a body that was refused."""
        self.refused.add(refused)
