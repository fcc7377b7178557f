"""The folder of a site: files come there whole or not at all, none is written that is as it was, and none goes."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flows.errors import ConfigurationError, HistoryError

_MARK = "endpoint-history-site.txt"
_MARK_TEXT = (
    b"Pages made by `endpoint-history site`. What lies here is written again where it differs; nothing is removed.\n"
)
_MAKING = ".making-"
_FILE_MODE, _FOLDER_MODE = 0o644, 0o755  # whatever the umask: a web server has to read them


class Folder:
    """A folder of pages. Raises ConfigurationError where there can be none, or where something else lies."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()
        self.written = self.unchanged = 0
        self._made: set[Path] = set()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Make the folder where it is missing, and keep other builds out: HistoryError where one is under way."""
        try:
            self._make(self.path)
            names = {path.name for path in self.path.iterdir() if not path.name.startswith(_MAKING)}
        except OSError as error:
            raise ConfigurationError(f"can't write to {self.path}: {error.strerror}") from None
        if names and _MARK not in names:
            raise ConfigurationError(f"{self.path} is not a site: it holds files, and no {_MARK}; name an empty folder")
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for left in self.path.rglob(f"{_MAKING}*"):
                left.unlink()
            if _MARK not in names:
                self._write(_MARK, _MARK_TEXT)
            yield
        except BlockingIOError:
            raise HistoryError(f"another build of {self.path} is under way") from None
        except OSError as error:
            raise HistoryError(f"can't write to {self.path}: {error.strerror or error}") from None
        finally:
            os.close(descriptor)

    def begins_with(self, name: str, start: bytes) -> bool:
        """Whether that file is there and begins so."""
        try:
            with (self.path / name).open("rb") as file:
                return file.read(len(start)) == start
        except FileNotFoundError:
            return False

    def put(self, name: str, content: bytes) -> None:
        """Bring a file to this content, if it has another."""
        try:
            same = (self.path / name).read_bytes() == content
        except FileNotFoundError:
            same = False
        if same:
            self.unchanged += 1
        else:
            self._write(name, content)
            self.written += 1

    def _write(self, name: str, content: bytes) -> None:
        # No fsync: what a power cut takes, the next build makes again.
        file = self.path / name
        self._make(file.parent)
        aside = file.with_name(_MAKING + file.name)
        aside.write_bytes(content)
        aside.chmod(_FILE_MODE)
        aside.replace(file)

    def _make(self, folder: Path) -> None:
        if folder in self._made or folder.is_dir():
            return
        self._make(folder.parent)
        folder.mkdir(exist_ok=True)
        folder.chmod(_FOLDER_MODE)
        self._made.add(folder)
