"""Where an export lies. Files come there whole or not at all."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from endpoint_history.errors import ConfigurationError, HistoryError
from endpoint_history.io.output_folder import OutputFolder

STAGING = ".export-"  # with this begin the names of what is in the making
_CHUNK_BYTES = 2**20


class Destination:
    """A folder, or the URL of one. Paths in it are relative, with `/`.

    Locally, what is made there is closed to other users, unless it is `for_all`. Raises ConfigurationError for a URL
    that nothing can be written to, and HistoryError for what goes wrong later.
    """

    def __init__(self, url: str, *, for_all: bool = False) -> None:
        output = OutputFolder(url, "DEST", "export to", STAGING, (0o644, 0o755) if for_all else (0o600, 0o700))
        self.location, self._address = output.location, output.address
        self._local, self._folder = output.local, output.files
        self.locked = output.locked

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """An empty local folder to make files in, gone at the end; those that a crash left are removed.

        Raises ConfigurationError where nothing can be written.
        """
        with self._writable():
            if self._local:
                self._local.remove_unfinished()
            folder = tempfile.TemporaryDirectory(prefix=STAGING, dir=self._local.root if self._local else None)
        with folder as path:
            yield Path(path)

    def sizes(self) -> dict[str, int]:
        """Path and bytes of every file that is there, but those in the making; NO_FILE for links and the like."""
        with self._address.told(f"can't list {self.location}"):
            sizes = self._folder.sizes()
        return {path: size for path, size in sizes.items() if f"/{STAGING}" not in f"/{path}"}

    def read(self, path: str) -> bytes:
        """A whole file."""
        with self._address.told(f"can't read {path} in {self.location}"), self._folder.opened(path) as file:
            return bytes(file.read())

    def digest(self, path: str) -> str:
        """The SHA-256 of a file that is there."""
        with self._address.told(f"can't read {path} in {self.location}"), self._folder.opened(path) as file:
            return digest_of(iter(lambda: file.read(_CHUNK_BYTES), b""))

    def publish(self, source: Path, path: str) -> None:
        """Move a file from the staging folder to its place, in that of an older one."""
        with self._address.told(f"can't write {path} to {self.location}"):
            self._folder.take_in(source, path)

    def keep(self, path: str) -> None:
        """Leave a file as it is, but open or close it to other users as one that is made now."""
        with self._address.told(f"can't write {path} to {self.location}"):
            self._folder.set_mode(path)

    def remove(self, path: str) -> None:
        """Remove a file, and local folders that are empty then."""
        with self._address.told(f"can't remove {path} from {self.location}"):
            self._folder.remove(path)

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
