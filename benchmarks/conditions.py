"""What every measurement stands on: the machine by its name, databases and processes of its own, made-up history."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import resource
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import ParamSpec, TypeVar

import sqlalchemy as sa

from endpoint_history.archive.bundles import Archive, run_name
from endpoint_history.database.engine import upgrade
from models.observation import Observation, Run, Target
from simulator.market import Market
from tests.support import postgres

P = ParamSpec("P")
R = TypeVar("R")

MARKET = Market(models=181)  # 200 paths, older names among them: what one walk asks for
START = datetime(2026, 3, 1, tzinfo=UTC)
CADENCE = timedelta(minutes=30)
_HEADERS = {"age": "12", "content-type": "application/json", "date": "Sun, 01 Mar 2026 00:00:00 GMT"}


@dataclass(slots=True)
class Took:
    """How long something took: by the clock, and on a CPU in this process, which others on the machine disturb less."""

    seconds: float = 0
    cpu_seconds: float = 0

    def __add__(self, other: Took) -> Took:
        return Took(self.seconds + other.seconds, self.cpu_seconds + other.cpu_seconds)

    def __str__(self) -> str:
        return f"{self.seconds:8.2f} s ({self.cpu_seconds:.2f} of CPU here)"

    def against(self, floor: Took) -> str:
        """How many times as long as the least."""
        return f"{self.seconds / floor.seconds:.1f} times the floor ({self.cpu_seconds / floor.cpu_seconds:.1f} of CPU)"


def median(took: Iterable[Took]) -> Took:
    """That by the clock and that on a CPU, each by itself."""
    all_of_them = list(took)
    return Took(
        statistics.median(one.seconds for one in all_of_them), statistics.median(one.cpu_seconds for one in all_of_them)
    )


@contextmanager
def stopwatch() -> Iterator[Took]:
    """Measure what is done inside; known at its end."""
    took = Took()
    cpu, began = time.process_time(), time.perf_counter()
    yield took
    took.seconds, took.cpu_seconds = time.perf_counter() - began, time.process_time() - cpu


def command(name: str, description: str | None) -> argparse.ArgumentParser:
    """The command line of a benchmark, with what all have."""
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}",
        description=description,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--postgres",
        action="store_true",
        help="PostgreSQL too: a throw-away server, or the one that TEST_DATABASE_URL names",
    )
    return parser


def count(text: str) -> int:
    """A number of things on the command line. Raises ArgumentTypeError."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def machine(servers: Iterable[str | None]) -> str:
    """Where this runs, in one line, with the versions of what `servers` gave and the load at this moment."""
    parts = [
        f"{os.cpu_count()} cores ({_processor()})",
        f"{platform.system()} {platform.release()}",
        f"Python {platform.python_version()}",
        f"SQLite {sqlite3.sqlite_version}",
        *(f"PostgreSQL {_server_version(url)}" for url in servers if url),
        f"load {os.getloadavg()[0]:.1f}",
    ]
    return ", ".join(parts)


def made_looks(run: Run, at: datetime) -> Iterator[Observation]:
    """One walk over the whole market: its looks begin at `at` and come five a second."""
    for number, path in enumerate(MARKET.paths()):
        yield made_look(run, path, at + timedelta(seconds=number // 5))


def made_look(run: Run, path: str, at: datetime) -> Observation:
    """What a look at this path brings at this moment."""
    body = json.dumps(MARKET.body(path, at)).encode()
    return Observation(run, Target.parse(path), at, 200, elapsed_ms=120, headers=_HEADERS, body=body)


def fill_archive(folder: Path, bodies: int) -> int:
    """Write so many bodies into an archive, a run every half an hour from START on; how many runs they took."""
    archive = Archive(str(folder))
    runs = 0
    while bodies > 0:
        at = START + runs * CADENCE
        run = Run(run_name("collect", at, "a"), "collect", "live", int(CADENCE.total_seconds()))
        with archive.open_bundle(run) as bundle:
            for look in islice(made_looks(run, at), bodies):
                bundle.add(look)
                bodies -= 1
        runs += 1
    return runs


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder that is gone at the end."""
    with tempfile.TemporaryDirectory(prefix="endpoint-history-benchmark-") as folder:
        yield Path(folder)


@contextmanager
def empty_database(server: str | None) -> Iterator[str]:
    """The URL of a database without any schema: on this PostgreSQL server, or of SQLite for None."""
    with ExitStack() as stack:
        if server is None:
            yield f"sqlite:///{stack.enter_context(scratch_folder())}/history.db"
        else:
            yield stack.enter_context(postgres.database(server))


@contextmanager
def scratch_database(server: str | None) -> Iterator[str]:
    """The same with our schema and nothing in it."""
    with empty_database(server) as url:
        upgrade(url)
        yield url


@contextmanager
def servers(*, with_postgres: bool) -> Iterator[dict[str, str | None]]:
    """What scratch_database takes, by the database's name: SQLite, and PostgreSQL where it is asked for."""
    with ExitStack() as stack:
        known: dict[str, str | None] = {"SQLite": None}
        try:
            if with_postgres:
                known["PostgreSQL"] = stack.enter_context(postgres.server())
        except postgres.PostgresMissing as missing:
            print(missing, file=sys.stderr)
            sys.exit(2)
        yield known


def in_fresh_process(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a function in a new interpreter, so that it neither finds nor leaves anything in this one's memory."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *args, **kwargs).result()


def peak_mib() -> float:
    """The most memory that this process ever held (RSS), in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _server_version(url: str) -> str:
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        version = str(connection.exec_driver_sql("SHOW server_version").scalar_one())
    engine.dispose()
    return version.partition(" ")[0]
