"""How fast and in how much memory history is built anew from its archive, against the least that it could take.

The floor reads the same bundles and writes the same rows: read, decompress, parse as JSON, and a plain `executemany`
into bare tables.
"""

from __future__ import annotations

import argparse
import gzip
import importlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg.types.string import TextLoader

from benchmarks.conditions import (
    fill_archive,
    in_fresh_process,
    machine,
    peak_mib,
    scratch_database,
    scratch_folder,
    servers,
)
from flows.archive import Archive
from flows.database import opened
from flows.rebuild import rebuild
from models.tables import metadata

_BATCH = 500  # bodies for each transaction
_TABLES = [table.name for table in metadata.sorted_tables]

Rows = dict[str, list[tuple[Any, ...]]]  # by table, as the driver gives them


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What one rebuild took. Peaks are of the whole process: `before_mib` when it began, `peak_mib` at its end."""

    seconds: float
    cpu_seconds: float
    rows: int
    before_mib: float
    peak_mib: float


@dataclass(frozen=True, slots=True)
class Floor:
    """What the least took; `orjson_seconds` in the place of `parse_seconds` where that package is installed."""

    parse_seconds: float
    orjson_seconds: float | None
    write_seconds: float

    @property
    def seconds(self) -> float:
        """With the standard library's parser."""
        return self.parse_seconds + self.write_seconds


def measure_rebuild(url: str, archive: Path) -> Rebuilt:
    """Rebuild a database from this archive."""
    with opened(url) as engine:
        before, cpu, began = peak_mib(), time.process_time(), time.perf_counter()
        rebuild(engine, Archive(str(archive)))
        seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu
        peak = peak_mib()
        with engine.connect() as connection:
            counts = [sa.select(sa.func.count()).select_from(table) for table in metadata.sorted_tables]
            rows = sum(connection.execute(count).scalar_one() for count in counts)
    return Rebuilt(seconds, cpu_seconds, rows, before, peak)


def measure_floor(url: str, archive: Path) -> Floor:
    """Do the least with the archive and with the rows of a database that was rebuilt from it."""
    paths = sorted(archive.rglob("*.jsonl.gz"))
    parse_seconds, bodies = _parse(paths, json.loads)
    try:
        orjson_seconds, _ = _parse(paths, importlib.import_module("orjson").loads)
    except ImportError:
        orjson_seconds = None
    transactions = -(-bodies // _BATCH)
    if url.startswith("sqlite"):
        rows = _sqlite_rows(url.removeprefix("sqlite:///"))
        with scratch_folder() as folder:
            return Floor(parse_seconds, orjson_seconds, _write_sqlite(folder / "bare.db", rows, transactions))
    return Floor(parse_seconds, orjson_seconds, _write_postgres(url, transactions))


def _parse(paths: list[Path], loads: Callable[[str | bytes], Any]) -> tuple[float, int]:
    """Read every line and the body in it: seconds, and how many there were."""
    began, bodies = time.perf_counter(), 0
    for path in paths:
        for line in gzip.decompress(path.read_bytes()).splitlines():
            loads(loads(line)["body"])
            bodies += 1
    return time.perf_counter() - began, bodies


def _shares(rows: Rows, transactions: int) -> Iterator[Rows]:
    """The rows in so many parts, each with its share of every table."""
    for number in range(transactions):
        yield {
            name: of_table[len(of_table) * number // transactions : len(of_table) * (number + 1) // transactions]
            for name, of_table in rows.items()
        }


def _sqlite_rows(path: str) -> Rows:
    with closing(sqlite3.connect(path)) as connection:
        return {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in _TABLES}  # noqa: S608


def _write_sqlite(path: Path, rows: Rows, transactions: int) -> float:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        for table in metadata.sorted_tables:
            connection.execute(f"CREATE TABLE {table.name} ({', '.join(table.c.keys())})")
        began = time.perf_counter()
        for share in _shares(rows, transactions):
            connection.execute("BEGIN")
            for name, of_table in share.items():
                places = ", ".join("?" * len(metadata.tables[name].c))
                connection.executemany(f"INSERT INTO {name} VALUES ({places})", of_table)  # noqa: S608
            connection.execute("COMMIT")
        return time.perf_counter() - began


def _write_postgres(url: str, transactions: int) -> float:
    with _bare_tables(url) as connection:
        # JSON stays the text it is: its floor parses no more than what came in the bodies.
        for kind in ("json", "jsonb"):
            connection.adapters.register_loader(kind, TextLoader)
        rows = {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in _TABLES}  # noqa: S608
        connection.commit()
        began = time.perf_counter()
        for share in _shares(rows, transactions):
            with connection.transaction(), connection.cursor() as cursor:
                for name, of_table in share.items():
                    places = ", ".join(["%s"] * len(metadata.tables[name].c))
                    cursor.executemany(f"INSERT INTO bare.{name} VALUES ({places})", of_table)  # noqa: S608
        return time.perf_counter() - began


@contextmanager
def _bare_tables(url: str) -> Iterator[psycopg.Connection]:
    plain = sa.make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain) as connection:
        connection.execute("CREATE SCHEMA bare")
        for name in _TABLES:
            connection.execute(f"CREATE TABLE bare.{name} AS TABLE {name} WITH NO DATA")
        yield connection
        connection.execute("DROP SCHEMA bare CASCADE")


def main(arguments: list[str] | None = None) -> None:
    """Measure, and print what was found."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rebuild", description=__doc__)
    parser.add_argument("--bodies", type=int, nargs="+", default=[10_000], metavar="N", help="how many; default 10000")
    parser.add_argument("--postgres", action="store_true", help="PostgreSQL too: a throw-away server")
    given = parser.parse_args(arguments)
    with servers(with_postgres=given.postgres) as known:
        print(machine(*filter(None, known.values())))
        for bodies in given.bodies:
            with scratch_folder() as archive:
                runs = in_fresh_process(fill_archive, archive, bodies)
                print(f"\n{bodies:,} bodies of {runs:,} runs")
                for name, server in known.items():
                    with scratch_database(server) as url:
                        rebuilt = in_fresh_process(measure_rebuild, url, archive)
                        floor = in_fresh_process(measure_floor, url, archive)
                        print(_told(name, bodies, rebuilt, floor), flush=True)


def _told(name: str, bodies: int, rebuilt: Rebuilt, floor: Floor) -> str:
    fast = f" ({floor.orjson_seconds:.2f} with orjson)" if floor.orjson_seconds is not None else ""
    return "\n".join(
        [
            f"{name:<10} rebuild {rebuilt.seconds:8.2f} s, {bodies / rebuilt.seconds:,.0f} bodies/s,"
            f" {rebuilt.rows / rebuilt.seconds:,.0f} rows/s, {rebuilt.cpu_seconds:.2f} s of CPU in this process",
            f"           floor   {floor.seconds:8.2f} s, parse {floor.parse_seconds:.2f}{fast},"
            f" write {floor.write_seconds:.2f}",
            f"           ratio   {rebuilt.seconds / floor.seconds:8.2f}",
            f"           memory  {rebuilt.peak_mib:8.0f} MiB at most, {rebuilt.before_mib:.0f} when it began",
        ]
    )


if __name__ == "__main__":
    main()
