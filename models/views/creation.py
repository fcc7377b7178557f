"""Create the views in a database, after its tables.

Views are no part of the migrations: they hold no data, so the latest definition is all that is needed.
"""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa

from models.views import definitions
from models.views.definition import View

_ON_SQLITE = "SELECT name, sql FROM sqlite_master WHERE type = 'view'"
_ON_POSTGRESQL = """
SELECT relname, pg_get_viewdef(oid) FROM pg_class
WHERE relkind = 'v' AND relnamespace = CAST(current_schema() AS regnamespace)
"""


def creation_sql(dialect: str) -> Iterator[sa.TextClause]:
    """Yield the statements that create all views."""
    for view in definitions(dialect):
        yield _text(view.create())


def removal_sql(dialect: str) -> Iterator[sa.TextClause]:
    """Yield the statements that drop all views that exist."""
    for view in reversed(definitions(dialect)):
        yield sa.text(f"DROP VIEW IF EXISTS {view.name}")


def create_views(connection: sa.Connection) -> bool:
    """Create the views in the transaction at hand, and return whether that was necessary.

    If the database has exactly these views, nothing is dropped or locked, so that readers are not disturbed.
    """
    if _has_views(connection):
        return False
    drop_views(connection)
    for statement in creation_sql(connection.dialect.name):
        connection.execute(statement)
    return True


def drop_views(connection: sa.Connection) -> None:
    """Drop the views: PostgreSQL does not alter a column that a view reads, and SQLite renames no table under one."""
    for statement in removal_sql(connection.dialect.name):
        connection.execute(statement)


def _has_views(connection: sa.Connection) -> bool:
    on_sqlite = connection.dialect.name == "sqlite"
    rows = connection.execute(sa.text(_ON_SQLITE if on_sqlite else _ON_POSTGRESQL))
    found: dict[str, str] = {name: sql for name, sql in rows}  # noqa: C416
    views = definitions(connection.dialect.name)
    if not found.keys() >= {view.name for view in views}:
        return False
    if on_sqlite:
        return all(found[view.name] == view.create() for view in views)
    return all(found[view.name] == _as_postgresql_prints_it(connection, view) for view in views)


def _as_postgresql_prints_it(connection: sa.Connection, view: View) -> str:
    """Return the view's query in PostgreSQL's own form, by creating a view that nobody else ever sees."""
    connection.execute(_text(f"CREATE VIEW wanted_view AS {view.query()}"))
    text = connection.execute(sa.text("SELECT pg_get_viewdef(CAST('wanted_view' AS regclass))")).scalar_one()
    connection.execute(sa.text("DROP VIEW wanted_view"))
    return str(text)


def _text(sql: str) -> sa.TextClause:
    return sa.text(sql.replace(":", "\\:"))
