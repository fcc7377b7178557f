"""What alerts cost each collect, and `alerts test`, on a simulated history of the whole catalogue.

A rule of each kind, over all endpoints, with an hour to hold and a day to be armed again.
"""

from __future__ import annotations

import argparse
import statistics
from datetime import timedelta

import sqlalchemy as sa

from benchmarks.analysts import mark_all
from benchmarks.conditions import machine, scratch_database, servers, stopwatch
from benchmarks.simulated_year import CADENCE, Year, fill
from endpoint_history.alerts.engine import Direction
from endpoint_history.alerts.history import AlertHistory
from endpoint_history.alerts.rules import On, Rule
from endpoint_history.database.engine import opened
from endpoint_history.rollups.refresh import roll_up

_KINDS: tuple[tuple[On, Direction], ...] = (
    ("price", "both"),
    ("listing", "both"),
    ("incident", "both"),
    ("stale", "both"),
)


def main(arguments: list[str] | None = None) -> None:
    """Make the history, measure, and print what was found."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.alerts", description=__doc__)
    parser.add_argument("--days", type=int, default=31, help="how long the history is (31)")
    parser.add_argument("--runs", type=int, default=10, help="how many collects are asked for (10)")
    parser.add_argument("--postgres", action="store_true", help="PostgreSQL too: a throw-away server")
    given = parser.parse_args(arguments)
    year = Year(given.days)
    with servers(with_postgres=given.postgres) as known:
        print(machine(known.values()))
        for name, server in known.items():
            with scratch_database(server) as url:
                fill(url, year)
                with opened(url) as engine:
                    mark_all(engine, year)
                    roll_up(engine)
                    print(name)
                    measure(engine, year, given.runs)


def measure(engine: sa.Engine, year: Year, runs: int) -> None:
    """Time the last collects one by one, then everything at once."""
    rules = [Rule(name=on, on=on, direction=direction, hold_minutes=60, rearm_minutes=1440) for on, direction in _KINDS]
    collects = []
    with engine.connect() as connection:
        for number in range(runs):
            until = year.end - number * CADENCE
            with stopwatch() as took:
                history = AlertHistory(connection, until - CADENCE, until)
                history.alerts(rules)
                history.incidents()
            collects.append(took)
        with stopwatch() as whole:
            found = AlertHistory(connection, year.end - timedelta(days=min(year.days, 30)), year.end).alerts(rules)
    clock, cpu = (statistics.median(getattr(took, name) for took in collects) for name in ("seconds", "cpu_seconds"))
    print(f"  a collect    {clock * 1000:.0f} ms ({cpu * 1000:.0f} ms of CPU here)")
    print(f"  alerts test  {whole}, {len(found)} alerts and returns")


if __name__ == "__main__":
    main()
