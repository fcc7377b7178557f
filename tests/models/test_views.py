"""Each view in the database is as it is described: its columns, their types, and every comment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from endpoint_history.database.engine import opened
from models.views import definitions, views

DESCRIBED = {view.name: {column.name: column for column in view.c} for view in views.tables.values()}


def columns_of(engine: sa.Engine) -> dict[str, dict[str, Any]]:
    """The columns of each view in the database, in their order."""
    look = sa.inspect(engine)
    return {name: {column["name"]: column for column in look.get_columns(name)} for name in look.get_view_names()}


def test_each_view_has_the_columns_described_in_their_order(database_url: str) -> None:
    with opened(database_url) as engine:
        found = {name: list(columns) for name, columns in columns_of(engine).items()}
    assert found == {name: list(columns) for name, columns in DESCRIBED.items()}


def test_the_types_on_postgresql_are_those_described(postgres_url: str) -> None:
    with opened(postgres_url) as engine:
        types = {
            name: {column: found["type"].compile(engine.dialect) for column, found in columns.items()}
            for name, columns in columns_of(engine).items()
        }
        expected = {
            name: {column: described.type.compile(engine.dialect) for column, described in columns.items()}
            for name, columns in DESCRIBED.items()
        }
    assert types == expected


def test_postgresql_has_every_comment(postgres_url: str) -> None:
    with opened(postgres_url) as engine:
        look = sa.inspect(engine)
        comments = {
            name: (
                look.get_table_comment(name)["text"],
                {column: found["comment"] for column, found in columns.items()},
            )
            for name, columns in columns_of(engine).items()
        }
    assert comments == {
        view.name: (view.comment, {column.name: column.comment for column in view.c}) for view in views.tables.values()
    }


@pytest.mark.parametrize("view", views.tables.values(), ids=str)
def test_the_text_of_a_view_on_sqlite_has_every_comment(view: sa.Table, sqlite_template: Path) -> None:
    with opened(f"sqlite:///{sqlite_template}") as engine:
        lines = str(sa.inspect(engine).get_view_definition(view.name)).splitlines()
    assert lines[0] == f"CREATE VIEW {view.name} AS -- {view.comment}"
    ends = [line for line in lines if " -- " in line][1:]
    described = [(f"{column.name},", str(column.comment)) for column in view.c]
    assert [(line.split(" -- ")[0].split()[-1].rstrip(",") + ",", line.split(" -- ")[1]) for line in ends] == described


def described(dialect: str) -> list[tuple[str, str, list[tuple[str, str | None, str]]]]:
    columns = {view.name: [item.column for item in view.columns] for view in definitions(dialect)}
    return [
        (view.name, view.comment, [(column.name, column.comment, str(column.type)) for column in columns[view.name]])
        for view in definitions(dialect)
    ]


def test_both_databases_have_the_same_columns_and_comments() -> None:
    assert described("sqlite") == described("postgresql")


@pytest.mark.parametrize("view", views.tables.values(), ids=str)
def test_every_view_and_column_has_a_comment(view: sa.Table) -> None:
    assert [column.name for column in view.c if not (column.comment or "").endswith(".")] == []
    assert (view.comment or "").startswith("One row per ")
