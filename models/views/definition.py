"""What a view consists of: its columns, each with its SQL, type and comment, and the tables it reads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy as sa

from models.types import Id


class Selected(NamedTuple):
    """A column of a view, and the SQL expression that it selects."""

    column: sa.Column[Any]
    sql: str


Columns = list[Selected]


def select(
    name: str, sql: str, type_: sa.types.TypeEngine[Any] | type[sa.types.TypeEngine[Any]], comment: str
) -> Selected:
    """Return a column of a view."""
    return Selected(sa.Column(name, type_, comment=comment), sql)


def select_all(row: str, columns: Iterable[sa.Column[Any]]) -> Columns:
    """Return columns with the names, types and comments of a table's, read from the alias `row`."""
    return [select(column.name, f"{row}.{column.name}", column.type, str(column.comment)) for column in columns]


@dataclass(frozen=True, slots=True)
class View:
    """A view for one database. With several `sources`, it is the UNION ALL of the same columns of each."""

    name: str
    comment: str
    columns: Columns
    sources: tuple[str, ...]

    def query(self) -> str:
        """Return the SELECT. Each column's comment follows it, as SQLite stores the text of a view as it is."""
        last = self.columns[-1]
        lines = [
            f"    {item.sql} AS {item.column.name}{'' if item is last else ','} -- {item.column.comment}"
            for item in self.columns
        ]
        again = ", ".join(item.sql for item in self.columns)
        first, *others = self.sources
        unions = [f"UNION ALL SELECT {again} FROM {source}" for source in others]
        return "\n".join([f"-- {self.comment}", "SELECT", *lines, f"FROM {first}", *unions])

    def create(self) -> str:
        """Return the CREATE VIEW statement."""
        return f"CREATE VIEW {self.name} AS {self.query()}"

    def table(self, metadata: sa.MetaData) -> sa.Table:
        """Return the view as a table to select from."""
        return sa.Table(self.name, metadata, *(item.column for item in self.columns), comment=self.comment)


# The aliases that all views use: m is a model, e one of its endpoints.
ENDPOINTS = "models m JOIN endpoints e ON e.model_id = m.id"
MODEL = "Resolved model id (data.id)."
OBSERVED_AT = "First observation that shows it (UTC)."


def model_name() -> Selected:
    """Return the name of the model."""
    return select("model", "m.openrouter_id", sa.Text, MODEL)


def model_id() -> Selected:
    """Return the id of the model."""
    return select("model_id", "m.id", Id, "The model (models.id).")


def endpoint_names() -> Columns:
    """Return the columns that identify an endpoint in every view: names, and ids to join by."""
    return [
        model_name(),
        select("provider", "e.provider_name", sa.Text, "Latest display name of the provider."),
        select(
            "route",
            "e.route",
            sa.Text,
            "The endpoint's tag; for bodies older than tags, provider:NAME quantization:NAME.",
        ),
        select("variant", "e.variant", sa.Text, "The endpoint's own model id, with :free and the like."),
        select("ordinal", "e.ordinal", sa.Integer, "Number from 0 among endpoints with the same variant and route."),
        select("endpoint_id", "e.id", Id, "The endpoint (endpoints.id)."),
        model_id(),
    ]


def double(sql: str) -> str:
    """Return a number as a double, which compares and divides alike in both databases."""
    return f"CAST({sql} AS DOUBLE PRECISION)"


def per_mtok(usd: str) -> str:
    """Return a price per token as one per million tokens."""
    return f"1e6 * {double(usd)}"


def minutes(seconds: str) -> str:
    """Return seconds as minutes."""
    return f"{double(seconds)} / 60"


def rows_of(values: Iterable[str]) -> str:
    """Return a query of these rows, each given as what a SELECT lists."""
    return " UNION ALL ".join(f"SELECT {value}" for value in values)
