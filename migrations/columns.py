"""Column types and keys for migrations. Past migrations use them, so add to them but never change one."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

TIME = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")
EPOCH = sa.DateTime(timezone=True).with_variant(sa.Integer(), "sqlite")
DECIMAL = sa.Numeric().with_variant(sa.Text(), "sqlite")
JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def surrogate_key() -> sa.Column[Any]:
    """Return the `id` of a table."""
    return sa.Column("id", ID, primary_key=True)


def key(column: str, table: str) -> sa.Column[Any]:
    """Return a foreign key that is part of the primary key."""
    return sa.Column(column, ID, sa.ForeignKey(f"{table}.id"), primary_key=True)


def reference(column: str, table: str, *, nullable: bool = False) -> sa.Column[Any]:
    """Return a foreign key."""
    return sa.Column(column, ID, sa.ForeignKey(f"{table}.id"), nullable=nullable)


def required(type_: Any, *names: str) -> list[sa.Column[Any]]:
    """Return columns that are never null."""
    return [sa.Column(name, type_, nullable=False) for name in names]


def optional(type_: Any, *names: str) -> list[sa.Column[Any]]:
    """Return columns that may be null."""
    return [sa.Column(name, type_) for name in names]


def seen_between() -> list[sa.schema.SchemaItem]:
    """Return the times of the first and the last body that contains a thing."""
    return [
        *required(TIME, "first_seen_at", "last_seen_at"),
        sa.CheckConstraint("first_seen_at <= last_seen_at", name="seen_in_order"),
    ]


def time_check() -> sa.CheckConstraint:
    """Return a check that a text is a time, for SQLite."""
    return sa.CheckConstraint("observed_at IS datetime(observed_at)", name="observed_at_is_time").ddl_if(
        dialect="sqlite"
    )


def create_index(name: str, table: str, *columns: str, where: str | None = None, unique: bool = False) -> None:
    """Create an index, of the rows that satisfy `where` if given."""
    condition = None if where is None else sa.text(where)
    op.create_index(name, table, columns, unique=unique, sqlite_where=condition, postgresql_where=condition)
