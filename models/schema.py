"""Write docs/schema.md from the comments of the tables and views: `python -m models.schema`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from models.tables import metadata
from models.uptime_views import uptime_views
from models.views import views

_HEAD = """\
# The schema

Generated from the code by `make schema`; a test keeps it true. The same tables, views, columns and constraints stand on
SQLite and on PostgreSQL, where every comment below is also a comment in the database. To answer questions, begin with
the [views](#views). How rows come to stand is told in [history.md](history.md), what the data can't tell in
[data-notes.md](data-notes.md).

Times are UTC. On SQLite they are text, `YYYY-MM-DD HH:MM:SS`, as its own `datetime()` gives them, except in the two
sample tables and `uptime_hourly`, where they are unix seconds: `datetime(observed_at, 'unixepoch')`. Prices are exact
decimals; on SQLite they are text, so compare and sum them as numbers: `CAST(prompt_usd AS DOUBLE PRECISION)`.
"""

_VIEWS = """\
# Views

Made for questions: model and provider by name, prices per million tokens beside the exact ones, times as text on SQLite
everywhere. A question about one model or one day costs no more than that.
"""


def page() -> str:
    """The whole page as Markdown."""
    tables = (line for table in metadata.sorted_tables for line in _table(table))
    every = [*views.tables.values(), *uptime_views.tables.values()]
    return "\n".join([_HEAD, *tables, _VIEWS, *(line for view in every for line in _view(view))])


def _table(table: sa.Table) -> Iterator[str]:
    yield f"## {table.name}\n\n{table.comment}\n"
    yield "| column | SQLite | PostgreSQL | null | meaning |\n|---|---|---|---|---|"
    for column in table.columns:
        null = "yes" if column.nullable else ""
        yield f"| `{column.name}` | {_type(column, sqlite)} | {_type(column, postgresql)} | {null} | {column.comment} |"
    yield ""
    yield from sorted(filter(None, map(_constraint, table.constraints)))
    yield from sorted(map(_index, table.indexes))
    yield ""


def _view(view: sa.Table) -> Iterator[str]:
    yield f"## {view.name}\n\n{view.comment}\n"
    yield "| column | SQLite | PostgreSQL | meaning |\n|---|---|---|---|"
    for column in view.columns:
        yield f"| `{column.name}` | {_type(column, sqlite)} | {_type(column, postgresql)} | {column.comment} |"
    yield ""


def _type(column: sa.Column[object], dialect: object) -> str:
    return str(column.type.compile(dialect.dialect()))  # type: ignore[attr-defined]


def _constraint(constraint: sa.Constraint) -> str | None:
    if isinstance(constraint, sa.PrimaryKeyConstraint):
        return f"- primary key ({_names(constraint)})"
    if isinstance(constraint, sa.UniqueConstraint):
        return f"- unique ({_names(constraint)})"
    if isinstance(constraint, sa.ForeignKeyConstraint):
        return f"- `{constraint.column_keys[0]}` points to `{constraint.elements[0].target_fullname}`"
    if isinstance(constraint, sa.CheckConstraint):
        return f"- check `{constraint.sqltext}`"
    return None


def _index(index: sa.Index) -> str:
    where = index.dialect_options["sqlite"]["where"]
    condition = f" where `{where}`" if where is not None else ""
    return (
        f"- {'unique ' if index.unique else ''}index ({', '.join(column.name for column in index.columns)}){condition}"
    )


def _names(constraint: sa.PrimaryKeyConstraint | sa.UniqueConstraint) -> str:
    return ", ".join(column.name for column in constraint.columns)


if __name__ == "__main__":
    (Path(__file__).parent.parent / "docs" / "schema.md").write_text(page(), encoding="utf-8")
