"""What alerts ask of the looks: whom they are about, and when was the first look at or after an instant.

All is asked by many instants at once, each a seek in an index: nothing reads the looks of a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection, select

from endpoint_history.alerts.engine import NextObservation
from endpoint_history.collecting.changes import EndpointName
from endpoint_history.database.dialect import unix_seconds
from models.tables import endpoints, models, observations, uptime_samples
from models.types import Id, UtcEpoch, UtcTime

T = TypeVar("T")
_AT_ONCE = 500
_o, _u = observations.c, uptime_samples.c


@dataclass(frozen=True, slots=True)
class Subject:
    """One endpoint by the names people know it by; `since` is when its model was first seen."""

    id: int
    model_id: int
    model: str
    variant: str
    provider: str
    route: str
    ordinal: int
    since: datetime

    @property
    def endpoint(self) -> EndpointName:
        """The same for reports and events."""
        return EndpointName(self.model, self.provider, self.route, self.variant, self.ordinal)

    @property
    def models(self) -> tuple[str, str]:
        """The names of its model: that of the listing, and its own, with :free and the like."""
        return self.model, self.variant

    @property
    def providers(self) -> tuple[str, str]:
        """The names of its provider: the displayed one, and that of its tag."""
        return self.provider, self.route.partition("/")[0]


def load_subjects(connection: Connection) -> list[Subject]:
    """Every endpoint there ever was."""
    e, m = endpoints.c, models.c
    names = (
        m.openrouter_id.label("model"),
        e.variant,
        sa.func.coalesce(e.provider_name, "").label("provider"),
        e.route,
        e.ordinal,
    )
    query = select(e.id, e.model_id, *names, m.first_seen_at.label("since")).select_from(endpoints.join(models))
    query = query.order_by(m.openrouter_id, e.variant, e.route, e.ordinal)
    return [Subject(**row) for row in connection.execute(query).mappings()]


class ObservationTimes:
    """The first looks at endpoints, none after `until`."""

    def __init__(self, connection: Connection, until: datetime) -> None:
        self._connection = connection
        self.until = until
        self._known: dict[tuple[int, datetime], datetime | None] = {}

    def prefetch(self, asked: Iterable[tuple[Subject, datetime]]) -> None:
        """Ask for many at once."""
        wanted = {(s.id, at): (s.id, s.model_id, at) for s, at in asked if (s.id, at) not in self._known}
        rows = [row for row in wanted.values() if row[2] <= self.until]
        self._known |= dict.fromkeys(wanted)
        for (id_, _, at), found in zip(rows, _next_observations(self._connection, rows), strict=True):
            self._known[id_, at] = found if found and found <= self.until else None

    def of(self, subject: Subject) -> NextObservation:
        """The first look at an endpoint at or after an instant: one that lists it, or proves that it is not listed."""

        def next_observation(at: datetime) -> datetime | None:
            self.prefetch([(subject, at)])
            return self._known[subject.id, at]

        return next_observation


def last_observation_times(connection: Connection, asked: Sequence[tuple[int, datetime]]) -> list[datetime | None]:
    """The last whole look at each model (by id) at or before its instant."""

    def last(given: sa.CTE) -> sa.Select[Any]:
        of_model = (_o.model_id == given.c.id) & _o.is_evidence & _o.complete & (_o.observed_at <= given.c.at)
        return select(_o.observed_at).where(of_model).order_by(_o.observed_at.desc()).limit(1)

    return _answers(connection, {"id": Id, "at": UtcTime}, asked, last)


def valued_samples(connection: Connection, asked: Sequence[tuple[int, datetime]], nth: int) -> list[datetime | None]:
    """The nth sample with a value of each endpoint (by id), from its instant on, counting from 1."""

    def sample(given: sa.CTE) -> sa.Select[Any]:
        of_endpoint = (_u.endpoint_id == given.c.id) & (_u.observed_at >= given.c.at)
        valued = select(_u.observed_at).where(of_endpoint, _u.uptime_30m_pct.is_not(None))
        return valued.order_by(_u.observed_at).offset(nth - 1).limit(1)

    return _answers(connection, {"id": Id, "at": UtcEpoch}, asked, sample)


def _next_observations(connection: Connection, asked: Sequence[tuple[int, int, datetime]]) -> list[datetime | None]:
    """One that could be read only in part speaks for the endpoints that it lists."""
    on_sqlite = connection.dialect.name == "sqlite"
    same_time = unix_seconds(connection, _o.observed_at) if on_sqlite else _o.observed_at

    def first(given: sa.CTE) -> sa.Select[Any]:
        listed = sa.exists().where(_u.endpoint_id == given.c.id, _u.observed_at == same_time)
        of_model = (_o.model_id == given.c.model_id) & _o.is_evidence & (_o.observed_at >= given.c.at)
        return select(_o.observed_at).where(of_model, _o.complete | listed).order_by(_o.observed_at).limit(1)

    return _answers(connection, {"id": Id, "model_id": Id, "at": UtcTime}, asked, first)


def _answers(
    connection: Connection,
    types: Mapping[str, Any],
    asked: Sequence[tuple[Any, ...]],
    answer: Callable[[sa.CTE], sa.Select[Any]],
) -> list[datetime | None]:
    """What the database answers to each of these rows."""
    columns = [sa.column("n", sa.Integer), *(sa.column(name, type_) for name, type_ in types.items())]
    found: list[datetime | None] = []
    for part in in_chunks(asked):
        given = sa.values(*columns, name="asked").data([(n, *row) for n, row in enumerate(part)]).cte("asked")
        rows = connection.execute(select(given.c.n, answer(given).scalar_subquery())).all()
        found += [at for _, at in sorted(map(tuple, rows), key=itemgetter(0))]
    return found


def in_chunks(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Parts that fit into one statement of any database."""
    return (items[start : start + _AT_ONCE] for start in range(0, len(items), _AT_ONCE))
