"""CSV files as RFC 4180 has them: quoted where needed, lines ended by CR LF, a head, UTF-8.

Text that strangers wrote may be meant to run in the reader's spreadsheet. Such text gets one `'` in front, and so does
text that begins with one: who takes a first `'` away from every text has what was.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from endpoint_history.analysis.export.datasets import Column, Layout
from endpoint_history.analysis.export.rows import Group, Row
from endpoint_history.text import is_invisible

# What spreadsheets take for a formula, and the mark itself. Full-width and small forms are compared as these.
_MAY_RUN = set("=+-@'\u2212")
_QUICK = re.compile(r"[A-Za-z0-9{\[\"]")  # the beginning of almost all text, which needs no closer look


def columns_of(layout: Layout) -> list[dict[str, Any]]:
    """The columns of a file, for the manifest. Decimals have all their places."""
    return [
        {"name": c.name, "type": c.type, "nullable": c.nullable, "comment": c.comment}
        for c in (*layout.owner, *layout.columns)
    ]


def write(path: Path, layout: Layout, groups: Iterable[Group]) -> None:
    """Write one file. Nothing stands for null."""
    columns = [*layout.owner, *layout.columns]
    of_owner, of_rows = _shown(layout.owner), _shown(layout.columns)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\r\n")
        writer.writerow(column.name for column in columns)
        for names, rows in groups:
            first = of_owner(names)
            writer.writerows(first + of_rows(row) for row in rows)


def _shown(columns: Iterable[Column]) -> Callable[[Row], list[Any]]:
    """What shows the values of these columns in cells; the writer itself shows numbers, each in its shortest form."""
    shown = [(at, _SHOWN[column.type]) for at, column in enumerate(columns) if column.type in _SHOWN]

    def show(row: Row) -> list[Any]:
        cells = list(row)
        for at, form in shown:
            if cells[at] is not None:
                cells[at] = form(cells[at])
        return cells

    return show


def _time(seconds: int) -> str:
    day, second = divmod(seconds, 86_400)
    return f"{_day(day)}T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}Z"


@lru_cache(maxsize=1024)
def _day(number: int) -> str:
    return f"{datetime.fromtimestamp(number * 86_400, UTC):%Y-%m-%d}"


def defused(text: str) -> str:
    """Return text that no spreadsheet runs, not even one that skips what is invisible before a formula."""
    if not text or _QUICK.match(text):
        return text
    is_hidden = text[0] in "\t\r\n"
    first = next((char for char in text if not is_invisible(char)), "")
    return f"'{text}" if is_hidden or unicodedata.normalize("NFKC", first)[:1] in _MAY_RUN else text


def _boolean(value: bool) -> str:
    return "true" if value else "false"


_SHOWN: dict[str, Callable[[Any], str]] = {
    "TIMESTAMP WITH TIME ZONE": _time,
    "BOOLEAN": _boolean,
    "VARCHAR": defused,
}
