"""Answer the questions of docs/queries.md from the simulated history, and give them to Datasette: `make queries`."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa

from endpoint_history.database.engine import opened
from models.listing import canonical_decimal
from simulator.history import make_history

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "queries.md"
DATASETTE = ROOT / "datasette.yaml"

_ANSWER = re.compile(r"```sql\n(?P<sql>[^`]*)```\n(?:\n(?P<shown>(?:\|.*\n)+))?")
_QUESTION = re.compile(rf"^### (?P<title>.+)\n(?:(?!#|```).*\n)*{_ANSWER.pattern}", re.MULTILINE)
# What a web page asks its reader for, by how the literal is compared.
_ASKED = re.compile(r"\b(?P<name>model|provider) = '(?P<text>[^']*)'|(?P<sign>[<>]=?) '(?P<time>2\d{3}-[^']*)'")
_TIMES = {">=": "since", "<": "until", "<=": "as_of", ">": "as_of"}
_DAYS = {">=": "first_day", "<": "until_day"}
_DAY_LENGTH = len("2026-03-15")
_HEAD = """\
# The questions of docs/queries.md for Datasette; written by `make queries`, a test keeps it true.
title: endpoint-history
description: Price and uptime history of every LLM endpoint that OpenRouter lists. All times are UTC.
databases:
  history:
    queries:
"""


class Question(NamedTuple):
    """A heading of the page, the SQL below it, and the answer that the page shows."""

    title: str
    sql: str
    shown: str

    @property
    def name(self) -> str:
        """The heading as part of an address."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")


def questions(page: str) -> list[Question]:
    """The questions of the page, in its order."""
    return [Question(**match.groupdict(default="")) for match in _QUESTION.finditer(page)]


def answered(page: str, ask: Callable[[str], str]) -> str:
    """The page with what `ask` says to each SQL below it."""
    return _ANSWER.sub(lambda match: f"```sql\n{match['sql']}```\n\n{ask(match['sql'])}", page)


def answer(connection: sa.Connection, sql: str) -> str:
    """What the database says, as a table in Markdown; the same on SQLite and PostgreSQL."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET TIME ZONE 'UTC'")
    result = connection.exec_driver_sql(sql)
    columns = list(result.keys())
    return "".join(_lines([columns, ["---"] * len(columns), *([_text(cell) for cell in row] for row in result)]))


def _lines(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    return (f"| {' | '.join(row)} |\n" for row in rows)


def _text(cell: Any) -> str:
    match cell:
        case None:
            return "null"
        case bool():
            return str(int(cell))
        case float():
            return format(cell, ".6g")
        case Decimal():
            return canonical_decimal(cell)
        case datetime():
            return cell.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    return str(cell)


def asking(sql: str) -> tuple[str, dict[str, str]]:
    """The SQL with named parameters in the place of model, provider and times, and the values they had.

    Raises ValueError where one name would stand for two values.
    """
    values: dict[str, str] = {}

    def name(match: re.Match[str]) -> str:
        value = match["text"] or match["time"]
        parameter = match["name"] or (_DAYS if len(value) == _DAY_LENGTH else _TIMES)[match["sign"]]
        if values.setdefault(parameter, value) != value:
            raise ValueError(f"{parameter} would be {values[parameter]} and {value}: {sql}")
        return match[0].replace(f"'{value}'", f":{parameter}")

    return _ASKED.sub(name, sql), values


def datasette(page: str) -> str:
    """The page's questions as the canned queries of a datasette.yaml."""
    return _HEAD + "".join(_canned(question) for question in questions(page))


def _canned(question: Question) -> str:
    sql = "\n".join(f"          {line}" for line in asking(question.sql)[0].rstrip(";\n").splitlines())
    return f"      {question.name}:\n        title: {json.dumps(question.title)}\n        sql: |-\n{sql}\n"


def main() -> None:
    """Write the page and datasette.yaml anew."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/history.db"
        make_history(url)
        with opened(url) as engine, engine.connect() as connection:
            page = answered(PAGE.read_text(), lambda sql: answer(connection, sql))
    PAGE.write_text(page)
    DATASETTE.write_text(datasette(page))


if __name__ == "__main__":
    main()
