"""The one place that writes to a terminal: nothing that strangers wrote reaches it raw, and no reader can break it."""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, TextIO

from endpoint_history.text import printable

_NOBODY_READS: Final = 141  # what a shell reports for a program that a closed pipe ended: 128 + SIGPIPE
_CANNOT_WRITE: Final = 1
_STDOUT, _STDERR = 1, 2


def show(line: str = "", end: str = "\n", *, flush: bool = False) -> None:
    """Write one line to standard output; line ends within it are replaced as other control characters are."""
    if sys.stdout:
        sys.stdout.write(printable(line) + end)
    if sys.stdout and flush:
        sys.stdout.flush()


def show_text(text: str) -> None:
    """Write text of several lines, such as CSV, to standard output."""
    for line in text.splitlines(keepends=True):
        body = line.removesuffix("\n")
        show(body, line[len(body) :])


def show_note(line: str) -> None:
    """Write one line about the work, such as an error, to standard error: never what was asked for."""
    if sys.stderr:
        sys.stderr.write(printable(line) + "\n")


@contextmanager
def safe_output(command: str) -> Iterator[None]:
    """Let the output of a command go anywhere, whoever writes it, and end the command without a traceback.

    What an encoding lacks is replaced. A closed stream takes nothing. If nobody reads standard output any more, the
    command ends with 141; if it can't be written, with 1 and one line that says why. Messages that standard error does
    not take are dropped: they must not stop the work.
    """
    _open_missing_streams()
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _wrapped(sys.stdout, _Output(command)), _wrapped(sys.stderr, _Messages())
    try:
        yield
    finally:
        try:
            sys.stdout.flush()
        finally:
            sys.stderr.flush()
            sys.stdout, sys.stderr = before


class _Stream(io.FileIO):
    """A standard stream of the process, which stays open when this is gone."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "w", closefd=False)

    def write(self, content: Any, /) -> int:
        written: int | None = None
        try:
            while (written := super().write(content)) is None:  # somebody made it non-blocking, and its reader is slow
                select.select([], [self], [])
        except OSError as error:
            with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - what is still buffered must not fail again
                os.dup2(nowhere.fileno(), self.fileno())
            self._give_up(error)
        return len(content) if written is None else written

    def _give_up(self, error: OSError) -> None:
        """Go on without it."""


class _Output(_Stream):
    def __init__(self, command: str) -> None:
        super().__init__(_STDOUT)
        self._command = command

    def _give_up(self, error: OSError) -> None:
        if error.errno == errno.EPIPE:
            raise SystemExit(_NOBODY_READS)
        show_note(f"{self._command}: can't write the output: {error.strerror}")
        raise SystemExit(_CANNOT_WRITE)


class _Messages(_Stream):
    def __init__(self) -> None:
        super().__init__(_STDERR)


def _open_missing_streams() -> None:
    """Give standard streams that are closed to nobody, or the next file to be opened would take their place."""
    for descriptor in (0, _STDOUT, _STDERR):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free


def _wrapped(stream: TextIO | None, raw: _Stream) -> io.TextIOWrapper:
    encoding = stream.encoding if stream else "utf-8"
    line_by_line = raw.isatty() or isinstance(raw, _Messages)
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding, errors="replace", line_buffering=line_by_line)
