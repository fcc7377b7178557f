"""The least that rows can cost: a plain `executemany` into tables without keys, constraints and indexes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg.types.string import TextLoader

from benchmarks.conditions import Took, scratch_folder, stopwatch
from models.tables import metadata

_TABLES = {table.name: table.c.keys() for table in metadata.sorted_tables}

Rows = dict[str, list[tuple[Any, ...]]]  # by table, as the driver gives them


def write_again(url: str, transactions: int) -> Took:
    """Write all rows of this database once more, into bare tables of the same kind, in so many transactions."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            rows: Rows = {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in _TABLES}  # noqa: S608
        with scratch_folder() as folder:
            return _write_sqlite(folder / "bare.db", rows, transactions)
    with _bare_schema(url) as connection:
        rows = {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in _TABLES}  # noqa: S608
        connection.commit()
        return _write_postgres(connection, rows, transactions)


def _shares(rows: Rows, transactions: int) -> Iterator[Rows]:
    """The rows in so many parts, each with its share of every table."""
    for number in range(transactions):
        yield {
            name: of_table[len(of_table) * number // transactions : len(of_table) * (number + 1) // transactions]
            for name, of_table in rows.items()
        }


def _write_sqlite(path: Path, rows: Rows, transactions: int) -> Took:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        for name, columns in _TABLES.items():
            connection.execute(f"CREATE TABLE {name} ({', '.join(columns)})")
        with stopwatch() as took:
            for share in _shares(rows, transactions):
                connection.execute("BEGIN")
                for name, of_table in share.items():
                    places = ", ".join("?" * len(_TABLES[name]))
                    connection.executemany(f"INSERT INTO {name} VALUES ({places})", of_table)  # noqa: S608
                connection.execute("COMMIT")
    return took


def _write_postgres(connection: psycopg.Connection, rows: Rows, transactions: int) -> Took:
    with stopwatch() as took:
        for share in _shares(rows, transactions):
            with connection.transaction(), connection.cursor() as cursor:
                for name, of_table in share.items():
                    places = ", ".join(["%s"] * len(_TABLES[name]))
                    cursor.executemany(f"INSERT INTO bare.{name} VALUES ({places})", of_table)  # noqa: S608
    return took


@contextmanager
def _bare_schema(url: str) -> Iterator[psycopg.Connection]:
    plain = sa.make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain) as connection:
        for kind in ("json", "jsonb"):  # stays the text it is: nobody here looks into it
            connection.adapters.register_loader(kind, TextLoader)
        connection.execute("CREATE SCHEMA bare")
        for name in _TABLES:
            connection.execute(f"CREATE TABLE bare.{name} AS TABLE {name} WITH NO DATA")
        yield connection
        connection.execute("DROP SCHEMA bare CASCADE")
