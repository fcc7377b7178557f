"""The folder of a site: files come there whole or not at all, none is written that is as it was, and none goes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from endpoint_history.errors import ConfigurationError, HistoryError
from endpoint_history.io.output_folder import OutputFolder

_MARK = "endpoint-history-site.txt"
_MARK_TEXT = (
    b"Pages made by `endpoint-history site`. What lies here is written again where it differs; nothing is removed.\n"
)
_MAKING = ".making-"
_MODES = 0o644, 0o755  # whatever the umask: a web server has to read them


class Folder:
    """A folder of pages, or the URL of one. Raises ConfigurationError for a URL that nothing can be written to."""

    def __init__(self, url: str | Path) -> None:
        self._output = OutputFolder(str(url), "FOLDER", "build of", _MAKING, _MODES)
        self.location, self._address = self._output.location, self._output.address
        self._local, self._folder = self._output.local, self._output.files
        self.written = self.unchanged = 0
        self._sizes: dict[str, int] = {}

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Make a local folder where it is missing, and keep other builds out of it. Nobody guards a remote one.

        Raises ConfigurationError where there can be no folder, or something else lies in it; HistoryError where another
        build is under way, or a file can't be written.
        """
        with self._output.locked():
            self._begin()
            yield

    def begins_with(self, name: str, start: bytes) -> bool:
        """Whether that file is there and begins so."""
        if self._sizes.get(name, -1) < len(start):
            return False
        with self._address.told(f"can't read {name} in {self.location}"), self._folder.opened(name) as file:
            return bytes(file.read(len(start))) == start

    def put(self, name: str, content: bytes) -> None:
        """Bring a file to this content, if it has another."""
        if self._sizes.get(name) == len(content) and self.begins_with(name, content):
            self.keep(name)
        else:
            self._write(name, content)
            self.written += 1

    def keep(self, name: str) -> None:
        """Leave a file as it is, but let all read it, as one that is made now."""
        with self._address.told(f"can't write {name} to {self.location}"):
            self._folder.set_mode(name)
        self.unchanged += 1

    def _begin(self) -> None:
        """Look at what is there, and put the mark of a site in an empty folder."""
        with self._address.told(f"can't list {self.location}"):
            if self._local:
                self._local.remove_unfinished()
            self._sizes = self._folder.sizes()
        if self._sizes.get(_MARK, -1) < 0:
            if self._sizes:
                raise ConfigurationError(
                    f"{self.location} is not a site: it holds files, and no {_MARK}; name an empty folder"
                )
            try:
                self._write(_MARK, _MARK_TEXT)
            except HistoryError as trouble:
                raise ConfigurationError(str(trouble)) from None

    def _write(self, name: str, content: bytes) -> None:
        # A local file is not waited for: what a power cut takes, the next build makes again.
        with self._address.told(f"can't write {name} to {self.location}"):
            self._folder.write(name, content)
