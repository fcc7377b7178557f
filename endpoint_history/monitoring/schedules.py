"""What Prefect reports about the schedules of our deployments. Values only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Schedules:
    """What the `server` answered: how many deployments and late runs there are, and which deployments are paused.

    `problems` has one line for each deployment that is paused or has late runs, with the command that helps.
    """

    server: str
    deployed: int
    paused: Sequence[str]
    late: int
    problems: Sequence[str]
