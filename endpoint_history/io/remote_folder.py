"""A folder of an object store or another remote file system, used as a local one is."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from endpoint_history.io.storage import Storage


class RemoteFolder:
    """A folder; paths in it are relative, with `/`. It raises whatever its driver does. Nobody locks it.

    Names of files in the making begin with `making`.
    """

    def __init__(self, storage: Storage, making: str) -> None:
        self._storage, self._making = storage, making

    def sizes(self) -> dict[str, int]:
        """Return path and bytes of every file."""
        self._storage.files.invalidate_cache()
        try:
            found = self._storage.files.find(self._storage.root, detail=True)
        except FileNotFoundError:
            return {}
        return {path.removeprefix(self._storage.root).lstrip("/"): info["size"] for path, info in found.items()}

    @contextmanager
    def opened(self, path: str) -> Iterator[Any]:
        """Open a file for reading. Raises FileNotFoundError."""
        with self._storage.files.open(self._path(path), "rb") as file:
            yield file

    def write(self, path: str, content: bytes) -> None:
        """Put a file in its place, or in that of what is there."""
        with tempfile.TemporaryDirectory() as folder:
            # By the end of this name drivers tell the content type.
            source = Path(folder) / f"{self._making}{path.rpartition('/')[2]}"
            source.write_bytes(content)
            self.take_in(source, path)

    def take_in(self, source: Path, path: str) -> None:
        """Put a local file in its place."""
        self._storage.upload(source, self._path(path))

    def set_mode(self, path: str) -> None:
        """Do nothing: who may read it is a matter of the store."""

    def remove(self, path: str) -> None:
        """Remove a file."""
        self._storage.files.rm_file(self._path(path))

    def _path(self, path: str) -> str:
        return f"{self._storage.root}/{path}"
