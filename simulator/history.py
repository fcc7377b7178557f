"""Three weeks of a simulated market, always the same: what docs/queries.md is answered from.

python -m simulator.history data/shown/history.db
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from endpoint_history.database.engine import opened, upgrade, writing
from endpoint_history.errors import ConfigurationError, HistoryError
from endpoint_history.parsing.body import read_observation
from endpoint_history.rollups.refresh import roll_up
from endpoint_history.store.run_end import finish_run
from endpoint_history.store.writer import store
from endpoint_history.terminal import safe_output, show_note
from models.observation import Observation, Run, Target
from models.tables import runs
from simulator.market import Market

MARKET = Market(models=12, seed=5)
BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
END = datetime(2026, 3, 22, tzinfo=UTC)
CADENCE = timedelta(hours=1)
# The API fails, and later nobody looks.
_FAILING = (datetime(2026, 3, 10, 9, tzinfo=UTC), datetime(2026, 3, 10, 14, tzinfo=UTC))
_ASLEEP = (datetime(2026, 3, 16, 2, tzinfo=UTC), datetime(2026, 3, 16, 8, tzinfo=UTC))


def make_history(url: str) -> None:
    """Store it in a database that has none yet. Raises ConfigurationError where it has."""
    upgrade(url)
    with opened(url) as engine:
        with engine.connect() as connection:
            if connection.execute(sa.select(runs.c.id).limit(1)).first():
                raise ConfigurationError("there is history in that database already; name another")
        for looks in _days():
            read = [(look, read_observation(look)) for look in looks]
            with writing(engine) as connection:
                store(connection, read)
                for run in dict.fromkeys(look.run.name for look in looks):
                    of_run = [(look, reading) for look, reading in read if look.run.name == run]
                    outcomes = Counter(reading.outcome for _, reading in of_run)
                    finish_run(connection, run, outcomes, max(look.observed_at for look, _ in of_run))
        roll_up(engine)


def _days() -> Iterator[list[Observation]]:
    for day in range((END - BEGIN).days):
        start = BEGIN + timedelta(days=day)
        hours = (start + CADENCE * number for number in range(24))
        yield [look for at in hours if not _ASLEEP[0] <= at < _ASLEEP[1] for look in _walk(at)]


def _walk(at: datetime) -> Iterator[Observation]:
    run = Run(at.strftime("%Y%m%dT%H%M%SZ-collect-simulated"), "collect", "live", int(CADENCE.total_seconds()))
    for entry in MARKET.listing():
        fails = _FAILING[0] <= at < _FAILING[1]
        body = b"" if fails else json.dumps(MARKET.body(entry["id"], at)).encode()
        yield Observation(run, Target.parse(entry["id"]), at, 503 if fails else 200, elapsed_ms=100, body=body)


def main() -> int:
    """Read the command line and do as it says."""
    parser = argparse.ArgumentParser(prog="python -m simulator.history", description=__doc__)
    parser.add_argument("database", help="a file for SQLite, or postgresql://user:password@host/name; without history")
    name = parser.parse_args().database
    try:
        make_history(name if "://" in name else f"sqlite:///{name}")
    except HistoryError as error:
        show_note(f"simulator: {error}")
        return 2
    except KeyboardInterrupt:
        show_note(f"simulator: stopped; {name} holds a part of the history: remove it before another try")
        return 130
    return 0


if __name__ == "__main__":
    with safe_output("simulator"):
        sys.exit(main())
