"""Replace rows by recomputed ones, and write only those that differ."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

Rows = dict[tuple[Any, ...], tuple[Any, ...]]  # the other columns by those of the primary key, in the table's order


def replace(connection: sa.Connection, table: sa.Table, old: Rows, new: Rows) -> None:
    """Delete and insert what turns the old rows into the new ones."""
    keys = list(table.primary_key.columns)
    delete = [
        {f"old_{column.name}": value for column, value in zip(keys, key, strict=True)}
        for key, row in old.items()
        if new.get(key) != row
    ]
    names = [column.name for column in table.columns]
    insert = [dict(zip(names, key + row, strict=True)) for key, row in new.items() if old.get(key) != row]
    if delete:
        where = [column == sa.bindparam(f"old_{column.name}") for column in keys]
        connection.execute(table.delete().where(*where), delete)
    if insert:
        connection.execute(table.insert(), insert)
