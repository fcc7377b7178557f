"""A local folder or remote URL that one job at a time writes its files to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from endpoint_history.errors import ConfigurationError, HistoryError
from endpoint_history.io.local_folder import LocalFolder
from endpoint_history.io.remote_folder import RemoteFolder
from endpoint_history.io.storage import Storage


class OutputFolder:
    """The folder as `files`, its `address` and its `location` for people; `local` is None if it is remote.

    `setting` is what people call the URL, `job` what is written there, such as "export to". The names of unfinished
    files begin with `unfinished`. Raises ConfigurationError for a URL that nothing can be written to.
    """

    def __init__(self, url: str, setting: str, job: str, unfinished: str, modes: tuple[int, int]) -> None:
        storage = Storage(url, setting)
        self.address, self.location, self._job = storage.address, storage.location, job
        file_mode, folder_mode = modes
        self.local = (
            LocalFolder(Path(storage.root), unfinished, file_mode=file_mode, folder_mode=folder_mode)
            if storage.is_local
            else None
        )
        self.files = self.local or RemoteFolder(storage, unfinished)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Create a local folder if it is missing, and keep other jobs of this kind out of it; remote ones have no lock.

        Raises ConfigurationError if the folder can't be created, HistoryError if another job is under way.
        """
        with ExitStack() as stack:
            try:
                if self.local:
                    stack.enter_context(self.local.locked())
            except BlockingIOError:
                raise HistoryError(f"another {self._job} {self.location} is under way") from None
            except OSError as error:
                raise ConfigurationError(f"can't write to {self.location}: {error.strerror}") from None
            yield
