"""What SQL may say on the oldest SQLite that is supported, whichever newer one runs the tests."""

from __future__ import annotations

import functools
import re
from typing import Any

import sqlalchemy as sa

# By the version that brought them. Dropping a column, from 3.35 too, is left out: only a downgrade does, and an older
# SQLite refuses to.
_MATH = (
    "a?(?:cos|sin|tan)h?|atan2|ceil(?:ing)?|degrees|exp|floor|ln|log|log10|log2|mod|pi|pow(?:er)?|radians"
    "|sign|sqrt|trunc"
)
_NEWER = {
    "3.35": rf"\b(?:RETURNING|MATERIALIZED)\b|\b(?:{_MATH}) ?\(",
    "3.37": r"\bSTRICT\b|\btable_list\b",
    "3.38": r"->>?|\b(?:unixepoch|format) ?\(",
    "3.39": r"\bIS (?:NOT )?DISTINCT FROM\b|\b(?:RIGHT|FULL) (?:OUTER )?JOIN\b",
    "3.41": r"\bunhex ?\(",
    "3.43": r"\b(?:octet_length|timediff) ?\(",
    "3.44": r"\b(?:concat|concat_ws|string_agg) ?\(|\b(?:group_concat|json_group_array) ?\([^()]* ORDER BY",
    "3.45": r"\bjsonb\w* ?\(",
    "3.46": r"\bjson_pretty ?\(",
}
_WORDS = re.compile("|".join(_NEWER.values()), re.IGNORECASE)
_TEXTS_AND_COMMENTS = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/", re.DOTALL)


@functools.lru_cache(10_000)  # the tests send the same statements again and again
def newer_words(sql: str) -> list[str]:
    """What this SQL says that the oldest SQLite does not understand."""
    return [match[0] for match in _WORDS.finditer(_TEXTS_AND_COMMENTS.sub("''", sql))]


def refuse_newer_sql(connection: sa.Connection, _: Any, sql: str, *__: Any) -> None:
    """Fail the test whose statement a SQLite of the oldest version could not run: a hook of SQLAlchemy."""
    if connection.dialect.name == "sqlite" and "alembic_version" not in sql:  # Alembic itself looks at the version
        assert newer_words(sql) == [], sql
