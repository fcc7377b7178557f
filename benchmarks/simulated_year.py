"""A year of history of a whole catalogue, made straight in the tables: what analysts' questions are timed on.

1,200 endpoints of 421 models, a look at each model every 30 minutes. Values are made up, but as common as upstream's:
22 of 100 uptimes are null, 39 of the rest exactly 100; endpoints reprice every ten days or so, and one in six leaves
for a while and comes back.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import sqlalchemy as sa

from endpoint_history.database.partitions import create_partitions
from models.tables import metadata

BEGIN = datetime(2025, 11, 1, tzinfo=UTC)
CADENCE = timedelta(minutes=30)
PER_DAY = 48
MODELS, ENDPOINTS = 421, 1200
_SEED = 1
_UPTIMES: Sequence[float | None] = [None] * 22 + [100.0] * 30 + [round(97 + n / 16, 1) for n in range(48)]
_BATCH = 200_000

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Year:
    """What is made: so many days of it, the last of them ending now as far as the questions are concerned."""

    days: int = 365

    @property
    def ticks(self) -> int:
        """How many walks there are."""
        return self.days * PER_DAY

    @property
    def begin(self) -> datetime:
        """The instant of the first walk."""
        return BEGIN

    @property
    def end(self) -> datetime:
        """The instant after the last walk."""
        return BEGIN + self.days * timedelta(days=1)

    def model_of(self, endpoint: int) -> int:
        """The model that lists an endpoint; both count from 1."""
        return (endpoint - 1) * MODELS // ENDPOINTS + 1

    def provider_of(self, model: str) -> str:
        """The provider of a model's first endpoint."""
        first = next(n for n in range(1, ENDPOINTS + 1) if f"maker/model-{self.model_of(n)}" == model)
        return f"Provider {first % 60}"

    def away(self, endpoint: int) -> range:
        """The walks at which an endpoint is not listed."""
        chance = random.Random(f"{_SEED} away {endpoint}")  # noqa: S311 - a simulation
        if endpoint % 6 or self.ticks < 4 * PER_DAY:
            return range(0)
        start = chance.randrange(PER_DAY, self.ticks - 2 * PER_DAY)
        return range(start, start + chance.randrange(2, PER_DAY))


def fill(url: str, year: Year) -> None:
    """Put the year into the empty tables of a database, as a collector would have: walk by walk."""
    tables = {
        "models": _models(),
        "targets": ((number, "maker", f"model-{number}") for number in range(1, MODELS + 1)),
        "target_models": ((number, number) for number in range(1, MODELS + 1)),
        "endpoints": _endpoints(year),
        "runs": _runs(year),
        "observations": _observations(year),
        "pricing_snapshots": _prices(year),
        "listing_changes": _listings(year),
        "uptime_samples": _samples(year),
    }
    writer = _write_sqlite if url.startswith("sqlite") else _write_postgres
    writer(url, year, {name: (_COLUMNS[name], rows) for name, rows in tables.items()})


_COLUMNS = {
    "models": "id openrouter_id name description input_modalities output_modalities first_seen_at last_seen_at",
    "targets": "id author slug",
    "target_models": "target_id model_id",
    "endpoints": "id model_id variant route ordinal tag name provider_name context_length quantization"
    " supported_parameters first_seen_at last_seen_at",
    "runs": "id name kind source cadence_seconds started_at finished_at ok gone failed",
    "observations": "id run_id target_id observed_at outcome complete is_evidence model_id http_status elapsed_ms"
    " body_bytes body_digest archive_line",
    "pricing_snapshots": "endpoint_id observed_at observation_id listed prompt_usd completion_usd varies",
    "listing_changes": "endpoint_id observed_at observation_id listed provider_name context_length quantization"
    " supported_parameters",
    "uptime_samples": "endpoint_id observed_at status uptime_5m_pct uptime_30m_pct uptime_1d_pct",
}


def _at(tick: int) -> datetime:
    return BEGIN + tick * CADENCE


def _look(tick: int, model: int) -> int:
    return tick * MODELS + model


def _models() -> Iterator[Row]:
    for number in range(1, MODELS + 1):
        name = f"maker/model-{number}"
        yield number, name, name, "", '["text"]', '["text"]', BEGIN, BEGIN


def _endpoints(year: Year) -> Iterator[Row]:
    for number in range(1, ENDPOINTS + 1):
        variant, provider = f"maker/model-{year.model_of(number)}", f"Provider {number % 60}"
        route = f"provider-{number % 60}/fp8"
        name = f"{provider} | {variant}"
        terms = (provider, 131_072, "fp8", '["max_tokens","tools"]')
        yield number, year.model_of(number), variant, route, number, route, name, *terms, BEGIN, _at(year.ticks - 1)


def _runs(year: Year) -> Iterator[Row]:
    for tick in range(year.ticks):
        at = _at(tick)
        yield tick + 1, f"{at:%Y%m%dT%H%M%SZ}-collect-a", "collect", "live", 1800, at, at, MODELS, 0, 0


def _observations(year: Year) -> Iterator[Row]:
    for tick in range(year.ticks):
        at = _at(tick)
        for model in range(1, MODELS + 1):
            id_ = _look(tick, model)
            failed = id_ % 500 == 0
            outcome, proves = ("failed", False) if failed else ("ok", True)
            speaks_for = None if failed else model
            yield id_, tick + 1, model, at, outcome, proves, proves, speaks_for, 200, 90, 1900, f"{id_:016x}", model


def _proof(tick: int, model: int) -> int | None:
    """The look that proves a change; None where it failed."""
    id_ = _look(tick, model)
    return None if id_ % 500 == 0 else id_


def _prices(year: Year) -> Iterator[Row]:
    for endpoint in range(1, ENDPOINTS + 1):
        model, away = year.model_of(endpoint), year.away(endpoint)
        chance = random.Random(f"{_SEED} price {endpoint}")  # noqa: S311
        last: tuple[int, bool] = (-1, False)
        for tick in sorted({0, *chance.sample(range(1, year.ticks), year.days * 32 // 365), away.start, away.stop}):
            listed, proof = tick not in away, _proof(tick, model)
            if proof and tick > last[0] and (listed or last[1]):
                price = f"0.000000{chance.randrange(100, 999)}"
                prices = (
                    (price.rstrip("0"), f"0.00000{chance.randrange(111, 999)}".rstrip("0")) if listed else (None,) * 2
                )
                yield endpoint, _at(tick), proof, listed, *prices, False
                last = tick, listed


def _usd(units: int) -> str:
    """So many billionths, as the tables write a price."""
    return f"{units / 10**9:.9f}".rstrip("0")


def _listings(year: Year) -> Iterator[Row]:
    terms = (131_072, "fp8", '["max_tokens","tools"]')
    for endpoint in range(1, ENDPOINTS + 1):
        model, away = year.model_of(endpoint), year.away(endpoint)
        came = (f"Provider {endpoint % 60}", *terms)
        yield endpoint, _at(0), _look(0, model), True, *came
        if away:
            yield endpoint, _at(away.start), _look(away.start, model), False, *(None,) * 4
            yield endpoint, _at(away.stop), _look(away.stop, model), True, *came


def _samples(year: Year) -> Iterator[Row]:
    chance = random.Random(_SEED)  # noqa: S311
    away = {endpoint: span for endpoint in range(1, ENDPOINTS + 1) if (span := year.away(endpoint))}
    down: dict[int, int] = {}  # until which walk
    for tick in range(year.ticks):
        at = _at(tick)
        for endpoint, uptime in enumerate(chance.choices(_UPTIMES, k=ENDPOINTS), 1):
            if tick in away.get(endpoint, ()) or _proof(tick, year.model_of(endpoint)) is None:
                continue
            if endpoint % 5 == 0 and chance.random() < 1 / 1500:
                down[endpoint] = tick + chance.randrange(2, 12)
            if down.get(endpoint, 0) > tick:
                yield endpoint, at, -5, 40.0, round(40 + chance.random() * 30, 1), 96.5
            else:
                yield endpoint, at, 0, uptime, uptime, 99.4


def _write_sqlite(url: str, _: Year, tables: dict[str, tuple[str, Iterable[Row]]]) -> None:
    with closing(sqlite3.connect(sa.make_url(url).database or "", isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        for name, (columns, rows) in tables.items():
            names = columns.split()
            plain = _epochs if name == "uptime_samples" else _texts
            connection.execute("BEGIN")
            connection.executemany(
                f"INSERT INTO {name} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})",  # noqa: S608
                plain(rows),
            )
            connection.execute("COMMIT")
        connection.execute("ANALYZE")


def _texts(rows: Iterable[Row]) -> Iterator[Row]:
    for row in rows:
        yield tuple(f"{value:%Y-%m-%d %H:%M:%S}" if isinstance(value, datetime) else value for value in row)


def _epochs(rows: Iterable[Row]) -> Iterator[Row]:
    for endpoint, at, *values in rows:
        yield endpoint, int(at.timestamp()), *values


def _write_postgres(url: str, year: Year, tables: dict[str, tuple[str, Iterable[Row]]]) -> None:
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        create_partitions(connection, [BEGIN + timedelta(days=day) for day in range(year.days)])
        for name in tables:
            if "id" in metadata.tables[name].c:
                connection.execute(sa.select(sa.func.setval(sa.func.pg_get_serial_sequence(name, "id"), 10**9)))
    engine.dispose()
    plain = sa.make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        for name, (columns, rows) in tables.items():
            names = ", ".join(columns.split())
            with connection.cursor() as cursor, cursor.copy(f"COPY {name} ({names}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
        connection.execute("VACUUM ANALYZE")
