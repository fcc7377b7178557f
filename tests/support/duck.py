"""What DuckDB answers: a way of reading exports that is not ours."""

from __future__ import annotations

from typing import Any

import duckdb


def asked(question: str) -> list[tuple[Any, ...]]:
    """All rows of the answer, in a session of its own."""
    with duckdb.connect() as connection:
        return connection.execute(question).fetchall()
