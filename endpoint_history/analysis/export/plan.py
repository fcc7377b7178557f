"""What becomes of the files at a destination: which stand, which are put, which go, and what the manifest says."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from endpoint_history.analysis.export.datasets import DATASETS, Dataset
from endpoint_history.analysis.export.destination import STAGING, Destination
from endpoint_history.analysis.export.manifest import NAME, Entry, Manifest, NotAManifestError, Table
from endpoint_history.analysis.export.months import Months
from endpoint_history.errors import ConfigurationError, HistoryError

_TABLES = "|".join(dataset.name for dataset in DATASETS)
_MADE = re.compile(rf"({_TABLES})/(month=[0-9]{{4}}-[0-9]{{2}}/)?data\.(parquet|csv)")


@dataclass(frozen=True, slots=True)
class Scope:
    """What is looked at: these datasets, and of those that lie by months, these months. All else stays as it is."""

    datasets: tuple[Dataset, ...] = DATASETS
    months: Months = field(default_factory=Months)


@dataclass(slots=True)
class Exported:
    """What became of the files; `rows` and `bytes` are of all that the manifest tells of.

    `mended` tells that an earlier export had been cut short, so that everything was looked at.
    """

    mended: bool = False
    written: int = 0
    unchanged: int = 0
    removed: int = 0
    tables: int = 0
    rows: int = 0
    bytes: int = 0


class ExportUpdate:
    """One export, as it changes what lies at the destination.

    Raises ConfigurationError where that is not an export of this format.
    """

    def __init__(self, destination: Destination, file_format: str, scope: Scope) -> None:
        self._destination = destination
        self._sizes = destination.sizes()
        self._before = self._previous(file_format)
        self._after = Manifest(file_format, complete=True)
        self._known = self._before.entries()
        self._begun = NAME in self._sizes and not self._before.complete
        self.scope = Scope() if self._begun else scope
        self._exported = Exported(mended=self._begun)

    def put(self, file: Path, entry: Entry) -> None:
        """Put a file in its place, unless the same stands there."""
        if self._stands(entry):
            self._destination.keep(entry.path)
            self._exported.unchanged += 1
            return
        self._begin(file.parent)
        self._destination.publish(file, entry.path)
        self._exported.written += 1

    def tell(self, dataset: Dataset, columns: list[dict[str, Any]], files: list[Entry]) -> None:
        """Tell of a dataset in the manifest: of the files that were made, and of those out of scope."""
        before = self._before.tables.get(dataset.name)
        others = [entry for entry in before.files if entry.month not in self.scope.months] if before else []
        ordered = sorted([*others, *files], key=lambda entry: entry.month or "")
        self._after.tables[dataset.name] = Table(dataset.table.comment or "", columns, ordered)

    def finish(self, folder: Path) -> Exported:
        """Remove what is no more, and write the manifest last. `folder` is the staging folder."""
        if self.scope.datasets != DATASETS:
            self._after.tables = self._before.tables | self._after.tables
        entries = self._after.entries()
        for path in sorted(self._sizes.keys() - entries.keys()):
            if path in self._known or _MADE.fullmatch(path):
                self._begin(folder)
                self._destination.remove(path)
                self._exported.removed += 1
        if self._begun or self._before != self._after:
            self._write(folder, self._after)
        else:
            self._destination.keep(NAME)
        self._exported.tables = len(self._after.tables)
        self._exported.rows = sum(entry.rows for entry in entries.values())
        self._exported.bytes = sum(entry.bytes for entry in entries.values())
        return self._exported

    def _stands(self, entry: Entry) -> bool:
        if self._sizes.get(entry.path) != entry.bytes:
            return False
        if self._before.complete:
            return self._known.get(entry.path) == entry
        return self._destination.digest(entry.path) == entry.sha256

    def _begin(self, folder: Path) -> None:
        """Before the first change: from now on, and until the manifest is written anew, files may differ from it."""
        if not self._begun:
            try:
                self._write(folder, replace(self._before, complete=False))
            except HistoryError as trouble:
                raise ConfigurationError(str(trouble)) from None
            self._begun = True

    def _write(self, folder: Path, manifest: Manifest) -> None:
        file = folder / f"{STAGING}{NAME}"
        file.write_bytes(manifest.encode())
        self._destination.publish(file, NAME)

    def _previous(self, file_format: str) -> Manifest:
        location = self._destination.location
        if NAME not in self._sizes:
            if self._sizes:
                raise ConfigurationError(f"{location} is not an export: it holds files, and no {NAME}")
            return Manifest(file_format)
        try:
            found = Manifest.decode(self._destination.read(NAME))
        except NotAManifestError as trouble:
            raise ConfigurationError(f"{location} is not an export: of its {NAME}, {trouble}") from None
        if found.format != file_format:
            raise ConfigurationError(
                f"{location} is an export as {found.format}; name another folder for {file_format}"
            )
        return found
