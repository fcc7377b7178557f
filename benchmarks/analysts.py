"""How long analysts wait, on a simulated year: every view about one model, one day and all, and docs/queries.md.

The history is made straight in the tables (benchmarks.simulated_year), then rolled up by the product.
"""

from __future__ import annotations

import argparse
import re
import statistics
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from benchmarks.conditions import machine, scratch_database, servers, stopwatch
from benchmarks.simulated_year import Year, fill
from endpoint_history.database.engine import opened
from endpoint_history.rollups.refresh import roll_up
from models.tables import stale_rollups, uptime_samples
from models.views import views
from simulator.cookbook import PAGE, questions
from simulator.history import END

_MODEL = "maker/model-5"
_TIMES = ("observed_at", "valid_from", "started_at", "day")
_SLOW_SECONDS = 2.0
_VIEWS = views.sorted_tables


def main(arguments: list[str] | None = None) -> None:
    """Make the history, measure, and print what was found."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.analysts", description=__doc__)
    parser.add_argument("--days", type=int, default=365, help="how long the history is (365)")
    parser.add_argument("--runs", type=int, default=20, help="how often each question is asked (20)")
    parser.add_argument("--postgres", action="store_true", help="PostgreSQL too: a throw-away server")
    parser.add_argument("--url", help="a database that this made before, to ask it again")
    given = parser.parse_args(arguments)
    year = Year(given.days)
    if given.url:
        print(machine([given.url if given.url.startswith("postgresql") else None]))
        measure(given.url, year, given.runs)
        return
    with servers(with_postgres=given.postgres) as known:
        print(machine(known.values()))
        for name, server in known.items():
            with scratch_database(server) as url:
                with stopwatch() as made:
                    fill(url, year)
                print(f"{name}\n  made      {made}")
                measure(url, year, given.runs)


def measure(url: str, year: Year, runs: int) -> None:
    """Roll up what is stale, tell the size, and time every question."""
    with opened(url) as engine:
        mark_all(engine, year)
        with stopwatch() as rolled:
            roll_up(engine)
        with engine.connect() as connection:
            samples = connection.execute(sa.select(sa.func.count()).select_from(uptime_samples)).scalar_one()
            size = _size(connection)
        print(f"  rolled up {rolled}, {rolled.seconds / max(samples, 1) * 1e6:.1f} µs a sample")
        each = size / max(samples, 1)
        print(f"  size      {size / 2**20:,.0f} MiB, {each:.1f} bytes a sample all in, {samples:,} samples")
        for view in _VIEWS:
            told = [f"{kind} {_told(_times(engine, query, runs)[0])}" for kind, query in _questions(view, year)]
            print(f"  {view.name:<22} {'; '.join(told)}", flush=True)
        for question in questions(PAGE.read_text()):
            seconds, rows = _times(engine, sa.text(_asked(question.sql, year).replace(":", "\\:")), runs)
            print(f"  {_told(seconds)}, {rows} rows: {question.title}", flush=True)


def mark_all(engine: sa.Engine, year: Year) -> None:
    """Note every model and day as stale where nothing has been rolled up yet."""
    with engine.begin() as connection:
        if connection.exec_driver_sql("SELECT 1 FROM uptime_daily LIMIT 1").first():
            return
        connection.execute(stale_rollups.delete())
        first = int(year.begin.timestamp()) // 86_400
        models = list(connection.exec_driver_sql("SELECT id FROM models").scalars())
        rows = [
            {"model_id": id_, "day": first + day, "since": year.begin + timedelta(days=day)}
            for id_ in models
            for day in range(year.days)
        ]
        connection.execute(stale_rollups.insert(), rows)


def _questions(view: sa.Table, year: Year) -> Iterator[tuple[str, sa.Select[*tuple[Any, ...]]]]:
    yield "model", sa.select(view).where(view.c.model == _MODEL)
    at = next((view.c[name] for name in _TIMES if name in view.c and view.name != "current_prices"), None)
    day = year.begin + timedelta(days=year.days // 2)
    if at is not None:
        start, end = (
            (day.date(), day.date() + timedelta(days=1)) if at.name == "day" else (day, day + timedelta(days=1))
        )
        yield "day", sa.select(view).where(at >= start, at < end)
    last = list(view.c)[-1]
    yield "all", sa.select(sa.func.count(), sa.func.count(last)).select_from(view)


def _asked(sql: str, year: Year) -> str:
    """A documented question about a model, provider and time that the year has."""

    def moved(match: re.Match[str]) -> str:
        time = datetime.fromisoformat(match[0].strip("'")).replace(tzinfo=UTC) + (year.end - END)
        return f"'{time:%Y-%m-%d}'" if len(match[0]) < len("'2026-03-01 '") else f"'{time:%Y-%m-%d %H:%M:%S}'"

    sql = re.sub(r"(?<=model = )'[^']*'", f"'{_MODEL}'", sql)
    sql = re.sub(r"(?<=provider = )'[^']*'", f"'{year.provider_of(_MODEL)}'", sql)
    return re.sub(r"'2026-[^']*'", moved, sql)


def _times(engine: sa.Engine, query: sa.Select[Any] | sa.TextClause, runs: int) -> tuple[list[float], int]:
    """How long each run took, and how many rows came."""
    seconds: list[float] = []
    rows = 0
    with engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("SET jit = off")  # as docs/reading.md has it for analysts
        while len(seconds) < runs:
            began = time.perf_counter()
            rows = len(connection.execute(query).all())
            seconds.append(time.perf_counter() - began)
            if seconds[0] > _SLOW_SECONDS and len(seconds) == 3:  # noqa: PLR2004
                break
    return seconds, rows


def _told(seconds: list[float]) -> str:
    return f"{statistics.median(seconds) * 1000:,.1f} ms (worst {max(seconds) * 1000:,.0f})"


def _size(connection: sa.Connection) -> int:
    if connection.dialect.name == "postgresql":
        return int(connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one())
    pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    return int(pages) * int(connection.exec_driver_sql("PRAGMA page_size").scalar_one())


if __name__ == "__main__":
    main()
