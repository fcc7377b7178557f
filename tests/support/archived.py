"""What the tests of the archive write into it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from endpoint_history.archive.bundles import Archive
from models.observation import Observation, Run, Target

RUN = Run("20261123T201500Z-collect-1a2b3c", "collect", "live", 1800)
BUNDLE = "2026/11/20261123T201500Z-collect-1a2b3c.jsonl.gz"
PART = "2026/11/.20261123T201500Z-collect-1a2b3c.jsonl.part"


def look(number: int = 1, **changes: Any) -> Observation:
    """One observation of the run, different for every number."""
    observation = Observation(
        run=RUN,
        target=Target("openai", f"gpt-{number}"),
        observed_at=datetime(2026, 11, 23, 20, 15, tzinfo=UTC) + timedelta(seconds=number),
        status=200,
        elapsed_ms=100 + number,
        headers={"age": str(number)},
        body=b'{"data": {"id": "openai/gpt-%d"}}' % number,
    )
    return replace(observation, **changes)


def write(archive: Archive, *looks: Observation, run: Run = RUN) -> list[Observation]:
    """Write one whole bundle and give back what the writer gave."""
    with archive.open_bundle(run) as bundle:
        return [bundle.add(observation) for observation in looks]


def files_in(folder: Path) -> list[str]:
    """Every file below the folder, also hidden ones."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
