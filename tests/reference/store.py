"""What history must be, worked out the slow and plain way from the whole set of observations at once.

Nothing here is shared with the product but the parser. It knows no order of arrival, no batches and no database: what
it gives is the definition that the store is held to.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from endpoint_history.parsing.body import read_observation
from endpoint_history.store.rows import LISTINGS, PRICES, ChangeTable
from models.listing import ABSENT, EndpointKey, EndpointListing, ParsedObservation, Uptime, canonical_decimal
from models.observation import Observation
from models.tables import (
    NO_HISTORY,
    drift,
    endpoints,
    metadata,
    models,
    observations,
    stale_rollups,
    targets,
    uptime_samples,
)

FIFTEEN_MINUTES = timedelta(minutes=15)
Key = tuple[str, str, str, int]  # model, variant, route, ordinal
Change = tuple[datetime, Any]  # None: absent


@dataclass(frozen=True)
class Fact:
    """One distinct observation with what it says and the model it speaks for."""

    observation: Observation
    reading: ParsedObservation
    model: str

    @property
    def at(self) -> datetime:
        return self.observation.observed_at

    @property
    def path(self) -> str:
        return str(self.observation.target)

    def lists(self) -> dict[EndpointKey, EndpointListing]:
        return {endpoint.key: endpoint for endpoint in self.reading.listing.endpoints} if self.reading.listing else {}


@dataclass(frozen=True)
class History:
    """What an analyst must see."""

    evidence: set[tuple[str, datetime]]
    prices: dict[Key, list[Change]]
    terms: dict[Key, list[Change]]
    uptime: dict[tuple[Key, datetime], Any]
    seen: dict[Key, tuple[datetime, datetime]]
    drift: dict[tuple[str, str], tuple[Any, ...]]


def history_of(looks: Iterable[Observation]) -> History:
    """The history that these observations make, in whatever order they stand here."""
    read = _distinct(looks)
    facts = _facts(read)
    evidence = [fact for fact in facts if _counts(fact, facts)]
    keys = {(fact.model, key) for fact in facts for key in fact.lists()}
    return History(
        evidence={(fact.path, fact.at) for fact in evidence},
        prices={_name(m, k): rows for m, k in keys if (rows := _changes(evidence, m, k, "prices"))},
        terms={_name(m, k): rows for m, k in keys if (rows := _changes(evidence, m, k, "terms"))},
        uptime={
            (_name(fact.model, key), fact.at): endpoint.uptime
            for fact in evidence
            for key, endpoint in fact.lists().items()
        },
        seen={_name(m, k): _seen([f.at for f in facts if f.model == m and k in f.lists()]) for m, k in keys},
        drift=_drift(read),
    )


def evidence_of(looks: Iterable[Observation]) -> list[Fact]:
    """The observations that count, each proved by our own run before an import, then by the older run."""
    facts = _facts(_distinct(looks))
    return [fact for fact in facts if _counts(fact, facts)]


def _distinct(looks: Iterable[Observation]) -> list[tuple[Observation, ParsedObservation]]:
    distinct: dict[Any, tuple[Observation, ParsedObservation]] = {}
    for observation in sorted(looks, key=lambda o: (o.run.kind != "collect", o.run.name, o.archive_line or 0)):
        reading = read_observation(observation)
        key = (observation.target, observation.observed_at, reading.outcome, observation.body_digest)
        distinct.setdefault(key, (observation, reading))
    return list(distinct.values())


def _facts(read: list[tuple[Observation, ParsedObservation]]) -> list[Fact]:
    shown = [(o.target, o.observed_at, r.listing.openrouter_id) for o, r in read if r.listing]
    facts = [Fact(o, r, r.listing.openrouter_id) for o, r in read if r.listing]
    for observation, reading in read:
        earlier = [(at, m) for target, at, m in shown if target == observation.target and at < observation.observed_at]
        if reading.outcome == "gone" and earlier:
            facts.append(Fact(observation, reading, max(earlier)[1]))
    return facts


def _counts(fact: Fact, facts: list[Fact]) -> bool:
    return not any(_beats(other, fact) for other in facts if other is not fact)


def _beats(other: Fact, fact: Fact) -> bool:
    if other.path == fact.path:
        return other.at == fact.at and _strength(other) < _strength(fact)
    near = other.model == fact.model and abs(other.at - fact.at) <= FIFTEEN_MINUTES
    if not near or other.reading.outcome != "ok":
        return False
    return fact.reading.outcome == "gone" or _distance(other) < _distance(fact)


def _strength(fact: Fact) -> tuple[int, int, str]:
    return (
        0 if fact.reading.outcome == "ok" else 1,
        0 if fact.reading.complete else 1,
        fact.observation.body_digest,
    )


def _distance(fact: Fact) -> tuple[int, list[str]]:
    return (0 if fact.path == fact.model else 1, fact.path.split("/"))


def _changes(evidence: list[Fact], model: str, key: EndpointKey, what: str) -> list[Change]:
    rows: list[Change] = []
    value: Any = None
    for fact in sorted((fact for fact in evidence if fact.model == model), key=lambda fact: fact.at):
        endpoint = fact.lists().get(key)
        if endpoint is None and not fact.reading.complete:
            continue
        found = getattr(endpoint, what) if endpoint else None
        if found != value:
            rows.append((fact.at, found))
            value = found
    return rows


def _name(model: str, key: EndpointKey) -> Key:
    return (model, key.variant, key.route, key.ordinal)


def _seen(times: list[datetime]) -> tuple[datetime, datetime]:
    return min(times), max(times)


def _drift(read: list[tuple[Observation, ParsedObservation]]) -> dict[tuple[str, str], tuple[Any, ...]]:
    times: dict[tuple[str, str], list[datetime]] = {}
    for observation, reading in read:
        for item in reading.drift:
            times.setdefault((item.path, item.value or ""), []).append(observation.observed_at)
    return {key: (min(at), max(at), len(at)) for key, at in times.items()}


def stored_history(connection: sa.Connection) -> History:
    """What the tables hold, in the same shape."""
    named = sa.select(endpoints, models.c.openrouter_id).join(models)
    rows = list(connection.execute(named).mappings())
    keys = {r["id"]: (r["openrouter_id"], r["variant"], r["route"], r["ordinal"]) for r in rows}
    looks = sa.select(targets.c.author, targets.c.slug, observations.c.observed_at).select_from(
        observations.join(targets)
    )
    evidence = connection.execute(looks.where(observations.c.is_evidence))
    samples = connection.execute(sa.select(uptime_samples)).mappings()
    uptimes = [field.name for field in dataclasses.fields(Uptime)]
    return History(
        evidence={(f"{author}/{slug}", at) for author, slug, at in evidence},
        prices=_stored_changes(connection, PRICES, keys),
        terms=_stored_changes(connection, LISTINGS, keys),
        uptime={(keys[s["endpoint_id"]], s["observed_at"]): Uptime(**{u: s[u] for u in uptimes}) for s in samples},
        seen={keys[r["id"]]: (r["first_seen_at"], r["last_seen_at"]) for r in rows},
        drift={(row[0], row[1]): tuple(row[2:]) for row in connection.execute(sa.select(drift))},
    )


def _stored_changes(
    connection: sa.Connection, history: ChangeTable[Any], keys: dict[int, Key]
) -> dict[Key, list[Change]]:
    found: dict[Key, list[Change]] = {}
    for row in connection.execute(sa.select(history.table).order_by(history.table.c.observed_at)).mappings():
        value = history.from_row(row)
        found.setdefault(keys[row["endpoint_id"]], []).append((row["observed_at"], None if value is ABSENT else value))
    return found


def visible(connection: sa.Connection) -> dict[str, list[str]]:
    """Every row of every table as text, sorted, with natural keys in the place of surrogate ids.

    But the notes of what is to be rolled up: they are no history.
    """
    names: dict[str, dict[int, str]] = {}
    found = {}
    for table in [table for table in metadata.sorted_tables if table not in {stale_rollups, *NO_HISTORY}]:
        rows = list(connection.execute(sa.select(table)).mappings())
        texts = [_text(table, row, names) for row in rows]
        found[table.name] = sorted(texts)
        if "id" in table.c:
            unique = {"runs": ["name"], "targets": ["author", "slug"], "models": ["openrouter_id"]}.get(table.name)
            unique = unique or {
                "endpoints": ["model_id", "variant", "route", "ordinal"],
                "observations": ["target_id", "observed_at", "outcome", "body_digest"],
            }.get(table.name)
            assert unique, f"what names a row of {table.name}?"
            names[table.name] = {row["id"]: _text(table, row, names, unique) for row in rows}
    return found


def without_provenance(found: dict[str, list[str]]) -> dict[str, list[str]]:
    """The rows that `visible` gives without which run brought what from where."""
    looks = [json.loads(row) for row in found["observations"]]
    kept = [{name: look[name] for name in look.keys() - {"run_id", "archive_line", "origin"}} for look in looks]
    history = {name: rows for name, rows in found.items() if name != "runs"}
    return history | {"observations": sorted(json.dumps(look, sort_keys=True) for look in kept)}


def _text(table: sa.Table, row: sa.RowMapping, names: dict[str, dict[int, str]], only: list[str] | None = None) -> str:
    cells = {}
    for column in table.columns:
        if column.name == "id" or (only and column.name not in only):
            continue
        value = row[column.name]
        for key in column.foreign_keys:
            value = None if value is None else names[key.column.table.name][value]
        cells[column.name] = canonical_decimal(value) if isinstance(value, Decimal) else value
    return json.dumps(cells, sort_keys=True, default=str)
