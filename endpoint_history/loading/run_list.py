"""List the runs in the database, the archive or both, and the state of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

import sqlalchemy as sa
from sqlalchemy import select

from endpoint_history.archive.bundle_format import NAME_TIME
from endpoint_history.archive.bundles import Archive
from endpoint_history.archive.withdrawal_note import WithdrawalNote
from models.tables import observations, runs

RunState = Literal["stored", "not loaded", "unfinished", "no bundle", "withdrawn", "withdrawal unfinished"]


@dataclass(frozen=True, slots=True)
class ListedRun:
    """One run. What is unknown is None.

    `stored`: it is completely stored. `not loaded`: only the archive has it. `unfinished`: it is under way, was cut
    off, or was loaded in part. `no bundle`: the database holds it, but the archive does not. `withdrawn`: for this
    `reason`. `withdrawal unfinished`: it is withdrawn, but the database still holds it.

    `first_observed_at` and `last_observed_at` cover the observations that the database has from it, or had when it was
    withdrawn.
    """

    name: str
    kind: str
    state: RunState
    started_at: datetime
    source: str | None = None
    finished_at: datetime | None = None
    ok: int | None = None
    gone: int | None = None
    failed: int | None = None
    first_observed_at: datetime | None = None
    last_observed_at: datetime | None = None
    withdrawn_at: datetime | None = None
    reason: str | None = None


def list_runs(engine: sa.Engine, archive: Archive, limit: int | None = None) -> tuple[list[ListedRun], int]:
    """Return the newest runs, at most `limit`, and the number of all runs. Raises HistoryError."""
    rows = read_runs(engine)
    sizes, notes = archive.sizes(), archive.notes()
    names = sorted({*rows, *sizes, *notes}, reverse=True)
    with engine.connect() as connection:
        listed = [_listed(name, rows.get(name), notes.get(name), sizes) for name in names[:limit]]
        spans = observed_spans(connection, [run.name for run in listed if run.name in rows])
    return [
        replace(run, first_observed_at=spans[run.name][0], last_observed_at=spans[run.name][1])
        if run.name in spans
        else run
        for run in listed
    ], len(names)


def read_runs(engine: sa.Engine) -> dict[str, sa.RowMapping]:
    """Return the rows of `runs` by name."""
    with engine.connect() as connection:
        return {row["name"]: row for row in connection.execute(select(runs)).mappings()}


def kind_of(name: str) -> str:
    """Return the kind of a run from its name."""
    return name.split("-")[1]


def _listed(name: str, row: sa.RowMapping | None, note: WithdrawalNote | None, sizes: Mapping[str, int]) -> ListedRun:
    started_at = datetime.strptime(name.partition("-")[0], NAME_TIME).replace(tzinfo=UTC)
    run = ListedRun(name, kind_of(name), _state(name, row, note, sizes), started_at)
    if note:
        run = replace(
            run,
            reason=note.reason,
            withdrawn_at=note.withdrawn_at,
            first_observed_at=note.first_observed_at,
            last_observed_at=note.last_observed_at,
        )
    known = row or (note and note.model_dump())
    columns = ("source", "finished_at", "ok", "gone", "failed")
    return replace(run, **{column: known[column] for column in columns}) if known else run


def _state(name: str, row: sa.RowMapping | None, note: WithdrawalNote | None, sizes: Mapping[str, int]) -> RunState:
    if note:
        return "withdrawal unfinished" if row else "withdrawn"
    if not row:
        return "not loaded"
    if not row["finished_at"]:
        return "unfinished"
    return "stored" if name in sizes else "no bundle"


def observed_spans(connection: sa.Connection, names: Iterable[str]) -> dict[str, tuple[datetime, datetime]]:
    """Return the times of the first and the last stored observation of each of these runs that has any."""
    at = observations.c.observed_at
    query = select(runs.c.name, sa.func.min(at), sa.func.max(at)).join(observations).group_by(runs.c.name)
    rows = connection.execute(query.where(runs.c.name.in_(list(names))))
    return {name: (first, last) for name, first, last in rows}
