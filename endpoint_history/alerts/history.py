"""Which alerts of rules fire in a time, asked of the history: the shell around endpoint_history.alerts.engine.

Of an endpoint that can have an alert in it, all its changes are read, which are few; of looks only those at the
instants that matter.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, select

from endpoint_history.alerts.engine import (
    Alert,
    HeldValue,
    alerts,
    combined,
    debounced,
    held_values,
    incident_steps,
    moved,
)
from endpoint_history.alerts.incidents import KnownIncident, load_incidents
from endpoint_history.alerts.observations import (
    ObservationTimes,
    Subject,
    in_chunks,
    last_observation_times,
    load_subjects,
)
from endpoint_history.alerts.rules import Rule
from endpoint_history.archive.bundle_format import collect_name
from endpoint_history.parsing.scheduled_price import ALWAYS_CHARGED, shows_plain_price
from models.tables import listing_changes, pricing_snapshots, runs

_FREE = Decimal(0)


@dataclass(frozen=True, slots=True)
class RuleAlert:
    """An alert of a rule about an endpoint; of a `stale` rule about the collector, and no endpoint.

    Its values are prices by key, or whether it is listed, in trouble or failing. `began_at` is when an incident began.
    """

    rule: Rule
    subject: Subject | None
    alert: Alert[Any]
    began_at: datetime | None = None


class AlertHistory:
    """What alerts after `since`, up to `until`, by what was known then."""

    def __init__(self, connection: Connection, since: datetime, until: datetime) -> None:
        self._connection = connection
        self._since, self._until = since, until
        self._looks = ObservationTimes(connection, until)
        self._subjects = load_subjects(connection)
        models = sorted({subject.model_id for subject in self._subjects})
        looked = last_observation_times(connection, [(model, since) for model in models])
        self._last_observed_at = {model: at for model, at in zip(models, looked, strict=True) if at}

    def alerts(self, rules: Iterable[Rule]) -> list[RuleAlert]:
        """The alerts of these rules, in order of time."""
        kinds = {"price": self._prices, "listing": self._listings, "incident": self._incidents, "stale": self._stale}
        found = [item for rule in rules for item in kinds[rule.on](rule) if self._since < item.alert.at <= self._until]
        return sorted(found, key=lambda item: item.alert.at)

    def incidents(self) -> list[tuple[Subject, KnownIncident]]:
        """The incidents of which it was seen in this time that they began, or that they are over."""
        return [
            (subject, known)
            for subject, known in self._known(self._subjects, only_news=True)
            if any(at and self._since < at <= self._until for at in (known.times.opened_at, known.times.over_at))
        ]

    def _known(self, subjects: Sequence[Subject], *, only_news: bool = False) -> list[tuple[Subject, KnownIncident]]:
        return load_incidents(self._connection, subjects, self._last_observed_at, self._looks, only_news=only_news)

    def _of(self, rule: Rule) -> list[Subject]:
        return [subject for subject in self._subjects if rule.takes(subject.models, subject.providers)]

    def _prices(self, rule: Rule) -> Iterator[RuleAlert]:
        table = pricing_snapshots.c
        columns = [table[f"{key}_usd"] for key in rule.prices]
        rows = self._rows(rule, pricing_snapshots, [*columns, table.varies, table.overrides])
        tracks = {
            subject: {
                key: held_values((row["observed_at"], _price(row, key)) for row in changes) for key in rule.prices
            }
            for subject, changes in rows.items()
        }
        self._prefetch(
            rule, ((subject, span) for subject, keys in tracks.items() for key in keys.values() for span in key)
        )
        beyond = partial(moved, threshold_pct=rule.threshold_pct, direction=rule.direction)
        for subject, keys in tracks.items():
            next_observation = self._looks.of(subject)
            steps = combined({key: debounced(track, rule.hold, next_observation) for key, track in keys.items()})
            for alert in alerts(steps, rule.rearm, lambda a, b: bool(beyond(a, b)), next_observation):
                yield RuleAlert(rule, subject, alert)

    def _listings(self, rule: Rule) -> Iterator[RuleAlert]:
        rows = self._rows(rule, listing_changes)
        tracks = {subject: _listed(subject, changes) for subject, changes in rows.items()}
        self._prefetch(rule, ((subject, span) for subject, track in tracks.items() for span in track))

        def beyond(before: bool, after: bool) -> bool:
            return before != after and rule.direction in {"both", "listed" if after else "gone"}

        for subject, track in tracks.items():
            next_observation = self._looks.of(subject)
            for alert in alerts(debounced(track, rule.hold, next_observation), rule.rearm, beyond, next_observation):
                yield RuleAlert(rule, subject, alert)

    def _incidents(self, rule: Rule) -> Iterator[RuleAlert]:
        found: dict[Subject, list[KnownIncident]] = {}
        for subject, known in self._known(self._of(rule)):
            found.setdefault(subject, []).append(known)
        began = {subject: [known.times.started_at for known in items] for subject, items in found.items()}
        self._looks.prefetch((subject, at + rule.hold) for subject, times in began.items() for at in times)
        for subject, items in found.items():
            next_observation = self._looks.of(subject)
            steps = list(incident_steps((known.times for known in items), rule.hold, next_observation))
            for alert in alerts(steps, rule.rearm, _begins, next_observation, normal=False):
                last = max(at for at in began[subject] if at < alert.at)
                yield RuleAlert(rule, subject, alert, began_at=last)

    def _stale(self, rule: Rule) -> Iterator[RuleAlert]:
        """Of the collector: a collect, with its shards, in which most targets failed is bad. Its end is the look."""
        query = select(runs.c.name, runs.c.finished_at, runs.c.ok + runs.c.gone, runs.c.failed)
        ended = self._connection.execute(query.where(runs.c.kind == "collect", runs.c.finished_at.is_not(None)))
        walks: dict[str, tuple[datetime, int]] = {}
        for name, end, good, failed in ended:
            if end <= self._until:
                walk = collect_name(name)
                last, excess = walks.get(walk, (end, 0))
                walks[walk] = (max(last, end), excess + failed - good)
        rows = sorted((end, excess > 0) for end, excess in walks.values())
        times = [at for at, _ in rows]

        def first_end(at: datetime) -> datetime | None:
            return next((end for end in times[bisect_left(times, at) :]), None)

        for alert in alerts(
            debounced(held_values(rows), rule.hold, first_end), rule.rearm, _begins, first_end, normal=False
        ):
            yield RuleAlert(rule, None, alert)

    def _prefetch(self, rule: Rule, held: Iterable[tuple[Subject, HeldValue[Any]]]) -> None:
        if rule.hold:
            self._looks.prefetch((s, span.start + rule.hold) for s, span in held if span.can_hold(rule.hold))

    def _rows(
        self, rule: Rule, table: sa.Table, columns: Sequence[sa.ColumnElement[Any]] = ()
    ) -> dict[Subject, list[sa.RowMapping]]:
        """The change rows, in order of time, of each endpoint that can alert."""
        touched = {subject.id: subject for subject in self._touched(rule, table)}
        query = select(table.c.endpoint_id, table.c.observed_at, table.c.listed, *columns)
        query = query.where(table.c.observed_at <= self._until).order_by(table.c.endpoint_id, table.c.observed_at)
        found: dict[Subject, list[sa.RowMapping]] = {}
        for ids in in_chunks(list(touched)):
            for row in self._connection.execute(query.where(table.c.endpoint_id.in_(ids))).mappings():
                found.setdefault(touched[row["endpoint_id"]], []).append(row)
        return found

    def _touched(self, rule: Rule, table: sa.Table) -> list[Subject]:
        """Those whose last change may alert in this time: others had held, and could have alerted, before it began.

        What counted by a model's last look before can still wait for the rule to be armed; what counted by the last
        look `rearm` before that can not.
        """
        subjects = self._of(rule)
        asked = sorted((id_, at - rule.rearm) for id_, at in self._last_observed_at.items())
        over = dict(zip((id_ for id_, _ in asked), last_observation_times(self._connection, asked), strict=True))
        newest: dict[int, datetime] = {}
        query = select(table.c.endpoint_id, sa.func.max(table.c.observed_at)).group_by(table.c.endpoint_id)
        for ids in in_chunks([subject.id for subject in subjects]):
            where = table.c.endpoint_id.in_(ids) & (table.c.observed_at <= self._until)
            newest |= dict(map(tuple, self._connection.execute(query.where(where))))
        return [s for s in subjects if s.id in newest and not _is_over(newest[s.id] + rule.hold, over.get(s.model_id))]


def _is_over(held_at: datetime, look: datetime | None) -> bool:
    return look is not None and held_at <= look


def _begins(before: bool, after: bool) -> bool:
    return after and not before


def _listed(subject: Subject, changes: Sequence[sa.RowMapping]) -> list[HeldValue[bool]]:
    """An endpoint that came to a known model was not listed before."""
    rows = [(row["observed_at"], bool(row["listed"])) for row in changes]
    return held_values([(subject.since, False), *rows] if subject.since < rows[0][0] else rows)


def _price(row: sa.RowMapping, key: str) -> Decimal | None:
    """Return a plain price to compare; None if there is none, or the row shows the price of a time window.

    OpenRouter lists the price of the minute, which flips at a window's ends without anybody changing it.
    """
    price: Decimal | None = row[f"{key}_usd"]
    if not row["listed"] or (price is None and (row["varies"] or key in ALWAYS_CHARGED)):
        return None
    return (price or _FREE) if shows_plain_price(key, price, row["overrides"], row["observed_at"]) else None
