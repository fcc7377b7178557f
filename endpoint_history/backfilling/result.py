"""What is asked of a backfill, and what became of it. Values only."""

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
    """What of a source is wanted: from `since` on, before `until` (aware UTC), of these targets; None: all."""

    since: datetime | None = None
    until: datetime | None = None
    targets: TargetList | None = None

    def __post_init__(self) -> None:
        if self.since and self.until and self.until <= self.since:
            raise ConfigurationError(
                f"until {self.until:%Y-%m-%d %H:%M} is not after since {self.since:%Y-%m-%d %H:%M}"
            )

    def takes(self, look: Observation) -> bool:
        """Whether this look is among them."""
        after = self.since is None or look.observed_at >= self.since
        before = self.until is None or look.observed_at < self.until
        return after and before and (self.targets is None or self.targets.takes(str(look.target)))


@dataclass(slots=True)
class Dating:
    """Where the times and targets of saved bodies were found, and the span of the times.

    `sources` counts bodies by `SavedBody.dated_by`; `own_targets` counts bodies whose target is their own model id.
    """

    sources: dict[str, int] = field(default_factory=dict)
    own_targets: int = 0
    targets: set[Target] = field(default_factory=set)
    first: datetime | None = None
    last: datetime | None = None

    def add(self, found: SavedBody, look: Observation) -> None:
        """Count one body that was taken as this observation."""
        if found.dated_by:
            self.sources[found.dated_by] = self.sources.get(found.dated_by, 0) + 1
        self.own_targets += found.target is None
        self.targets.add(look.target)
        self.first = min(self.first or look.observed_at, look.observed_at)
        self.last = max(self.last or look.observed_at, look.observed_at)


@dataclass(slots=True)
class BackfillResult:
    """What became of a source. `changed` counts rows of change tables.

    `refused` holds the bodies that could not be taken, `problems` what could not be read of those that were.
    `run` is None where the source is our own archive, whose looks stay those of their runs. `conflicts` counts looks
    that another look of the same target in the same second outweighs, or that outweigh one.
    Of a dry run (`is_dry`) all this would have been, and `summary` is what the first new looks would have brought.
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
        """How many bodies could not be taken."""
        return self.refused.count

    @property
    def read(self) -> int:
        """How many bodies the source gave."""
        return self.new + self.known + self.unwanted + self.refusals

    @property
    def exit_code(self) -> int:
        """0 all could be taken, 1 nothing, 3 some, or some only in part.

        That an archive holds nothing new is as it should be.
        """
        if self.new or self.known or self.unwanted:
            return 3 if self.refusals or self.problems.bodies else 0
        return 1 if self.refusals or self.run else 0

    def refuse(self, refused: Refused) -> None:
        """Count a body that could not be taken."""
        self.refused.add(refused)
