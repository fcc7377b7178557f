"""The manifest of an export: what its files hold, by which a later export knows what to do. Values only."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Final

NAME: Final = "manifest.json"
_KIND, _VERSION = "endpoint-history export", 1


class NotAManifestError(ValueError):
    """The bytes are no manifest that this version reads; the message says why."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file: where it lies, how many rows and bytes it has, the SHA-256 of its bytes, and its first and last time.

    `month` is None where one file holds a whole table; `first` and `last` are None without rows, or without a time.
    """

    path: str
    month: str | None
    rows: int
    bytes: int
    sha256: str
    first: str | None = None
    last: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """One table or view: its comment, its columns as the format tells them, and its files in order of time."""

    comment: str
    columns: list[dict[str, Any]]
    files: list[Entry]


@dataclass(slots=True)
class Manifest:
    """All tables by name. Where it is not `complete`, an export was cut short: files may be newer than it tells."""

    format: str
    complete: bool = False
    tables: dict[str, Table] = field(default_factory=dict)

    def entries(self) -> dict[str, Entry]:
        """All files by their paths."""
        return {entry.path: entry for table in self.tables.values() for entry in table.files}

    def encode(self) -> bytes:
        """As JSON, the same bytes for the same manifest."""
        tables = {
            name: {"rows": sum(entry.rows for entry in table.files), **asdict(table)}
            for name, table in sorted(self.tables.items())
        }
        head = {"kind": _KIND, "version": _VERSION, "format": self.format, "complete": self.complete}
        return (json.dumps({**head, "tables": tables}, ensure_ascii=False, indent=1) + "\n").encode()

    @classmethod
    def decode(cls, content: bytes) -> Manifest:
        """Read one again. Raises NotAManifestError."""
        try:
            value = json.loads(content)
            if value["kind"] != _KIND:
                raise NotAManifestError("it is not of an export")
            if value["version"] != _VERSION:
                raise NotAManifestError("another version of endpoint-history made it")
            tables = {
                name: Table(table["comment"], table["columns"], [Entry(**entry) for entry in table["files"]])
                for name, table in value["tables"].items()
            }
            return cls(value["format"], value["complete"], tables)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise error if isinstance(error, NotAManifestError) else NotAManifestError("it can't be read") from None
