"""Store looks themselves, and settle which of them count. Inside one write transaction.

The rules are in `evidence`; here is what they need to know, fetched as narrowly as they allow: the other looks of
the same target and second, and where several paths lead to one model, those around.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection, select

from endpoint_history.database.dialect import insert
from endpoint_history.store.evidence import ECHO_WINDOW, Sighting, counting
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
class Look:
    """An `ok` or `gone` row as stored. `model_id` and `sighting` are those of the model it speaks for."""

    sighting: Sighting
    model_id: int
    is_evidence: bool


@dataclass(frozen=True, slots=True)
class Flip:
    """A row that counts now (`on`), or no longer does."""

    look: Look
    on: bool


def observation_row(
    observation: Observation, reading: ParsedObservation, run_id: int, target_id: int, model_id: int | None
) -> dict[str, Any]:
    """The columns of `observations`; nothing counts before it is settled."""
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
    """Insert the rows not known yet; give their ids by (target id, instant, outcome, digest)."""
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
    """Of these keys (target id, instant, outcome, digest) those that are stored: id, and what tells their provenance.

    That is whether another run than a collect tells of them, the run's name, and the line of its bundle.
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
    """Where the bodies from outside lay that looks at this target, at any of these instants, rest on."""
    of_target = (targets.c.author == target.author) & (targets.c.slug == target.slug)
    query = select(observations.c.origin).join(targets).where(of_target, observations.c.origin.is_not(None))
    found: list[str] = []
    for part in _slices(times):
        found += connection.execute(query.where(observations.c.observed_at.in_(part))).scalars()
    return found


def replace_provenance(connection: Connection, rows: Iterable[tuple[int, dict[str, Any]]]) -> None:
    """Let known looks, by id, be proved by these rows: two runs that tell of one look are told apart by a rule."""
    changed = [{"look": id_} | {name: row[name] for name in _PROOF} for id_, row in rows]
    if changed:
        where = observations.c.id == sa.bindparam("look")
        values: dict[str, Any] = {name: sa.bindparam(name) for name in _PROOF}
        connection.execute(observations.update().where(where).values(values), changed)


def gones_to_reassign(connection: Connection, new_ids: Iterable[int]) -> list[int]:
    """Stored `gone` rows whose path shows, by these new `ok` rows, what it had not been known to show before them."""
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


def attribute(connection: Connection, gone_ids: Iterable[int]) -> None:
    """Let each `gone` row speak for the model that its path showed last before it."""
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


def load_looks(connection: Connection, ids: Iterable[int]) -> list[Look]:
    """These rows and every other look of the same targets in the same seconds."""
    return _load_same(connection, ids, sa.true())


def load_rivals(connection: Connection, ids: Iterable[int]) -> list[Look]:
    """Every other look of the same targets in the same seconds as these rows."""
    return _load_same(connection, ids, observations.c.id != _ASKED.c.id)


def _load_same(connection: Connection, ids: Iterable[int], where: sa.ColumnElement[bool]) -> list[Look]:
    same = (_ASKED.c.target_id == observations.c.target_id) & (_ASKED.c.observed_at == observations.c.observed_at)
    query = _looks().join(_ASKED, same).where(where)
    return [_look(row) for part in _slices(ids) for row in connection.execute(query.where(_ASKED.c.id.in_(part)))]


def load_around(connection: Connection, model_ids: Iterable[int], start: datetime, end: datetime) -> list[Look]:
    """The looks that can decide over those from `start` to `end`, of models that several paths lead to."""
    reached = sa.func.count(target_models.c.target_id)
    several = select(target_models.c.model_id).where(target_models.c.model_id.in_(set(model_ids)))
    ids = list(connection.execute(several.group_by(target_models.c.model_id).having(reached > 1)).scalars())
    if not ids:
        return []
    span = observations.c.observed_at.between(start - 2 * ECHO_WINDOW, end + 2 * ECHO_WINDOW)
    return [_look(row) for row in connection.execute(_looks().where(observations.c.model_id.in_(ids), span))]


def settle(connection: Connection, looks: Iterable[Look], unsettled: set[int]) -> list[Flip]:
    """Mark which of these looks count. Of those settled before, some may stop to count; none can start to."""
    by_id = {look.sighting.id: look for look in looks}
    counts = counting([look.sighting for look in by_id.values()])
    flips = [Flip(look, on=True) for id_, look in by_id.items() if id_ in unsettled and id_ in counts]
    flips += [Flip(look, on=False) for id_, look in by_id.items() if look.is_evidence and id_ not in counts]
    # Off before on: two looks of one second may not count both, not even for a moment.
    for on in (False, True):
        for ids in _slices(flip.look.sighting.id for flip in flips if flip.on is on):
            connection.execute(observations.update().where(observations.c.id.in_(ids)).values(is_evidence=on))
    return flips


def _looks() -> sa.Select[Any]:
    o = observations
    look = (o.c.id, targets.c.author, targets.c.slug, o.c.observed_at, o.c.outcome, o.c.complete, o.c.body_digest)
    return (
        select(*look, models.c.openrouter_id, o.c.model_id, o.c.is_evidence)
        .join(targets, targets.c.id == o.c.target_id)
        .join(models, models.c.id == o.c.model_id)
        .where(o.c.outcome != "failed")
    )


def _look(row: sa.Row[*tuple[Any, ...]]) -> Look:
    id_, author, slug, at, outcome, complete, digest, model, model_id, is_evidence = row
    sighting = Sighting(id_, Target(author, slug), at, outcome, complete, digest, model)
    return Look(sighting, model_id, is_evidence)


def _slices(values: Iterable[K]) -> Iterable[list[K]]:
    """Parts that fit into one statement of any database."""
    items = sorted(set(values))
    return (items[start : start + _ROWS_AT_ONCE] for start in range(0, len(items), _ROWS_AT_ONCE))
