"""The command `endpoint-history export`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from endpoint_history.errors import ConfigurationError
from endpoint_history.suggestions import closest
from endpoint_history.terminal import show

if TYPE_CHECKING:
    from endpoint_history.analysis.export.datasets import Dataset
    from endpoint_history.analysis.export.plan import Exported


def export_history(
    dest: Annotated[
        str, typer.Argument(metavar="DEST", help="A folder, or any fsspec URL such as s3://bucket/folder.")
    ],
    *,
    file_format: Annotated[
        Literal["parquet", "csv"], typer.Option("--format", help="Parquet is exact; CSV is for other programs.")
    ] = "parquet",
    since: Annotated[str | None, typer.Option(help="Only months from then on: 2026-05.")] = None,
    until: Annotated[str | None, typer.Option(help="Only months before then.")] = None,
    only: Annotated[list[str] | None, typer.Option("--only", help="Only these tables and views; repeatable.")] = None,
    for_all: Annotated[bool, typer.Option("--for-all", help="Let all users of this machine read the files.")] = False,
) -> None:
    """Write all tables and views to files for DuckDB, pandas or a spreadsheet, by months.

    The same history makes the same bytes, and the next export writes only the months that differ. What is out of scope
    by --since, --until or --only stays as it is.
    """
    from endpoint_history.analysis.export.destination import Destination
    from endpoint_history.analysis.export.months import Months
    from endpoint_history.analysis.export.plan import Scope
    from endpoint_history.analysis.export.write import export
    from endpoint_history.database.engine import opened
    from endpoint_history.progress import shown_progress
    from endpoint_history.settings import Settings

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
    from endpoint_history.analysis.export.datasets import DATASETS

    known = {dataset.name for dataset in DATASETS}
    for name in only or ():
        if name not in known:
            near = closest(name, known, cutoff=0)
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
