"""The command `endpoint-history export`."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Annotated

import typer

from analysis.datasets import DATASETS, Dataset
from analysis.destination import Destination
from analysis.export import Format, export
from analysis.months import Months
from analysis.renewal import Exported, Scope
from flows.database import opened
from flows.errors import ConfigurationError
from flows.progress import shown_progress
from flows.settings import Settings
from flows.terminal import show


def export_history(
    dest: Annotated[
        str, typer.Argument(metavar="DEST", help="A folder, or any fsspec URL such as s3://bucket/folder.")
    ],
    *,
    file_format: Annotated[Format, typer.Option("--format", help="Parquet is exact; CSV is for all else.")] = "parquet",
    since: Annotated[str | None, typer.Option(help="Only months from then on: 2026-05.")] = None,
    until: Annotated[str | None, typer.Option(help="Only months before then.")] = None,
    only: Annotated[list[str] | None, typer.Option("--only", help="Only these tables and views; repeatable.")] = None,
    for_all: Annotated[bool, typer.Option("--for-all", help="Let all users of this machine read the files.")] = False,
) -> None:
    """Write all tables and views to files for DuckDB, pandas or a spreadsheet, by months.

    The same history makes the same bytes, and the next export writes only the months that differ. What is out of scope
    by --since, --until or --only stays as it is.
    """
    scope = Scope(_datasets(only), Months(since, until))
    destination = Destination(dest, for_all=for_all)
    with (
        opened(Settings.read().database_url.get_secret_value()) as engine,
        shown_progress("months of tables read") as progress,
    ):
        exported = export(engine, destination, file_format, scope, progress)
    for line in _lines(exported, destination.location):
        show(line)


def _datasets(only: list[str] | None) -> tuple[Dataset, ...]:
    known = {dataset.name: dataset for dataset in DATASETS}
    for name in only or ():
        if name not in known:
            near = get_close_matches(name, known, 3, cutoff=0)
            raise ConfigurationError(f"there is no table or view {name!r}; near: {', '.join(near)}")
    return tuple(dataset for dataset in DATASETS if not only or dataset.name in only)


def _lines(exported: Exported, location: str) -> Iterator[str]:
    if exported.mended:
        yield "Mended     an earlier export had been cut short, so everything was looked at"
    yield f"Tables     {exported.tables}"
    yield f"Files      {exported.written} written, {exported.unchanged} unchanged, {exported.removed} removed"
    yield f"Rows       {exported.rows:,}"
    yield f"Bytes      {exported.bytes:,}"
    yield f"Export     {location}"
