"""What rollups must be, worked out the slow and plain way from all samples and all looks at once.

Nothing here is shared with the product but the thresholds and what tests.reference.store shares.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from math import floor
from typing import Any

import sqlalchemy as sa

from endpoint_history.parsing.body import read_observation
from endpoint_history.rollups.incidents import BAD_BELOW, CLOSES_AFTER, OPENS_AFTER, REDEFINED_AT, SILENCE
from models.observation import Observation
from models.tables import (
    catalogue_daily,
    closed_gaps,
    endpoints,
    evidence_daily,
    incident_spans,
    models,
    stale_rollups,
    uptime_daily,
    uptime_hourly,
)
from tests.reference.store import Fact, Key, evidence_of, history_of

Sample = tuple[datetime, float | None]
HALF_AN_HOUR = timedelta(minutes=30)
REDEFINITION = datetime.fromtimestamp(REDEFINED_AT, UTC)
SILENT_FOR = timedelta(seconds=SILENCE)


@dataclass
class Rollups:
    """Every row of the rollups, by natural keys."""

    hourly: dict[tuple[Key, datetime], Any] = field(default_factory=dict)
    daily: dict[tuple[Key, date], Any] = field(default_factory=dict)
    catalogue: dict[date, tuple[int, int]] = field(default_factory=dict)
    incidents: dict[tuple[Key, datetime], Any] = field(default_factory=dict)
    # observed, imported, missed_count, failed, covered, when the last of the looks was
    days: dict[tuple[str, date], list[Any]] = field(default_factory=dict)
    gaps: dict[tuple[str, datetime], Any] = field(default_factory=dict)
    stale: int = 0


def rollups_of(looks: Iterable[Observation]) -> Rollups:
    """The rollups of the history that these observations make, in whatever order they stand here."""
    looks = list(looks)
    history = history_of(looks)
    samples: dict[Key, list[Sample]] = {}
    for (key, at), uptime in sorted(history.uptime.items()):
        samples.setdefault(key, []).append((at, uptime.uptime_30m_pct))
    rollups = Rollups()
    for key, of_endpoint in samples.items():
        weighed = list(_weighed(of_endpoint))
        hours = {at.replace(minute=0, second=0) for at, _ in of_endpoint}
        rollups.hourly |= {(key, hour): _sums([w for w in weighed if _hour(w[0]) == hour]) for hour in hours}
        days = {at.date() for at, _ in of_endpoint}
        rollups.daily |= {(key, day): _sums([w for w in weighed if w[0].date() == day]) for day in days}
        absences = [at for at, value in history.terms[key] if value is None]
        rollups.incidents |= {(key, start): rest for start, *rest in _incidents(of_endpoint, absences)}
    for (_, day), sums in rollups.daily.items():
        endpoints_, rated = rollups.catalogue.get(day, (0, 0))
        rollups.catalogue[day] = (endpoints_ + 1, rated + (sums[2] > 0))
    evidence = evidence_of(looks)
    for model in {fact.model for fact in evidence}:
        _add_coverage(rollups, model, [fact for fact in evidence if fact.model == model])
        _add_failures(rollups, model, looks)
    return rollups


def _hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0)


def _weighed(samples: list[Sample]) -> Iterable[tuple[datetime, float | None, int]]:
    for place, (at, uptime) in enumerate(samples):
        alone = at - samples[place - 1][0] if place else HALF_AN_HOUR
        yield at, uptime, int(min(alone, HALF_AN_HOUR).total_seconds())


def _sums(weighed: list[tuple[datetime, float | None, int]]) -> tuple[Any, ...]:
    values = [(uptime, seconds) for _, uptime, seconds in weighed if uptime is not None]
    covered = sum(seconds for _, seconds in values)
    total = sum(round(Fraction(uptime) * 10**9) * seconds for uptime, seconds in values)
    return (
        float(Fraction(total, covered * 10**9)) if values else None,
        min((uptime for uptime, _ in values), default=None),
        len(values),
        covered,
        sum(seconds for _, uptime, seconds in weighed if uptime is None),
        sum(seconds for uptime, seconds in values if uptime < 95),
        sum(seconds for uptime, seconds in values if uptime < 80),
    )


def _incidents(samples: list[Sample], absences: list[datetime]) -> Iterable[tuple[Any, ...]]:
    """Cut the values where nothing more can be said, and find in each piece the first bad and first good rows."""
    values = [(at, uptime) for at, uptime in samples if uptime is not None]
    things = sorted([at for at, _ in samples] + absences)
    piece: list[tuple[datetime, float]] = []
    for place, (at, uptime) in enumerate(values):
        piece.append((at, uptime))
        following = values[place + 1][0] if place + 1 < len(values) else None
        cut = _cut(
            at, [thing for thing in things if thing > at and (following is None or thing <= following)], absences
        )
        if cut or following is None:
            yield from _incidents_of_piece(piece, *(cut or (None, None)))
            piece = []


def _cut(at: datetime, things: list[datetime], absences: list[datetime]) -> tuple[datetime, str] | None:
    """What comes first after a value, until its follower, that ends all that can be said."""
    cuts = [(thing, 2, thing, "left") for thing in things if thing in absences]
    if any(thing >= at + SILENT_FOR for thing in things):
        cuts.append((at + SILENT_FOR, 1, at + timedelta(seconds=1), "silent"))
    if at < REDEFINITION and any(thing >= REDEFINITION for thing in things):
        cuts.append((REDEFINITION, 3, REDEFINITION, "redefined"))
    return min(cuts)[2:] if cuts else None


def _incidents_of_piece(
    piece: list[tuple[datetime, float]], end: datetime | None, reason: str | None
) -> Iterable[tuple[Any, ...]]:
    bad = [uptime < BAD_BELOW for _, uptime in piece]
    place = 0
    while place < len(piece):
        if len(bad[place:]) < OPENS_AFTER or not all(bad[place : place + OPENS_AFTER]):
            place += 1
            continue
        rows = range(place, len(piece) - CLOSES_AFTER + 1)
        close = next((row for row in rows if not any(bad[row : row + CLOSES_AFTER])), None)
        inside = [uptime for _, uptime in piece[place:close]]
        over = (end, reason) if close is None else (piece[close][0], "recovered")
        yield piece[place][0], *over, len(inside), min(inside)
        if close is None:
            return
        place = close


def _add_coverage(rollups: Rollups, model: str, evidence: list[Fact]) -> None:
    for_one_second: dict[datetime, Fact] = {}
    for fact in sorted(
        evidence, key=lambda f: (f.observation.run.cadence_seconds or 10**9, f.observation.run.kind != "collect")
    ):
        for_one_second.setdefault(fact.at, fact)
    looks = sorted(for_one_second.items())
    for place, (at, fact) in enumerate(looks):
        row = rollups.days.setdefault((model, at.date()), [0, 0, 0, 0, 0, None])
        row[5] = at
        row[0 if fact.observation.run.kind == "collect" else 1] += 1
        before = looks[place - 1][0] if place else None
        row[4] += int(min(at - before, HALF_AN_HOUR).total_seconds()) if before else 1800
        cadences = [f.observation.run.cadence_seconds for _, f in looks[:place] if f.observation.run.cadence_seconds]
        if not before or not cadences or at - before <= 1.5 * timedelta(seconds=cadences[-1]):
            continue
        length = int((at - before).total_seconds())
        missed_count = floor(Fraction(length, cadences[-1]) + Fraction(1, 2)) - 1
        rollups.gaps[model, before] = (at, cadences[-1], missed_count)
        for number in range(1, missed_count + 1):
            missed = before + timedelta(seconds=floor(Fraction(number * length, missed_count + 1)))
            rollups.days.setdefault((model, missed.date()), [0, 0, 0, 0, 0, None])[2] += 1


def _add_failures(rollups: Rollups, model: str, looks: list[Observation]) -> None:
    """Of the looks that lack those that failed: one for each run that failed by any path that ever showed the model."""
    read = [(look, read_observation(look)) for look in _proved(looks)]
    paths = {look.target for look, reading in read if reading.listing and reading.listing.openrouter_id == model}
    failed = [look for look, reading in read if reading.outcome == "failed" and look.target in paths]
    failed_in_gaps: list[Observation] = []
    for (of_model, start), (end, *rest) in list(rollups.gaps.items()):
        if of_model == model:
            within = [look for look in failed if start <= look.observed_at < end]
            failed_in_gaps += within
            rollups.gaps[of_model, start] = (end, *rest, min(rest[-1], len({look.run.name for look in within})))
    for (of_model, day), row in rollups.days.items():
        if of_model == model:
            row[3] = min(row[2], len({look.run.name for look in failed_in_gaps if look.observed_at.date() == day}))


def _proved(looks: list[Observation]) -> list[Observation]:
    """Each look once, by the run that proves it."""
    once: dict[Any, Observation] = {}
    for look in sorted(looks, key=lambda o: (o.run.kind != "collect", o.run.name)):
        once.setdefault((look.target, look.observed_at, look.status, look.body, look.error), look)
    return list(once.values())


def stored_rollups(connection: sa.Connection) -> Rollups:
    """What the tables hold, in the same shape."""
    named = sa.select(endpoints, models.c.openrouter_id).join(models)
    rows = connection.execute(named).mappings()
    keys = {r["id"]: (r["openrouter_id"], r["variant"], r["route"], r["ordinal"]) for r in rows}
    names = {row.id: row.openrouter_id for row in connection.execute(sa.select(models))}

    def load(table: sa.Table, named: dict[int, Any]) -> dict[Any, tuple[Any, ...]]:
        return {(named[row[0]], row[1]): tuple(row[2:]) for row in connection.execute(sa.select(table))}

    return Rollups(
        hourly=load(uptime_hourly, keys),
        daily=load(uptime_daily, keys),
        catalogue={row[0]: (row[1], row[2]) for row in connection.execute(sa.select(catalogue_daily))},
        incidents={key: list(row) for key, row in load(incident_spans, keys).items()},
        days={key: list(row) for key, row in load(evidence_daily, names).items()},
        gaps=load(closed_gaps, names),
        stale=len(connection.execute(sa.select(stale_rollups)).all()),
    )
