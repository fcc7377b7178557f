"""Read the blobs of a git repository, one at a time, with the git program."""

from __future__ import annotations

import os
import subprocess
import tempfile
from contextlib import suppress
from types import TracebackType
from typing import IO, Self

from endpoint_history.sources.git.log import Repository, git_reason

MAX_BLOB_BYTES = 64 * 2**20
_MAX_WORDS_BYTES = 2**16


class BlobError(Exception):
    """A blob can't be read; the message is the reason, in one line."""


class Blobs:
    """Blobs from one `git cat-file --batch` process, which ends with the `with` block.

    One blob is requested ahead. If a broken repository ends the process, the next blob starts another.
    """

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._process: subprocess.Popen[bytes] | None = None
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the block
        self._asked: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        self._errors.close()

    def take(self, blob: str, following: str | None) -> bytes:
        """Read a blob, and request the `following` one meanwhile. Raises BlobError."""
        if self._asked != blob:
            self._ask(blob)
        self._asked = None
        size = self._read_size()
        if following is not None:
            self._ask(following)
        body = self._stdout.read(size)
        if len(body) < size or self._stdout.read(1) != b"\n":
            raise BlobError(f"the object cannot be read: {self._last_words()}")
        return body

    def _read_size(self) -> int:
        header = self._stdout.readline()
        if header.endswith(b" missing\n"):
            raise BlobError("the object is missing or corrupt")
        try:
            _, kind, size = header.split()
        except ValueError:
            raise BlobError(f"the object cannot be read: {self._last_words()}") from None
        if kind != b"blob" or int(size) > MAX_BLOB_BYTES:
            self._stop()  # rather than reading on to the blob's end
            raise BlobError(f"{kind.decode()} of {int(size):,} bytes: at most {MAX_BLOB_BYTES:,} are read")
        return int(size)

    def _ask(self, blob: str) -> None:
        if self._process is None:
            self._errors.truncate(0)
            self._process = self._repository.start_batch(self._errors)
        self._asked = blob
        assert self._process.stdin is not None  # noqa: S101 - for mypy
        with suppress(BrokenPipeError):  # what is read next says so
            os.write(self._process.stdin.fileno(), f"{blob}\n".encode())

    @property
    def _stdout(self) -> IO[bytes]:
        assert self._process is not None  # noqa: S101 - for mypy
        assert self._process.stdout is not None  # noqa: S101 - for mypy
        return self._process.stdout

    def _last_words(self) -> str:
        self._stop()
        self._errors.seek(0)
        return git_reason(self._errors.read(_MAX_WORDS_BYTES)) or "git ended"

    def _stop(self) -> None:
        process, self._process, self._asked = self._process, None, None
        if process is not None:
            process.kill()
            with process:  # closes its pipes and waits for its end
                pass
