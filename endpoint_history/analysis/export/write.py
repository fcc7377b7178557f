"""Write all history to files for analysts, and the next time only what differs.

How it knows: every file in scope is made anew, aside, and put in its place where its bytes differ from those that the
manifest tells of. That is exact, as the same rows make the same bytes.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Protocol

import sqlalchemy as sa

from endpoint_history.analysis.export import csv
from endpoint_history.analysis.export.datasets import Layout, lay_out
from endpoint_history.analysis.export.destination import STAGING, Destination, digest_of
from endpoint_history.analysis.export.manifest import Entry
from endpoint_history.analysis.export.plan import Exported, ExportUpdate, Scope
from endpoint_history.analysis.export.rows import FileContent, Group, observed_months, read_parts
from endpoint_history.database.engine import translated_errors
from endpoint_history.errors import ConfigurationError, HistoryError

Format = Literal["parquet", "csv"]
Progress = Callable[[int, int], None]


class _Writer(Protocol):
    def columns_of(self, layout: Layout) -> list[dict[str, Any]]: ...

    def write(self, path: Path, layout: Layout, groups: Iterable[Group]) -> None: ...


def export(
    engine: sa.Engine,
    destination: Destination,
    file_format: Format,
    scope: Scope | None = None,
    progress: Progress = lambda *_: None,
) -> Exported:
    """Bring the files at the destination to what the database holds at one instant.

    An export that was cut short is mended by the next, which then looks at everything. Raises ConfigurationError where
    nothing can be written there, where something else than an export of this format lies there, or without pyarrow.
    """
    writer = _writer(file_format)
    with destination.locked():
        update = ExportUpdate(destination, file_format, scope or Scope())
        with destination.staging() as folder, translated_errors(engine), snapshot(engine) as connection:
            layouts = [lay_out(dataset, engine.dialect.name) for dataset in update.scope.datasets]
            observed = observed_months(connection, update.scope.months)
            steps = len(observed) or 1
            for number, layout in enumerate(layouts):
                files = []
                for at, part in enumerate(read_parts(connection, layout, update.scope.months, observed)):
                    progress(number * steps + min(at, steps - 1), len(layouts) * steps)
                    file = folder / f"{STAGING}data.{file_format}"
                    entry = _make(file, writer, layout, part)
                    if entry:
                        update.put(file, entry)
                        files.append(entry)
                update.tell(layout.dataset, writer.columns_of(layout), files)
                progress((number + 1) * steps, len(layouts) * steps)
            return update.finish(folder)


@contextmanager
def snapshot(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A connection that sees the database as it is at one instant, whoever writes meanwhile."""
    isolation = {} if engine.dialect.name == "sqlite" else {"isolation_level": "REPEATABLE READ"}
    with engine.connect().execution_options(**isolation) as connection:
        if isolation:
            # To compile the query of a view takes seconds, to run it a fraction of one; and all its rows are wanted.
            connection.exec_driver_sql("SET LOCAL jit = off")
            connection.exec_driver_sql("SET LOCAL cursor_tuple_fraction = 1.0")
        yield connection


def _writer(file_format: Format) -> _Writer:
    if file_format == "csv":
        return csv
    try:
        from endpoint_history.analysis.export import parquet  # noqa: PLC0415 - pyarrow may not be installed
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"Parquet needs the package {error.name}, which is not installed:"
            " .venv/bin/pip install pyarrow; --format csv needs none"
        ) from None
    return parquet


def _make(file: Path, writer: _Writer, layout: Layout, part: FileContent) -> Entry | None:
    """Make the file of a part; None where a month has no rows."""
    seen = _Seen(layout)
    groups = seen.watch(part.groups)
    first = next(groups, None)
    if first is None:
        return None
    try:
        writer.write(file, layout, itertools.chain([first], groups))
    except OSError as error:
        raise HistoryError(f"can't make a file in {file.parent}: {error.strerror or error}") from None
    folder = layout.dataset.name if part.month is None else f"{layout.dataset.name}/month={part.month}"
    with file.open("rb") as made:
        digest = digest_of(iter(lambda: made.read(2**20), b""))
    return Entry(
        f"{folder}/data{file.suffix}", part.month, seen.rows, file.stat().st_size, digest, seen.first, seen.last
    )


class _Seen:
    """How many rows went by, and their first and last time."""

    def __init__(self, layout: Layout) -> None:
        self.rows = 0
        self.first: str | None = None
        self.last: str | None = None
        self._at = layout.time if layout.dataset.month else None

    def watch(self, groups: Iterable[Group]) -> Iterator[Group]:
        for names, rows in groups:
            self.rows += len(rows)
            if rows and self._at is not None:
                ends = [_time(row[self._at]) for row in (rows[0], rows[-1])]
                self.first = min(filter(None, (self.first, ends[0])))
                self.last = max(filter(None, (self.last, ends[1])))
            yield names, rows


def _time(moment: int | str) -> str:
    return moment if isinstance(moment, str) else f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%dT%H:%M:%SZ}"
