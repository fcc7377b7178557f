"""Store the comments of tables, views and columns in PostgreSQL. SQLite stores none, except in the text of a view.

Comments are no part of the migrations: the latest text is all that is needed.
"""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa

from models.tables import metadata
from models.views import views

_STORED = """
SELECT relname, attname, description FROM pg_description
JOIN pg_class ON pg_class.oid = objoid AND classoid = CAST('pg_class' AS regclass)
LEFT JOIN pg_attribute ON attrelid = objoid AND attnum = objsubid AND objsubid > 0
WHERE relnamespace = CAST(current_schema() AS regnamespace)
"""
_Comments = dict[tuple[str, str | None], str | None]  # by table or view, and column


def comment_sql() -> Iterator[sa.TextClause]:
    """Yield the statements that set all comments on PostgreSQL."""
    return _statements({})


def set_comments(connection: sa.Connection) -> None:
    """Set the comments that differ, in the transaction at hand."""
    if connection.dialect.name == "postgresql":
        rows = connection.execute(sa.text(_STORED))
        for statement in _statements({(name, column): text for name, column, text in rows}):
            connection.execute(statement)


def _statements(stored: _Comments) -> Iterator[sa.TextClause]:
    for table in (*metadata.sorted_tables, *views.tables.values()):
        kind = "TABLE" if table.metadata is metadata else "VIEW"
        if stored.get((table.name, None)) != table.comment:
            yield _statement(f"{kind} {table.name}", table.comment)
        for column in table.columns:
            if stored.get((table.name, column.name)) != column.comment:
                yield _statement(f"COLUMN {table.name}.{column.name}", column.comment)


def _statement(what: str, comment: str | None) -> sa.TextClause:
    text = str(comment).replace("'", "''").replace(":", "\\:")
    return sa.text(f"COMMENT ON {what} IS '{text}'")
