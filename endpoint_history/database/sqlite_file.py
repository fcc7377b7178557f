"""Open and create the SQLite file."""

from __future__ import annotations

import functools
import json
import sqlite3
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from endpoint_history.errors import ConfigurationError, HistoryError
from endpoint_history.io.private_files import make_folder

_PRIMARY_CODE = 0xFF  # the higher bits are the extended code
_DROPS_COLUMNS = (3, 35)
_FOLDER = "SQLite writes into its folder even to read it; a copy can be read anywhere: docs/reading.md"
_HINTS = {
    sqlite3.SQLITE_BUSY: "another process is writing; try again when it has ended",
    sqlite3.SQLITE_CANTOPEN: _FOLDER,
    sqlite3.SQLITE_READONLY: _FOLDER,
    sqlite3.SQLITE_CORRUPT: "restore a copy, or move it away and make it again: db upgrade, then backfill archive",
}


def sqlite_engine(url: sa.URL, *, foreign_keys: bool, wait_seconds: float) -> sa.Engine:
    """Return an engine for a SQLite file: WAL, and a write transaction locks when it begins."""
    # Equal JSON values have equal texts, so that SQL can compare them, as PostgreSQL's jsonb can.
    serializer = functools.partial(json.dumps, sort_keys=True)
    engine = sa.create_engine(url, connect_args={"timeout": wait_seconds}, json_serializer=serializer)

    @sa.event.listens_for(engine, "connect")
    def configure(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # the begin event below starts transactions
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & _PRIMARY_CODE != sqlite3.SQLITE_READONLY:
                raise  # without write permission, the file is used as it is
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA foreign_keys = {'ON' if foreign_keys else 'OFF'}")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        # A deferred transaction that reads and then writes fails if another has written in between.
        immediate = connection.get_execution_options().get("writing")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine


def make_sqlite_file(url: sa.URL) -> None:
    """Create the file and its folder, unreadable to other users; SQLite itself would not restrict them."""
    file = Path(str(url.database))
    try:
        make_folder(file.parent)
        file.touch(mode=0o600)
    except OSError as error:
        raise HistoryError(f"the database {file} can't be made: {error.strerror}") from None


def refuse_missing_file(url: sa.URL) -> None:
    """Raise ConfigurationError if the file does not exist, HistoryError if it can't be accessed."""
    try:
        is_there = Path(str(url.database)).exists()
    except OSError as error:
        raise HistoryError(f"the database {url.database} can't be read: {error.strerror}") from None
    if not is_there:
        raise ConfigurationError(f"there is no database {url.database} yet; run: endpoint-history db upgrade")


def refuse_dropping_columns() -> None:
    """Raise ConfigurationError if this SQLite can't drop columns, which a downgrade needs."""
    if sqlite3.sqlite_version_info < _DROPS_COLUMNS:
        raise ConfigurationError(f"SQLite {sqlite3.sqlite_version} can't downgrade; 3.35 or newer can")


def sqlite_hint(error: BaseException | None) -> str:
    """Return what to do about an error of SQLite, with a leading separator; empty if its message is enough."""
    code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE
    return f"; {_HINTS[code]}" if code in _HINTS else ""
