"""All of history that the pages show, read at one instant by a few queries over everything."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import groupby
from typing import Any

import sqlalchemy as sa

from endpoint_history.store.rows import PRICES
from models.listing import Absent, PriceSet
from models.tables import endpoints, evidence_daily, closed_gaps, models, observations, uptime_daily
from models.views import current_prices, endpoint_changes, incidents, model_price_changes, price_changes

Row = sa.RowMapping
_CHUNK_ROWS = 20_000


@dataclass(slots=True)
class Days:
    """Uptime of an endpoint by UTC days, oldest first; days without a sample are left out.

    `means` and `worst` are in percent, None where upstream gave no number; `covered` are the seconds that the mean
    stands for, `bad` those of them below 95 percent.
    """

    days: list[date] = field(default_factory=list)
    means: list[float | None] = field(default_factory=list)
    worst: list[float | None] = field(default_factory=list)
    covered: list[int] = field(default_factory=list)
    bad: list[int] = field(default_factory=list)

    def since(self, begin: date) -> Days:
        """The same from that day on."""
        first = bisect_left(self.days, begin)
        return Days(self.days[first:], self.means[first:], self.worst[first:], self.covered[first:], self.bad[first:])


@dataclass(slots=True)
class Endpoint:
    """One endpoint: its row, its price sets from when on, what changed, when it was in trouble, how it runs now.

    `now` is its row of `current_prices`, None where it is not listed.
    """

    row: Row
    prices: list[tuple[datetime, PriceSet | Absent]] = field(default_factory=list)
    price_changes: list[Row] = field(default_factory=list)
    listing_changes: list[Row] = field(default_factory=list)
    incidents: list[Row] = field(default_factory=list)
    uptime: Days = field(default_factory=Days)
    now: Row | None = None

    @property
    def prices_now(self) -> PriceSet | None:
        """The price set in force, None where it is not listed."""
        last = self.prices[-1][1] if self.prices else None
        return last if isinstance(last, PriceSet) else None


@dataclass(slots=True)
class Model:
    """One model: its row, the newest look that counts, its endpoints by id, moves of its lowest price."""

    row: Row
    looked_at: datetime
    endpoints: list[Endpoint] = field(default_factory=list)
    lowest: list[Row] = field(default_factory=list)
    coverage: list[Row] = field(default_factory=list)
    gaps: list[Row] = field(default_factory=list)

    @property
    def id(self) -> str:
        """The resolved model id."""
        return str(self.row["openrouter_id"])


@dataclass(slots=True)
class History:
    """All models in order of their ids, and the newest look at any of them: what the pages call now.

    `begins_at` is the first look that counts. Both are None where there is none yet.
    """

    models: list[Model]
    begins_at: datetime | None
    seen_at: datetime | None


def read_history(connection: sa.Connection) -> History:
    """Read everything that the pages show."""
    by_id = {model.row["id"]: model for model in _models(connection)}
    by_endpoint: dict[int, Endpoint] = {}
    order = (endpoints.c.variant, endpoints.c.route, endpoints.c.ordinal)
    for row in connection.execute(sa.select(endpoints)).mappings():
        by_endpoint[row["id"]] = Endpoint(row)
    for endpoint in sorted(by_endpoint.values(), key=lambda e: tuple(e.row[c.name] for c in order)):
        if endpoint.row["model_id"] in by_id:
            by_id[endpoint.row["model_id"]].endpoints.append(endpoint)
    _read_changes(connection, by_endpoint)
    for id_, days in _uptime(connection):
        by_endpoint[id_].uptime = days
    _read_looks(connection, by_id)
    found = sorted(by_id.values(), key=lambda model: model.id)
    begins_at = min((model.row["first_seen_at"] for model in found), default=None)
    return History(found, begins_at, max((model.looked_at for model in found), default=None))


def _models(connection: sa.Connection) -> Iterator[Model]:
    o = observations.c
    newest = (
        sa.select(o.observed_at)
        .where(o.model_id == models.c.id, o.is_evidence)
        .order_by(o.observed_at.desc())
        .limit(1)
        .scalar_subquery()
    )
    for row in connection.execute(sa.select(models, newest.label("looked_at"))).mappings():
        yield Model(row, row["looked_at"] or row["last_seen_at"])


def _read_changes(connection: sa.Connection, by_endpoint: dict[int, Endpoint]) -> None:
    for row in _rows(connection, PRICES.table, "endpoint_id", "observed_at"):
        by_endpoint[row["endpoint_id"]].prices.append((row["observed_at"], PRICES.from_row(row)))
    for row in _rows(connection, current_prices, columns=("status", "uptime_30m_pct", "observed_at", "valid_from")):
        by_endpoint[row["endpoint_id"]].now = row
    moved = ("observed_at", "price_key", "before", "after", "kind", "before_json", "after_json")
    for row in _rows(connection, price_changes, "observed_at", columns=moved):
        by_endpoint[row["endpoint_id"]].price_changes.append(row)
    for row in _rows(
        connection, endpoint_changes, "observed_at", columns=("observed_at", "kind", "term", "before", "after")
    ):
        by_endpoint[row["endpoint_id"]].listing_changes.append(row)
    for row in _rows(connection, incidents, "started_at"):
        by_endpoint[row["endpoint_id"]].incidents.append(row)


def _read_looks(connection: sa.Connection, by_id: dict[int, Model]) -> None:
    for row in _rows(connection, model_price_changes, "observed_at"):
        by_id[row["model_id"]].lowest.append(row)
    for row in _rows(connection, evidence_daily, "day"):
        by_id[row["model_id"]].coverage.append(row)
    for row in _rows(connection, closed_gaps, "started_at"):
        by_id[row["model_id"]].gaps.append(row)


def _rows(connection: sa.Connection, table: sa.FromClause, *order: str, columns: tuple[str, ...] = ()) -> Iterator[Row]:
    names = ("endpoint_id", *columns) if columns else tuple(table.c.keys())
    query = sa.select(*(table.c[name] for name in names)).order_by(*(table.c[name] for name in order))
    return iter(connection.execute(query).mappings())


def _uptime(connection: sa.Connection) -> Iterator[tuple[int, Days]]:
    """Endpoint by endpoint along the primary key: by far the most rows, so they are read as the driver gives them."""
    c = uptime_daily.c
    read = (c.endpoint_id, c.day, c.uptime_pct, c.min_uptime_pct, c.covered_seconds, c.below_95_seconds)
    query = sa.select(*(sa.type_coerce(column, sa.Text()) if column is c.day else column for column in read))
    result = connection.execute(query.order_by(c.endpoint_id, c.day), execution_options={"stream_results": True})
    rows = (row for chunk in result.partitions(_CHUNK_ROWS) for row in chunk)
    known: dict[Any, date] = {}
    for id_, of_endpoint in groupby(rows, key=lambda row: row[0]):
        days = Days()
        for _, day, mean, worst, covered, bad in of_endpoint:
            days.days.append(known.get(day) or known.setdefault(day, _date(day)))
            days.means.append(mean)
            days.worst.append(worst)
            days.covered.append(covered)
            days.bad.append(bad)
        yield id_, days


def _date(day: str | date) -> date:
    return date.fromisoformat(day) if isinstance(day, str) else day
