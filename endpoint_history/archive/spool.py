"""The lines of a run still under way: a plain file on the local disk, locked by the process that writes it.

A killed process holds no lock any more. So a spool that was left behind can be distinguished from one that still
grows. The file is plain, because a gzip stream flushed after each line takes 13 % more, and one to be continued after a
cut far more code.
"""

from __future__ import annotations

import fcntl
import os
import threading
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Self

from endpoint_history.archive.bundle_format import encode_line
from endpoint_history.errors import HistoryError
from endpoint_history.io.gzip_lines import MAX_LINE_BYTES
from endpoint_history.io.private_files import open_private
from models.observation import Observation, Run

_CHUNK_BYTES = 1 << 20
# 13 ms for the bodies of 168 models, and 3 % less than level 6, for good.
_GZIP_LEVEL = 9


class Spool:
    """A locked spool file. Its lines are whole: what follows the last newline does not count.

    All methods raise OSError as the operating system tells it.
    """

    def __init__(self, path: Path, descriptor: int, end: int) -> None:
        self.path = path
        self._descriptor = descriptor
        self._end = end

    @classmethod
    def create(cls, path: Path) -> Self:
        """Make and lock a new spool. Raises FileExistsError where one is there."""
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            # Until the lock is held, a recovery may take the new spool for one left behind and remove it.
            if _lock(descriptor, path, fcntl.LOCK_EX):
                return cls(path, descriptor, 0)

    @classmethod
    def take_over(cls, path: Path) -> Self | None:
        """Lock a spool left behind. None where it is gone or its writer lives."""
        try:
            descriptor = os.open(path, os.O_RDWR)
            if not _lock(descriptor, path, fcntl.LOCK_EX | fcntl.LOCK_NB):
                return None
        except (FileNotFoundError, BlockingIOError):
            return None
        return cls(path, descriptor, _end_of_last_line(descriptor))

    @property
    def empty(self) -> bool:
        """Whether there is no whole line."""
        return self._end == 0

    def append(self, line: bytes) -> None:
        """Hand one line with its newline to the operating system; where that fails, nothing of it counts."""
        rest, at = memoryview(line), self._end
        while rest:
            written = os.pwrite(self._descriptor, rest, at)
            rest, at = rest[written:], at + written
        self._end = at

    def sync(self) -> None:
        """Wait until the lines are on the disk."""
        os.fsync(self._descriptor)

    def lines(self) -> Iterator[bytes]:
        """The bytes of all whole lines, in pieces."""
        for start in range(0, self._end, _CHUNK_BYTES):
            yield os.pread(self._descriptor, min(_CHUNK_BYTES, self._end - start), start)

    def compress(self, target: Path) -> None:
        """Write the lines gzipped to `target` and wait until they are on the disk; equal lines give equal bytes."""
        gzip = zlib.compressobj(_GZIP_LEVEL, wbits=31)
        with open(target, "wb", opener=open_private) as file:
            file.writelines(gzip.compress(piece) for piece in self.lines())
            file.write(gzip.flush())
            file.flush()
            os.fsync(file.fileno())

    def remove(self) -> None:
        """Remove the file; the lock stays until the spool is closed."""
        self.path.unlink()

    def close(self) -> None:
        """Give up the lock. Nothing can be appended any more."""
        # The number may soon be that of another file, which nobody must write into who comes late.
        descriptor, self._descriptor = self._descriptor, -1
        os.close(descriptor)


class BundleWriter:
    """Takes the observations of one run. Several threads may add."""

    def __init__(self, run: Run, spool: Spool) -> None:
        self._run = run
        self._spool = spool
        self._lines = 0
        self._lock = threading.Lock()

    def add(self, observation: Observation) -> Observation:
        """Hand one observation to the operating system as a line, and give it back with its `archive_line`.

        A body too long for a line is left out, and the error of what comes back says so. Raises HistoryError where the
        disk takes no more; what was added before is safe.
        """
        if observation.run != self._run:
            raise ValueError(f"an observation of {observation.run.name} for the bundle of {self._run.name}")
        line = encode_line(observation)
        if len(line) > MAX_LINE_BYTES:
            error = f"the body of {len(observation.body or b'')} bytes is too long for the archive"
            observation = replace(observation, error=error, body=None)
            line = encode_line(observation)
        with self._lock:
            self._append(line)
            self._lines += 1
            return replace(observation, archive_line=self._lines)

    def sync(self) -> None:
        """Wait until every line so far is on the disk, before something is stored that must not outlive it."""
        try:
            self._spool.sync()
        except OSError as error:
            raise HistoryError(f"can't write {self._spool.path}: {error.strerror}") from error

    def _append(self, line: bytes) -> None:
        try:
            self._spool.append(line)
        except OSError as error:
            raise HistoryError(f"can't write {self._spool.path}: {error.strerror}") from error


def _lock(descriptor: int, path: Path, operation: int) -> bool:
    """Lock the open file. Where that fails, or the path is another file by now (False), it is closed."""
    with ExitStack() as closing:
        closing.callback(os.close, descriptor)
        fcntl.flock(descriptor, operation)
        if not _is_at(descriptor, path):
            return False
        closing.pop_all()
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _end_of_last_line(descriptor: int) -> int:
    end = os.fstat(descriptor).st_size
    while end:
        start = max(0, end - _CHUNK_BYTES)
        newline = os.pread(descriptor, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0
