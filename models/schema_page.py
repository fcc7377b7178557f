"""Write docs/schema.md from the comments of the tables and views: `python -m models.schema_page`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from models.tables import metadata
from models.views import views

_HEAD = """\
# The schema

`make schema` generates this page from the code, and a test checks that it is current. SQLite and PostgreSQL have the
same tables, views, columns and constraints. PostgreSQL also stores every comment below. To answer questions, start with
the [views](#views). [history.md](history.md) explains how rows are derived from observations, and
[data-notes.md](data-notes.md) what the data cannot say.

Times are UTC. On SQLite they are text in the form `YYYY-MM-DD HH:MM:SS`, which `datetime()` returns. The two sample
tables and `uptime_hourly` are the exception: they store unix seconds, which `datetime(observed_at, 'unixepoch')`
converts. Prices are exact decimals. On SQLite they are text, so convert them before you compare or add them:
`CAST(prompt_usd AS DOUBLE PRECISION)`.
"""

_VIEWS = """\
# Views

Views are made for questions. They name the model and the provider, give prices per million tokens next to the exact
ones, and on SQLite contain all times as text. A question about one model or one day reads only the rows it needs.
"""


def page() -> str:
    """Return the whole page as Markdown."""
    tables = (line for table in metadata.sorted_tables for line in _table(table))
    return "\n".join([_HEAD, *tables, _VIEWS, *(line for view in views.tables.values() for line in _view(view))])


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
