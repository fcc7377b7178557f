"""The metadata of all tables, and the columns that several of them share."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from models.types import Id, UtcTime

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def surrogate_key() -> sa.Column[int]:
    """Return the `id` of a table."""
    return sa.Column("id", Id, primary_key=True, comment="Surrogate key.")


def reference(
    name: str, column: str, comment: str, *, nullable: bool = False, primary_key: bool = False
) -> sa.Column[int]:
    """Return a foreign key to `column`, written as `table.column`."""
    return sa.Column(name, Id, sa.ForeignKey(column), nullable=nullable, primary_key=primary_key, comment=comment)


def seen_between(subject: str) -> list[sa.schema.SchemaItem]:
    """Return the times of the first and the last body that contains `subject`."""
    return [
        sa.Column("first_seen_at", UtcTime, nullable=False, comment=f"Oldest body that contains {subject} (UTC)."),
        sa.Column("last_seen_at", UtcTime, nullable=False, comment=f"Newest body that contains {subject} (UTC)."),
        sa.CheckConstraint("first_seen_at <= last_seen_at", name="seen_in_order"),
    ]


def is_time(column: str) -> sa.CheckConstraint:
    """Return a check for SQLite, which has no type for times: the text must be a valid time."""
    return sa.CheckConstraint(f"{column} IS datetime({column})", name=f"{column}_is_time").ddl_if(dialect="sqlite")


def partial_index(name: str, where: str, *columns: sa.Column[Any], unique: bool = False) -> sa.Index:
    """Return an index of the rows that satisfy the SQL condition `where`."""
    condition = sa.text(where)
    return sa.Index(name, *columns, unique=unique, sqlite_where=condition, postgresql_where=condition)
