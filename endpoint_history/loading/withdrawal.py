"""Withdraw runs: make the history as if they had never happened, until they are restored.

A note hides the bundle from everything that loads; the history is then rebuilt from the other bundles in one
transaction. An observation that another run also made stays, with that run as its source. To restore a run, its bundle
is loaded like any late data. Both can be repeated, which completes what was interrupted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from endpoint_history.archive.bundles import Archive
from endpoint_history.archive.reader import Progress
from endpoint_history.archive.withdrawal_note import MAX_REASON, WithdrawalNote
from endpoint_history.database.engine import translated_errors, writing
from endpoint_history.errors import ConfigurationError, HistoryError
from endpoint_history.loading.bundles import Loaded, load_bundles
from endpoint_history.loading.rebuild import rebuild
from endpoint_history.loading.run_list import kind_of, observed_spans, read_runs
from endpoint_history.suggestions import closest
from models.observation import Run
from models.tables import observations, runs

# A run without a bundle for longer than this counts as lost, with the machine that ran it.
_LONGEST_RUN = timedelta(days=1)
_PARTS_OF_A_NAME = 3  # time, kind and token: less would be many runs at once


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The withdrawn runs. `loaded` is what the history was rebuilt from; None if it held none of them.

    `later_backfills` ran after one of them and skipped the observations that it had.
    """

    names: Sequence[str]
    loaded: Loaded | None
    later_backfills: Sequence[str]


def withdraw(
    engine: sa.Engine,
    archive: Archive,
    names: Iterable[str],
    reason: str,
    *,
    at: datetime,
    progress: Progress = lambda *_: None,
) -> Withdrawn:
    """Withdraw these runs; the name of a collect includes all its shards. `at` is now.

    Raises ConfigurationError for an unknown run or an empty reason, HistoryError if a run is under way or the history
    can't be rebuilt. Nothing has changed then.
    """
    reason = _checked(reason)
    with translated_errors(engine):
        archive.recover()
        rows, before = read_runs(engine), archive.withdrawn()
        wanted = _named(names, {*rows, *archive.bundles(), *before})
        for name in wanted:
            _refuse_open(archive, name, rows.get(name), at)
        new = [name for name in wanted if name not in before]
        loaded = None
        with engine.connect() as connection:
            spans = observed_spans(connection, new)
        try:
            for name in new:
                archive.withdraw(_note(name, rows.get(name), spans.get(name), reason, at))
            if _have_observations(engine, wanted):
                loaded = rebuild(engine, archive, progress)
            else:
                _forget(engine, wanted)
        except BaseException:
            for name in new:
                archive.restore(name)
            raise
    later = [name for name in sorted(rows) if kind_of(name) == "backfill" and name > wanted[0] and name not in wanted]
    return Withdrawn(wanted, loaded, later)


def withdraw_unstored(engine: sa.Engine, archive: Archive, run: Run, reason: str, at: datetime) -> None:
    """Withdraw a run that has archived bodies but stored nothing. Raises HistoryError."""
    archive.withdraw(WithdrawalNote(run=run.name, reason=reason, withdrawn_at=at, source=run.source))
    with translated_errors(engine):
        _forget(engine, [run.name])


def restore(
    engine: sa.Engine, archive: Archive, names: Iterable[str], progress: Progress = lambda *_: None
) -> tuple[list[str], Loaded]:
    """Load withdrawn runs again. Returns their names, and what was read. Completely stored runs are skipped.

    Raises ConfigurationError for an unknown run, HistoryError if its bundle is not in the archive.
    """
    with translated_errors(engine):
        rows, withdrawn = read_runs(engine), archive.withdrawn()
        wanted = _named(names, {*rows, *archive.bundles(), *withdrawn})
        waiting = [name for name in wanted if name in withdrawn or not (name in rows and rows[name]["finished_at"])]
        for name in waiting:
            if not archive.holds(name):
                raise HistoryError(
                    f"the bundle of the run {name} is not there; put it back first: {archive.path(name)}"
                )
        for name in waiting:
            archive.restore(name)
        return waiting, load_bundles(engine, archive, waiting, progress=progress)


def _checked(reason: str) -> str:
    reason = " ".join(reason.split())
    if not reason or len(reason) > MAX_REASON:
        raise ConfigurationError(f"--reason: say why, in 1 to {MAX_REASON} characters")
    return reason


def _named(names: Iterable[str], known: set[str]) -> list[str]:
    """Return the known runs of these names, with the shards of a collect."""
    found: set[str] = set()
    for name in names:
        of_name = {run for run in known if run == name or run.startswith(f"{name}-")}
        if not of_name or len(name.split("-")) < _PARTS_OF_A_NAME:
            close = closest(name, known)
            hint = f"; did you mean {close[0]}?" if close else "."
            raise ConfigurationError(f"there is no run {name}{hint} All runs: endpoint-history runs")
        found |= of_name
    return sorted(found)


def _refuse_open(archive: Archive, name: str, row: sa.RowMapping | None, at: datetime) -> None:
    if archive.is_open(name):
        raise HistoryError(f"the run {name} is under way: withdraw it after its end")
    is_unfinished = row is not None and not row["finished_at"] and timedelta() <= at - row["started_at"] < _LONGEST_RUN
    if is_unfinished and not archive.holds(name):
        raise HistoryError(
            f"the run {name} has no end and no bundle: it is under way, or its lines wait in the spool of another"
            " machine; withdraw it after its end, or a day after it began"
        )


def _have_observations(engine: sa.Engine, names: Sequence[str]) -> bool:
    """True if these runs are the source of any stored observation. Otherwise the database only has their names."""
    query = sa.select(observations.c.id).join(runs).where(runs.c.name.in_(names)).limit(1)
    with engine.connect() as connection:
        return connection.execute(query).first() is not None


def _forget(engine: sa.Engine, names: Sequence[str]) -> None:
    proves = sa.exists().where(observations.c.run_id == runs.c.id)
    with writing(engine) as connection:
        connection.execute(runs.delete().where(runs.c.name.in_(names), ~proves))


def _note(
    name: str, row: sa.RowMapping | None, span: tuple[datetime, datetime] | None, reason: str, at: datetime
) -> WithdrawalNote:
    known = {column: row[column] for column in ("source", "finished_at", "ok", "gone", "failed")} if row else {}
    first, last = span or (None, None)
    return WithdrawalNote(
        run=name,
        reason=reason,
        withdrawn_at=at.replace(microsecond=0),
        first_observed_at=first,
        last_observed_at=last,
        **known,
    )
