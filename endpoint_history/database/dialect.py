"""What SQLite and PostgreSQL share but SQLAlchemy spells differently: insert or on conflict, unix seconds."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from models.types import UtcTime


def insert(connection: sa.Connection, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    """Return an insert with `on_conflict_do_nothing` and `on_conflict_do_update` for the database at hand."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)


def unix_seconds(connection: sa.Connection, column: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
    """Return a time as unix seconds. Converting a million times to datetimes takes a second."""
    if connection.dialect.name == "postgresql":
        return sa.cast(sa.extract("epoch", column), sa.BigInteger)
    as_text = isinstance(column.type, UtcTime)
    return sa.cast(sa.func.strftime("%s", column), sa.BigInteger) if as_text else sa.type_coerce(column, sa.BigInteger)
