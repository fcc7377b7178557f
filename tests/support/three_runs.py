"""An archive with the bundles of three runs, and what tests do to it and to the tables."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import sqlalchemy as sa

from endpoint_history.archive.bundles import Archive
from endpoint_history.database.engine import writing
from models.observation import Observation, Run
from models.tables import metadata
from tests.reference.store import visible
from tests.support.archived import write
from tests.support.collecting import ARCHIVE, archive
from tests.support.factories import a_failed_look, a_gone_look, a_look, an_endpoint

OTHER = "acme/heron-2"
FIRST = Run("20260516T090000Z-collect-aaaaaa", "collect", "live", 1800)
SECOND = Run("20260516T093000Z-collect-bbbbbb", "collect", "live", 1800)
THIRD = Run("20260516T100000Z-collect-cccccc", "collect", "live")
RUNS = {
    FIRST: [a_look(an_endpoint(), an_endpoint("south")), a_look(an_endpoint(), target=OTHER, model=OTHER)],
    SECOND: [a_look(an_endpoint(prompt="0.5", novelty=1), minute=30), a_failed_look(31, target=OTHER)],
    THIRD: [a_look(an_endpoint(), an_endpoint("south"), minute=60), a_gone_look(62, target=OTHER)],
}
NAMES = [run.name for run in RUNS]


def full_archive() -> Archive:
    """The archive with the bundles of the three runs."""
    given = archive()
    for run, looks in RUNS.items():
        bundle(given, run, *looks)
    return given


def bundle(given: Archive, run: Run, *looks: Observation) -> None:
    """Write these looks as those of a run."""
    write(given, *(replace(look, run=run) for look in looks), run=run)


def path_of(run: Run) -> Path:
    """Where the bundle of a run lies."""
    (path,) = Path(ARCHIVE).absolute().rglob(f"{run.name}.jsonl.gz")
    return path


def damage(run: Run, line: int) -> None:
    """Change a digit within one line of a run's bundle, as a failing disk would."""
    path = path_of(run)
    lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    assert b"2026" in lines[line - 1]
    lines[line - 1] = lines[line - 1].replace(b"2026", b"2025", 1)
    path.write_bytes(gzip.compress(b"".join(lines)))


def tables(engine: sa.Engine) -> dict[str, list[str]]:
    """Every row of every table, as people see it."""
    with engine.connect() as connection:
        return visible(connection)


def emptied(engine: sa.Engine) -> None:
    """Remove every row of every table."""
    with writing(engine) as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())
