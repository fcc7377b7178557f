"""Store observations, and reconcile which of them count as evidence. Inside one write transaction.

`evidence` holds the rules. This module loads what they need and no more: the other observations of the same target in
the same second, and the observations around them where several paths lead to one model.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection, select

from endpoint_history.database.dialect import insert
from endpoint_history.store.evidence import ECHO_WINDOW, Candidate, counting
from models.listing import ParsedObservation
from models.observation import Observation, Target
from models.tables import models, observations, runs, target_models, targets
from models.types import UtcTime

K = TypeVar("K", int, datetime)
FOR_EVER = datetime(9999, 12, 31, tzinfo=UTC)
_ROWS_AT_ONCE = 500
OBSERVATION_KEY = (
    observations.c.target_id,
    observations.c.observed_at,
    observations.c.outcome,
    observations.c.body_digest,
)
_ASKED, _LATER = observations.alias("asked"), observations.alias("later")
_PROOF = ("run_id", "http_status", "error", "elapsed_ms", "archive_line", "origin")


@dataclass(frozen=True, slots=True)
class EvidenceChange:
    """Observations that now count (`added`), and that no longer do (`removed`)."""

    added: list[Candidate]
    removed: list[Candidate]


def observation_row(
    observation: Observation, reading: ParsedObservation, run_id: int, target_id: int, model_id: int | None
) -> dict[str, Any]:
    """Return the columns of `observations`. A new observation does not count until `reconcile` says so."""
    return {
        "run_id": run_id,
        "target_id": target_id,
        "observed_at": observation.observed_at,
        "outcome": reading.outcome,
        "complete": reading.complete,
        "is_evidence": False,
        "model_id": model_id,
        "http_status": observation.status,
        "error": reading.trouble,
        "elapsed_ms": observation.elapsed_ms,
        "body_bytes": None if observation.body is None else len(observation.body),
        "body_digest": observation.body_digest,
        "archive_line": observation.archive_line,
        "origin": observation.origin,
    }


def insert_new(connection: Connection, rows: Sequence[dict[str, Any]]) -> dict[tuple[Any, ...], int]:
    """Insert the rows that are new. Returns their ids by (target id, instant, outcome, digest)."""
    if not rows:
        return {}
    statement = insert(connection, observations).on_conflict_do_nothing()
    columns = (observations.c.id, *OBSERVATION_KEY)
    if connection.dialect.name == "postgresql":
        new = connection.execute(statement.returning(*columns), rows)
    else:  # SQLite has RETURNING since 3.35 only; within one transaction, a new row's id is above all others
        last = connection.execute(select(sa.func.max(observations.c.id))).scalar() or 0
        connection.execute(statement, rows)
        new = connection.execute(select(*columns).where(observations.c.id > last))
    return {tuple(row[1:]): row[0] for row in new}


def stored_provenance(
    connection: Connection, keys: Iterable[tuple[Any, ...]]
) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """Return id and provenance of those keys (target id, instant, outcome, digest) that are stored.

    The provenance is: whether the run is not a collect, the run's name, and the line of its bundle.
    """
    wanted = list(keys)
    found: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    provenance = (observations.c.id, runs.c.kind, runs.c.name, observations.c.archive_line)
    query = select(*provenance, *OBSERVATION_KEY).join(runs)
    for start in range(0, len(wanted), _ROWS_AT_ONCE):
        part = wanted[start : start + _ROWS_AT_ONCE]
        where = observations.c.target_id.in_({key[0] for key in part}) & observations.c.observed_at.in_(
            {key[1] for key in part}
        )
        for id_, kind, name, line, *key in connection.execute(query.where(where)):
            found[tuple(key)] = (id_, kind != "collect", name, line or 0)
    return {key: found[key] for key in wanted if key in found}


def read_origins(connection: Connection, target: Target, times: Iterable[datetime]) -> list[str]:
    """Return the origins of imported observations of this target at any of these instants."""
    of_target = (targets.c.author == target.author) & (targets.c.slug == target.slug)
    query = select(observations.c.origin).join(targets).where(of_target, observations.c.origin.is_not(None))
    found: list[str] = []
    for part in _slices(times):
        found += connection.execute(query.where(observations.c.observed_at.in_(part))).scalars()
    return found


def replace_provenance(connection: Connection, rows: Iterable[tuple[int, dict[str, Any]]]) -> None:
    """Replace the provenance of stored observations, given by id, by that of these rows."""
    changed = [{"observation": id_} | {name: row[name] for name in _PROOF} for id_, row in rows]
    if changed:
        where = observations.c.id == sa.bindparam("observation")
        values: dict[str, Any] = {name: sa.bindparam(name) for name in _PROOF}
        connection.execute(observations.update().where(where).values(values), changed)


def gones_to_reassign(connection: Connection, new_ids: Iterable[int]) -> list[int]:
    """Return the stored `gone` rows that earlier new `ok` rows of the same paths assign to other models."""
    new, gone, later = _ASKED, observations, _LATER
    next_shown = (
        select(sa.func.min(later.c.observed_at))
        .where(later.c.target_id == new.c.target_id, later.c.outcome == "ok", later.c.observed_at > new.c.observed_at)
        .scalar_subquery()
    )
    until = sa.func.coalesce(next_shown, sa.literal(FOR_EVER, UtcTime))
    query = (
        select(gone.c.id)
        .select_from(new)
        .join(gone, (gone.c.target_id == new.c.target_id) & (gone.c.observed_at > new.c.observed_at))
        .where(new.c.outcome == "ok", gone.c.outcome == "gone", gone.c.observed_at <= until)
        .where(gone.c.model_id.is_distinct_from(new.c.model_id))
    )
    return [id_ for ids in _slices(new_ids) for id_ in connection.execute(query.where(new.c.id.in_(ids))).scalars()]


def assign_gones(connection: Connection, gone_ids: Iterable[int]) -> None:
    """Assign each `gone` row to the model that its path showed last before it."""
    shown = _ASKED
    last = (
        select(shown.c.model_id)
        .join(models, models.c.id == shown.c.model_id)
        .where(shown.c.target_id == observations.c.target_id, shown.c.outcome == "ok")
        .where(shown.c.observed_at < observations.c.observed_at)
        .order_by(shown.c.observed_at.desc(), models.c.openrouter_id.desc())
        .limit(1)
        .scalar_subquery()
    )
    for ids in _slices(gone_ids):
        where = observations.c.id.in_(ids)
        connection.execute(observations.update().where(where).values(model_id=last, is_evidence=False))


def load_same_instant(connection: Connection, ids: Iterable[int], *, others_only: bool = False) -> list[Candidate]:
    """Return all candidates of the same targets in the same seconds as these rows, with or without the rows."""
    same = (_ASKED.c.target_id == observations.c.target_id) & (_ASKED.c.observed_at == observations.c.observed_at)
    query = _candidates().join(_ASKED, same)
    if others_only:
        query = query.where(observations.c.id != _ASKED.c.id)
    return [_candidate(row) for part in _slices(ids) for row in connection.execute(query.where(_ASKED.c.id.in_(part)))]


def load_around(connection: Connection, model_ids: Iterable[int], start: datetime, end: datetime) -> list[Candidate]:
    """Return the candidates that can decide over those from `start` to `end`, of models that several paths lead to."""
    reached = sa.func.count(target_models.c.target_id)
    several = select(target_models.c.model_id).where(target_models.c.model_id.in_(set(model_ids)))
    ids = list(connection.execute(several.group_by(target_models.c.model_id).having(reached > 1)).scalars())
    if not ids:
        return []
    near = observations.c.observed_at.between(start - 2 * ECHO_WINDOW, end + 2 * ECHO_WINDOW)
    return [_candidate(row) for row in connection.execute(_candidates().where(observations.c.model_id.in_(ids), near))]


def reconcile(connection: Connection, candidates: Iterable[Candidate], undecided: set[int]) -> EvidenceChange:
    """Decide which of these observations count, and store it. `undecided` are the ids that may start to count.

    Of the others, some may stop to count.
    """
    by_id = {candidate.id: candidate for candidate in candidates}
    counts = counting(list(by_id.values()))
    added = [candidate for id_, candidate in by_id.items() if id_ in undecided and id_ in counts]
    removed = [candidate for id_, candidate in by_id.items() if candidate.is_evidence and id_ not in counts]
    # Removed first: a unique index forbids that two observations of one second count, even for a moment.
    for changed, is_evidence in ((removed, False), (added, True)):
        for ids in _slices(candidate.id for candidate in changed):
            connection.execute(observations.update().where(observations.c.id.in_(ids)).values(is_evidence=is_evidence))
    return EvidenceChange(added, removed)


def _candidates() -> sa.Select[Any]:
    o = observations
    own = (o.c.id, targets.c.author, targets.c.slug, o.c.observed_at, o.c.outcome, o.c.complete, o.c.body_digest)
    return (
        select(*own, models.c.openrouter_id, o.c.model_id, o.c.is_evidence)
        .join(targets, targets.c.id == o.c.target_id)
        .join(models, models.c.id == o.c.model_id)
        .where(o.c.outcome != "failed")
    )


def _candidate(row: sa.Row[*tuple[Any, ...]]) -> Candidate:
    id_, author, slug, *rest = row
    return Candidate(id_, Target(author, slug), *rest)


def _slices(values: Iterable[K]) -> Iterable[list[K]]:
    """Split the values into sorted parts that fit into one statement of any database."""
    items = sorted(set(values))
    return (items[start : start + _ROWS_AT_ONCE] for start in range(0, len(items), _ROWS_AT_ONCE))
