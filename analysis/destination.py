"""Where an export lies. Files come there whole or not at all."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flows.errors import ConfigurationError, HistoryError
from flows.private_files import sync_folder
from flows.storage import Storage

STAGING = ".export-"  # with this begin the names of what is in the making
_CHUNK_BYTES = 2**20


class Destination:
    """A folder, or the URL of one. Paths in it are relative, with `/`.

    Raises ConfigurationError for a URL that nothing can be written to, and HistoryError for what goes wrong later.
    """

    def __init__(self, url: str) -> None:
        self._storage = Storage(url, "DEST")
        self._address, self._files, self._root = self._storage.address, self._storage.files, self._storage.root
        self.location = self._storage.location

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Make a local folder where it is missing, and keep other exports out of it. Nobody guards a remote one.

        Raises ConfigurationError where there can be no folder, HistoryError where another export is under way.
        """
        if not self._storage.is_local:
            yield
            return
        with self._writable():
            Path(self._root).mkdir(parents=True, exist_ok=True)
            folder = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self._lock(folder)
            yield
        finally:
            os.close(folder)

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """An empty local folder to make files in, gone at the end; those that a crash left are removed.

        Raises ConfigurationError where nothing can be written.
        """
        root = Path(self._root) if self._storage.is_local else None
        with self._writable():
            for left in root.glob(f"{STAGING}*") if root else ():
                shutil.rmtree(left)
            folder = tempfile.TemporaryDirectory(prefix=STAGING, dir=root)
        with folder as path:
            yield Path(path)

    def sizes(self) -> dict[str, int]:
        """Path and bytes of every file that is there, but those in the making."""
        with self._address.told(f"can't list {self.location}"):
            self._files.invalidate_cache()
            try:
                found = self._files.find(self._root, detail=True)
            except FileNotFoundError:
                return {}
        sizes = {path.removeprefix(self._root).lstrip("/"): info["size"] for path, info in found.items()}
        return {path: size for path, size in sizes.items() if f"/{STAGING}" not in f"/{path}"}

    def read(self, path: str) -> bytes:
        """A whole file."""
        with self._address.told(f"can't read {path} in {self.location}"):
            return bytes(self._files.cat_file(self._path(path)))

    def digest(self, path: str) -> str:
        """The SHA-256 of a file that is there."""
        with (
            self._address.told(f"can't read {path} in {self.location}"),
            self._files.open(self._path(path), "rb") as file,
        ):
            return digest_of(iter(lambda: file.read(_CHUNK_BYTES), b""))

    def publish(self, source: Path, path: str) -> None:
        """Move a file from the staging folder to its place, in that of an older one."""
        with self._address.told(f"can't write {path} to {self.location}"):
            if not self._storage.is_local:
                self._storage.upload(source, self._path(path))
                return
            with source.open("rb") as file:
                os.fsync(file.fileno())
            target = Path(self._path(path))
            target.parent.mkdir(parents=True, exist_ok=True)
            source.replace(target)
            sync_folder(target.parent)

    def remove(self, path: str) -> None:
        """Remove a file, and local folders that are empty then."""
        with self._address.told(f"can't remove {path} from {self.location}"):
            self._files.rm_file(self._path(path))
            if self._storage.is_local:
                for folder in (Path(path).parent, Path(path).parent.parent):
                    if folder.name and not any((Path(self._root) / folder).iterdir()):
                        (Path(self._root) / folder).rmdir()

    def _lock(self, folder: int) -> None:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HistoryError(f"another export to {self.location} is under way") from None

    def _path(self, path: str) -> str:
        return f"{self._root}/{path}"

    @contextmanager
    def _writable(self) -> Iterator[None]:
        try:
            with self._address.told(f"can't write to {self.location}"):
                yield
        except HistoryError as trouble:
            raise ConfigurationError(str(trouble)) from None


def digest_of(chunks: Iterator[bytes]) -> str:
    """The SHA-256 of some bytes."""
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()
