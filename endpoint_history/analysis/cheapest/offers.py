"""What the tables say of a model's offers at an instant: their prices, their terms, and how well they ran."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection, select

from endpoint_history.analysis.cheapest.conditions import nearest
from endpoint_history.errors import ConfigurationError
from endpoint_history.parsing.scheduled_price import ObservedPrices, is_timed
from endpoint_history.store.change_rule import value_at
from endpoint_history.store.rows import LISTINGS, PRICES, ChangeTable
from models.listing import Absent, EndpointKey, PriceSet, Terms
from models.tables import endpoints, models, observations, runs, target_models, targets, uptime_samples

V = TypeVar("V")
Sample = tuple[datetime, int | None, float | None]  # instant, status, uptime over 30 minutes in percent

_USUAL_CADENCE = timedelta(minutes=30)  # where no schedule is known
_WEEK = timedelta(days=7)  # windows repeat weekly: what was not seen outside them by then, is not seen


@dataclass(frozen=True, slots=True)
class ModelAsOf:
    """A model in this history, as of an instant: its evidence, and the cadence in force then.

    `seen_at` is the newest look at or before the instant that counts for it.
    """

    id: int
    openrouter_id: str
    as_of: datetime
    seen_at: datetime
    cadence: timedelta


@dataclass(frozen=True, slots=True)
class ListedOffer:
    """One offer that is listed at an instant: `looks` at its prices, newest first, and its samples in order of time."""

    endpoint_id: int
    key: EndpointKey
    terms: Terms
    observed: Sequence[ObservedPrices]
    samples: Sequence[Sample]

    @property
    def prices(self) -> PriceSet:
        """The price set in force."""
        return self.observed[0].prices


def find_model(connection: Connection, name: str, as_of: datetime | None) -> ModelAsOf:
    """The model of that id, of an endpoint's own id (a variant), or that a path of that name shows.

    Without an instant it is that of the newest evidence. Raises ConfigurationError, naming the nearest where there is
    none of that name, and when history begins where the instant lies before.
    """
    model_id = _model_id(connection, name, as_of)
    o = observations
    evidence = select(o.c.observed_at).where(o.c.model_id == model_id, o.c.is_evidence)
    first = connection.execute(evidence.order_by(o.c.observed_at).limit(1)).scalar()
    if first is None:
        raise ConfigurationError(f"--model: no look at {name!r} counts")
    if as_of is not None and as_of < first:
        raise ConfigurationError(f"--as-of: the history of {name} begins at {first:%Y-%m-%d %H:%M:%S} UTC")
    before = evidence if as_of is None else evidence.where(o.c.observed_at <= as_of)
    seen_at: datetime = connection.execute(before.order_by(o.c.observed_at.desc()).limit(1)).scalar_one()
    id_ = connection.execute(select(models.c.openrouter_id).where(models.c.id == model_id)).scalar_one()
    at = as_of or seen_at
    return ModelAsOf(model_id, id_, at, seen_at, _cadence(connection, at))


def load_offers(connection: Connection, found: ModelAsOf, since: datetime) -> list[ListedOffer]:
    """The offers that the model lists as of that instant, with their samples after `since`."""
    terms = {id_: value for id_, _, value in _in_force(connection, LISTINGS, found) if not isinstance(value, Absent)}
    prices = {id_: (at, v) for id_, at, v in _in_force(connection, PRICES, found) if not isinstance(v, Absent)}
    samples = _samples(connection, terms.keys() & prices.keys(), since, found.as_of)
    query = select(endpoints.c.id, endpoints.c.variant, endpoints.c.route, endpoints.c.ordinal)
    keys = {row[0]: EndpointKey(*row[1:]) for row in connection.execute(query.where(endpoints.c.id.in_(samples)))}
    offers = []
    for id_, key in sorted(keys.items(), key=lambda item: item[1]):
        at, value = prices[id_]
        newest = max([sample[0] for sample in samples[id_]], default=at)
        observed = [ObservedPrices(max(at, newest), value), ObservedPrices(at, value)]
        if is_timed(value):
            observed += _observed_in_a_week(connection, id_, found.as_of)
        offers.append(ListedOffer(id_, key, terms[id_], observed, samples[id_]))
    return offers


def _model_id(connection: Connection, name: str, as_of: datetime | None) -> int:
    for query in _ways_to(name, as_of):
        found = connection.execute(query.limit(1)).scalar()
        if found is not None:
            return int(found)
    raise ConfigurationError(_unknown(connection, name))


def _ways_to(name: str, as_of: datetime | None) -> Iterator[sa.Select[int]]:
    """A model's id, a variant, and a path: what it showed last by then, else what it first showed after."""
    yield select(models.c.id).where(models.c.openrouter_id == name)
    yield select(endpoints.c.model_id).where(endpoints.c.variant == name)
    author, _, slug = name.partition("/")
    o = observations.c
    shown = select(o.model_id).join(targets).where(targets.c.author == author, targets.c.slug == slug)
    shown = shown.where(o.outcome == "ok")
    yield (shown if as_of is None else shown.where(o.observed_at <= as_of)).order_by(o.observed_at.desc())
    yield shown.order_by(o.observed_at)


def _unknown(connection: Connection, name: str) -> str:
    ids = connection.execute(select(models.c.openrouter_id)).scalars()
    variants = connection.execute(select(endpoints.c.variant).distinct()).scalars()
    led = connection.execute(select(targets.c.author, targets.c.slug).join(target_models)).all()
    known = {*ids, *variants, *(f"{author}/{slug}" for author, slug in led)}
    if not known:
        return "--model: nothing is kept yet; run: endpoint-history collect"
    return f"--model: {name!r} is not in this history" + nearest(name, known)


def _cadence(connection: Connection, at: datetime) -> timedelta:
    query = select(runs.c.cadence_seconds).where(runs.c.cadence_seconds.is_not(None), runs.c.started_at <= at)
    seconds = connection.execute(query.order_by(runs.c.started_at.desc()).limit(1)).scalar()
    return timedelta(seconds=seconds) if seconds else _USUAL_CADENCE


def _in_force(
    connection: Connection, history: ChangeTable[V], found: ModelAsOf
) -> list[tuple[int, datetime, V | Absent]]:
    """By endpoint id the newest row at or before the instant, and its value."""
    table = history.table
    latest = (
        select(table.c.observed_at)
        .where(table.c.endpoint_id == endpoints.c.id, table.c.observed_at <= found.as_of)
        .order_by(table.c.observed_at.desc())
        .limit(1)
        .scalar_subquery()
    )
    at = select(endpoints.c.id, latest.label("at")).where(endpoints.c.model_id == found.id).subquery()
    query = select(table).join(at, (table.c.endpoint_id == at.c.id) & (table.c.observed_at == at.c.at))
    rows = connection.execute(query).mappings()
    return [(row["endpoint_id"], row["observed_at"], history.from_row(row)) for row in rows]


def _observed_in_a_week(connection: Connection, endpoint_id: int, until: datetime) -> list[ObservedPrices]:
    """The price set at every look of the week before that instant, newest first."""
    table, since = PRICES.table, until - _WEEK
    mine, p = table.c.endpoint_id == endpoint_id, table.c.observed_at
    first = select(p).where(mine, p <= since).order_by(p.desc()).limit(1).scalar_subquery()
    query = select(table).where(mine, p <= until, (p > since) | (p == first)).order_by(p)
    rows = {row["observed_at"]: PRICES.from_row(row) for row in connection.execute(query).mappings()}
    samples = _samples(connection, {endpoint_id}, since, until)[endpoint_id]
    # A complete look shows every offer that is listed; what an incomplete one lists, its samples tell.
    o = observations.c
    model_id = select(endpoints.c.model_id).where(endpoints.c.id == endpoint_id).scalar_subquery()
    complete = select(o.observed_at).where(o.model_id == model_id, o.is_evidence, o.complete)
    complete = complete.where(o.observed_at > since, o.observed_at <= until)
    instants = {at for at in rows if at > since} | {sample[0] for sample in samples}
    instants |= set(connection.execute(complete).scalars())
    values = ((at, value_at(at, rows)) for at in sorted(instants, reverse=True))
    return [ObservedPrices(at, value) for at, value in values if not isinstance(value, Absent)]


def _samples(
    connection: Connection, endpoint_ids: set[int], since: datetime, until: datetime
) -> dict[int, list[Sample]]:
    s = uptime_samples.c
    query = select(s.endpoint_id, s.observed_at, s.status, s.uptime_30m_pct).where(
        s.endpoint_id.in_(endpoint_ids), s.observed_at > since, s.observed_at <= until
    )
    found: dict[int, list[Sample]] = {id_: [] for id_ in endpoint_ids}
    for id_, at, status, percent in connection.execute(query.order_by(s.endpoint_id, s.observed_at)).all():
        found[id_].append((at, status, percent))
    return found
