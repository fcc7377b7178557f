"""Find or add the rows that others point to: runs, targets, models, endpoints. Inside one write transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection, select

from endpoint_history.archive.bundle_format import NAME_TIME
from endpoint_history.database.dialect import insert
from endpoint_history.io.strict_json import canonical
from endpoint_history.store.rows import Row, model_row, terms_row
from models.listing import Drift, EndpointKey, EndpointListing, ModelListing
from models.observation import Run, Target
from models.tables import drift, endpoints, models, runs, target_models, targets

K = TypeVar("K")
L = TypeVar("L", ModelListing, EndpointListing)
Seen = tuple[datetime, ModelListing]
EndpointId = tuple[int, EndpointKey]
EndpointSeen = tuple[datetime, int, EndpointListing]


def run_ids(connection: Connection, wanted: Iterable[Run]) -> dict[str, int]:
    """Return the id of each run by name. New runs are added."""
    by_name = {run.name: run for run in wanted}
    known = _ids(connection, runs, runs.c.name.in_(by_name), (runs.c.name,))
    found = {name: id_ for (name,), id_ in known.items()}
    for name in by_name.keys() - found.keys():
        found[name] = add_run(connection, by_name[name])
    return found


def of_collect(name: str) -> sa.ColumnElement[bool]:
    """Match the rows of `runs` that are this run or one of its shards, whose names begin with its name."""
    return (runs.c.name == name) | runs.c.name.startswith(f"{name}-", autoescape=True)


def add_run(connection: Connection, run: Run) -> int:
    """Add a new run and return its id. Its name holds the time at which it started."""
    started = datetime.strptime(run.name.partition("-")[0], NAME_TIME).replace(tzinfo=UTC)
    row = {
        "name": run.name,
        "kind": run.kind,
        "source": run.source,
        "cadence_seconds": run.cadence_seconds,
        "started_at": started,
    }
    return _insert(connection, runs, [row])[0]


def target_ids(connection: Connection, asked: Iterable[Target]) -> dict[Target, int]:
    """Return the id of each target. New targets are added."""
    wanted = set(asked)
    found = known_targets(connection, wanted)
    missing = sorted(wanted - found.keys())
    if missing:
        rows = [{"author": target.author, "slug": target.slug} for target in missing]
        found |= dict(zip(missing, _insert(connection, targets, rows), strict=True))
    return found


def known_targets(connection: Connection, wanted: set[Target]) -> dict[Target, int]:
    """Return the ids of those targets that are stored."""
    authors = {target.author for target in wanted}
    known = _ids(connection, targets, targets.c.author.in_(authors), (targets.c.author, targets.c.slug))
    return {target: id_ for key, id_ in known.items() if (target := Target(*key)) in wanted}


def model_ids(connection: Connection, seen: Iterable[Seen]) -> dict[str, int]:
    """Return the id of each model in these bodies. Its row is taken from the newest body."""
    by_id: dict[str, list[Seen]] = {}
    for at, listing in seen:
        by_id.setdefault(listing.openrouter_id, []).append((at, listing))
    query = select(models).where(models.c.openrouter_id.in_(by_id))
    known: dict[str, Row] = {row["openrouter_id"]: row for row in connection.execute(query).mappings().all()}
    rows = {id_: _merge(known.get(id_), items, model_row) for id_, items in by_id.items()}
    return _upsert(connection, models, known, {i: {"openrouter_id": i, **row} for i, row in rows.items()})


def endpoint_ids(
    connection: Connection, seen: Iterable[EndpointSeen], model_ids: Iterable[int]
) -> dict[EndpointId, int]:
    """Return the id of each endpoint of these models by (model id, key). Rows are taken from the newest body."""
    query = select(endpoints).where(endpoints.c.model_id.in_(set(model_ids)))
    known: dict[EndpointId, Row] = {_endpoint_key(row): row for row in connection.execute(query).mappings().all()}
    by_key: dict[EndpointId, list[tuple[datetime, EndpointListing]]] = {}
    for at, model_id, listing in seen:
        by_key.setdefault((model_id, listing.key), []).append((at, listing))
    rows = {key: _endpoint_row(key, _merge(known.get(key), items, _endpoint_columns)) for key, items in by_key.items()}
    return {key: row["id"] for key, row in known.items()} | _upsert(connection, endpoints, known, rows)


def add_paths(connection: Connection, shown: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Store which target has shown which model, as (target id, model id). Returns the new pairs."""
    wanted = set(shown)
    columns = (target_models.c.target_id, target_models.c.model_id)
    query = select(*columns).where(target_models.c.target_id.in_({target_id for target_id, _ in wanted}))
    new = sorted(wanted - {(target_id, model_id) for target_id, model_id in connection.execute(query)})
    if new:
        connection.execute(
            target_models.insert(), [{"target_id": target_id, "model_id": model_id} for target_id, model_id in new]
        )
    return new


def add_drift(connection: Connection, seen: Iterable[tuple[datetime, frozenset[Drift]]]) -> None:
    """Count the unknown keys and values of bodies."""
    times: dict[Drift, list[datetime]] = {}
    for at, found in seen:
        for item in found:
            times.setdefault(item, []).append(at)
    rows = [
        {
            "path": item.path,
            "value": item.value or "",
            "first_seen_at": min(at),
            "last_seen_at": max(at),
            "observations": len(at),
        }
        for item, at in sorted(times.items(), key=str)
    ]
    if rows:
        connection.execute(_add_to_drift(connection), rows)


def _add_to_drift(connection: Connection) -> sa.Insert:
    statement = insert(connection, drift)
    new, old = statement.excluded, drift.c
    update = {
        "first_seen_at": sa.case((new.first_seen_at < old.first_seen_at, new.first_seen_at), else_=old.first_seen_at),
        "last_seen_at": sa.case((new.last_seen_at > old.last_seen_at, new.last_seen_at), else_=old.last_seen_at),
        "observations": old.observations + new.observations,
    }
    return statement.on_conflict_do_update(index_elements=["path", "value"], set_=update)


def _endpoint_key(row: Row) -> EndpointId:
    return row["model_id"], EndpointKey(row["variant"], row["route"], row["ordinal"])


def _endpoint_row(key: EndpointId, row: dict[str, Any]) -> dict[str, Any]:
    model_id, natural = key
    return {
        "model_id": model_id,
        "variant": natural.variant,
        "route": natural.route,
        "ordinal": natural.ordinal,
        **row,
    }


def _endpoint_columns(listing: EndpointListing) -> dict[str, Any]:
    return {"tag": listing.tag, "name": listing.name, **terms_row(listing.terms)}


def _merge(
    known: Row | None, seen: Sequence[tuple[datetime, L]], columns: Callable[[L], dict[str, Any]]
) -> dict[str, Any]:
    """Return the row of the newest body. Of two at one instant, the greater text wins, in any order of loading."""
    times = [at for at, _ in seen]
    if known is not None:
        times += known["first_seen_at"], known["last_seen_at"]
    newest = max(times)
    rows = [columns(listing) for at, listing in seen if at == newest]
    if known is not None and known["last_seen_at"] == newest:
        rows.append({name: known[name] for name in columns(seen[0][1])})
    row = rows[0] if len(rows) == 1 else max(rows, key=lambda row: canonical({k: str(v) for k, v in row.items()}))
    return {**row, "first_seen_at": min(times), "last_seen_at": newest}


def _upsert(
    connection: Connection, table: sa.Table, known: dict[K, Row], rows: dict[K, dict[str, Any]]
) -> dict[K, int]:
    """Insert new rows, and update the columns that differ from the known ones. Returns the ids by key."""
    changed: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for key, row in rows.items():
        if key in known and (news := {name: value for name, value in row.items() if known[key][name] != value}):
            changed.setdefault(tuple(news), []).append({"id_": known[key]["id"], **news})
    for updates in changed.values():
        connection.execute(table.update().where(table.c.id == sa.bindparam("id_")), updates)
    missing = [key for key in rows if key not in known]
    new = _insert(connection, table, [rows[key] for key in missing])
    return {key: known[key]["id"] for key in rows if key in known} | dict(zip(missing, new, strict=True))


def _insert(connection: Connection, table: sa.Table, rows: list[dict[str, Any]]) -> list[int]:
    """Insert the rows and return their ids in order. There are few: one statement each."""
    ids = []
    for row in rows:
        key = connection.execute(table.insert().values(row)).inserted_primary_key
        assert key is not None  # noqa: S101 - for mypy
        ids.append(int(key[0]))
    return ids


def _ids(
    connection: Connection, table: sa.Table, where: sa.ColumnElement[bool], key: tuple[sa.Column[Any], ...]
) -> dict[tuple[Any, ...], int]:
    return {tuple(row[1:]): row[0] for row in connection.execute(select(table.c.id, *key).where(where))}
