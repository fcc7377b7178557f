"""CSV files as RFC 4180 has them: quoted where needed, lines ended by CR LF, a head, UTF-8.

Text that strangers wrote may be meant to run in the reader's spreadsheet. Such text gets one `'` in front, and so does
text that begins with one: who takes a first `'` away from every text has what was.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from analysis.datasets import Layout
from analysis.reading import Group

# What spreadsheets take for a formula, in full width too, and what they skip before one.
_MAY_RUN = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", "'")  # noqa: RUF001


def columns_of(layout: Layout) -> list[dict[str, Any]]:
    """The columns of a file, for the manifest. Decimals have all their places."""
    return [
        {"name": c.name, "type": c.type, "nullable": c.nullable, "comment": c.comment}
        for c in (*layout.owner, *layout.columns)
    ]


def write(path: Path, layout: Layout, groups: Iterable[Group]) -> None:
    """Write one file. Nothing stands for null."""
    columns = [*layout.owner, *layout.columns]
    shown = [_SHOWN.get(column.type) for column in columns]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\r\n")
        writer.writerow(column.name for column in columns)
        for names, rows in groups:
            for row in rows:
                cells = zip(shown, (*names, *row), strict=True)
                writer.writerow([show(value) if show and value is not None else value for show, value in cells])


def _time(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _text(text: str) -> str:
    return f"'{text}" if text.startswith(_MAY_RUN) else text


def _boolean(value: bool) -> str:
    return "true" if value else "false"


_SHOWN: dict[str, Callable[[Any], str]] = {
    "TIMESTAMP WITH TIME ZONE": _time,
    "BOOLEAN": _boolean,
    "VARCHAR": _text,
    "DOUBLE": lambda value: repr(float(value)),
}
