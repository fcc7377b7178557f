"""Shadow tables: a second, empty set of tables that one connection can use together with the live ones.

SQLite attaches a second file, PostgreSQL has a second schema.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import select

from endpoint_history.database.engine import open_engine
from models.tables import metadata

_PREFIX = "rebuilt_"


@dataclass(frozen=True, slots=True)
class ShadowTables:
    """`engine` works on the shadow tables; in a connection of `joined`, they are in `schema`."""

    live: sa.Engine
    engine: sa.Engine
    schema: str

    @contextlib.contextmanager
    def joined(self, *, writing: bool) -> Iterator[sa.Connection]:
        """Open a transaction on live and shadow tables: a write transaction, or a snapshot."""
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
def shadow_tables(live: sa.Engine) -> Iterator[ShadowTables]:
    """Create empty shadow tables, and drop them at the end."""
    schema = f"{_PREFIX}{secrets.token_hex(4)}"
    make = _shadow_file if live.dialect.name == "sqlite" else _shadow_schema
    with make(live, schema) as engine:
        try:
            metadata.create_all(engine)
            yield ShadowTables(live, engine, schema)
        finally:
            engine.dispose()


@contextlib.contextmanager
def _shadow_file(live: sa.Engine, schema: str) -> Iterator[sa.Engine]:
    path = Path(f"{live.url.database}.{schema}")
    for left in path.parent.glob(f"{Path(str(live.url.database)).name}.{_PREFIX}????????"):
        _remove_unless_held(left)
    # The lock marks a file in use; a killed process leaves its file unlocked. SQLite uses locks of another kind.
    held = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield open_engine(str(live.url.set(database=str(path))))
    finally:
        _remove(path)
        os.close(held)


def _remove_unless_held(path: Path) -> None:
    with contextlib.suppress(OSError):
        held = os.open(path, os.O_RDWR)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(path)
        finally:
            os.close(held)


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)


@contextlib.contextmanager
def _shadow_schema(live: sa.Engine, schema: str) -> Iterator[sa.Engine]:
    _drop_left_schemas(live)
    with live.connect() as holder:
        # The lock marks a schema in use; a killed process leaves its schema unlocked. It is a transaction's lock, as a
        # pooler may give each transaction another session.
        holder.execute(select(sa.func.set_config("idle_in_transaction_session_timeout", "0", True)))
        holder.execute(select(sa.func.pg_advisory_xact_lock(_lock(schema))))
        try:
            with live.begin() as connection:
                connection.execute(sa.schema.CreateSchema(schema))
            yield open_engine(live.url.render_as_string(hide_password=False), schema)
        finally:
            with live.begin() as connection:
                connection.execute(sa.schema.DropSchema(schema, cascade=True, if_exists=True))


def _drop_left_schemas(live: sa.Engine) -> None:
    with live.connect() as connection:
        names = sa.inspect(connection).get_schema_names()
    for left in names:
        if left.startswith(_PREFIX):
            with live.begin() as connection:
                if connection.execute(select(sa.func.pg_try_advisory_xact_lock(_lock(left)))).scalar():
                    connection.execute(sa.schema.DropSchema(left, cascade=True, if_exists=True))


def _lock(schema: str) -> int:
    """Return the number of the schema's advisory lock, from its name."""
    return int(schema.removeprefix(_PREFIX), 16)
