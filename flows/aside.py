"""A second, empty set of tables beside the live ones, which one connection can see together with them.

SQLite attaches a second file, PostgreSQL has a second schema.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from flows.database import open_engine
from models.tables import metadata


@dataclass(frozen=True, slots=True)
class Aside:
    """`engine` works on the tables beside; `schema` is what a connection of `joined` calls them."""

    live: sa.Engine
    engine: sa.Engine
    schema: str

    @contextlib.contextmanager
    def joined(self, *, writing: bool) -> Iterator[sa.Connection]:
        """A transaction on the live tables that sees those beside under `schema`: the one writer's, or a snapshot."""
        on_sqlite = self.live.dialect.name == "sqlite"
        isolation = {} if writing or on_sqlite else {"isolation_level": "REPEATABLE READ"}
        with self.live.connect().execution_options(writing=writing, **isolation) as connection:
            if on_sqlite:
                driver: Any = connection.connection.driver_connection
                driver.execute(f"ATTACH DATABASE ? AS {self.schema}", (str(self.engine.url.database),))
                try:
                    yield connection
                finally:
                    connection.rollback()
                    driver.execute(f"DETACH DATABASE {self.schema}")
            else:
                yield connection


@contextlib.contextmanager
def beside(live: sa.Engine) -> Iterator[Aside]:
    """Empty tables beside the live ones, gone at the end."""
    schema = f"rebuilt_{secrets.token_hex(4)}"
    make = _file_beside if live.dialect.name == "sqlite" else _schema_beside
    with make(live, schema) as engine:
        try:
            metadata.create_all(engine)
            yield Aside(live, engine, schema)
        finally:
            engine.dispose()


@contextlib.contextmanager
def _file_beside(live: sa.Engine, schema: str) -> Iterator[sa.Engine]:
    path = Path(f"{live.url.database}.{schema}")
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))
        yield open_engine(str(live.url.set(database=str(path))))
    finally:
        for suffix in ("", "-wal", "-shm"):
            Path(f"{path}{suffix}").unlink(missing_ok=True)


@contextlib.contextmanager
def _schema_beside(live: sa.Engine, schema: str) -> Iterator[sa.Engine]:
    try:
        with live.begin() as connection:
            connection.execute(sa.schema.CreateSchema(schema))
        url = live.url.update_query_dict({"options": f"-csearch_path={schema}"})
        yield open_engine(url.render_as_string(hide_password=False))
    finally:
        with live.begin() as connection:
            connection.execute(sa.schema.DropSchema(schema, cascade=True, if_exists=True))
