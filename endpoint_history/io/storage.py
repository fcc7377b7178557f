"""Files under a URL: a local folder, or whatever fsspec knows, such as `s3://bucket/folder`. The door to fsspec."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from endpoint_history.errors import ConfigurationError
from endpoint_history.io.local_path import path_of_url
from endpoint_history.io.url import Address

_ONLY_READABLE = ("http://", "https://")
# These show an object when all of it has come. To move it then would copy it, and ask for the right to delete.
_SHOW_WHOLE_OBJECTS = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss"}


class Storage:
    """The filesystem of a URL, as fsspec gives it in `files`, and the path of the URL in it, `root`.

    `location` is the URL for people, without credentials; `address` turns what drivers raise into one line. `setting`
    is what people call the URL. Raises ConfigurationError for one that nothing can be written to.
    """

    def __init__(self, url: str, setting: str) -> None:
        self.address = Address(url)
        if not url or url.startswith(_ONLY_READABLE):
            raise ConfigurationError(f"{setting}: nothing can be written to {self.address.location!r}")
        with self.address.told(f"can't open {self.address.location}"):
            try:
                path = path_of_url(url)
                files, root = url_to_fs(str(path.absolute()) if path else url)
            except (ImportError, ValueError, RuntimeError) as error:
                reason = self.address.reason(error)
                raise ConfigurationError(f"{setting} {self.address.location}: {reason}") from None
        self.files: Any = files
        self.root: str = root.rstrip("/")
        self.is_local = isinstance(files, LocalFileSystem)
        self.location = self.root if self.is_local else self.address.location

    def upload(self, source: Path, path: str) -> None:
        """Put a local file where this is remote: it comes under its name when all of it is there."""
        protocol = self.files.protocol
        if _SHOW_WHOLE_OBJECTS.isdisjoint([protocol] if isinstance(protocol, str) else protocol):
            folder = path.rpartition("/")[0]
            self.files.makedirs(folder, exist_ok=True)
            self.files.put_file(str(source), f"{folder}/{source.name}")
            self.files.mv(f"{folder}/{source.name}", path)
        else:
            self.files.put_file(str(source), path)
        self.files.invalidate_cache()
        if self.files.size(path) != source.stat().st_size:
            raise OSError(f"{path} did not arrive whole")
