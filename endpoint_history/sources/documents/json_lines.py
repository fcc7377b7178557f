"""Decide whether a file in pieces is one JSON document or JSON Lines, and split its lines. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from endpoint_history.io.gzip_lines import RawLine, split_lines
from endpoint_history.sources.documents.scan import scan

MAX_BYTES = 32 * 2**20  # of a document, or of a line
TOO_LARGE = f"larger than {MAX_BYTES // 2**20} MiB"
_MAX_PASSED = 2**28  # of a line that is too large: the lines after it are still read
_MAX_EMPTY = 1_000_000
_LONG = MAX_BYTES // 4


def whole_or_lines(pieces: Iterable[bytes]) -> Iterator[RawLine]:
    """Yield the lines of JSON Lines without empty ones, or any other file as one line with the number 0.

    A file is JSON Lines if its first line is JSON and another follows; or if some line is JSON, and the whole file is
    not, or is larger than a document may be. An unreadable line has its `trouble`; a damaged file ends with it.
    """
    kept = _Kept(pieces)
    count, is_first_json, trouble = 0, False, None
    first: RawLine | None = None  # parsed only if another follows, so that a file of one line is not parsed twice
    for line in _lines(kept):
        count += 1
        trouble = line.trouble
        if count == 1 and len(line.content) <= _LONG:
            first = line
            continue
        if first is not None:
            is_first_json = kept.has_json = _is_json(first)
            first = None
        kept.has_json = kept.has_json or _is_json(line)
        is_first_json = is_first_json or (count == 1 and kept.has_json)
        if kept.has_json and (kept.is_full or (count > 1 and is_first_json)):
            yield from _lines(kept.again())
            return
    if count > 1 and kept.has_json and not kept.is_one_document():
        yield from _lines(kept.again())
    else:
        yield RawLine(0, 0, b"", trouble) if trouble else RawLine(0, 0, bytes(kept.content))


def _lines(pieces: Iterable[bytes]) -> Iterator[RawLine]:
    return (line for line in split_lines(pieces, MAX_BYTES) if line.trouble or line.content.strip())


class _Kept:
    """The pieces of a file, and its content so far, as long as it may be one document.

    Raises ValueError if it can only be a document and is too large for one.
    """

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = _bounded(pieces)
        self._damage: ValueError | None = None
        self.content = bytearray()
        self.has_json = False  # on a line of its own

    @property
    def is_full(self) -> bool:
        return len(self.content) > MAX_BYTES

    def __iter__(self) -> Iterator[bytes]:
        try:
            for piece in self._pieces:
                self.content += piece
                self._refuse_full()
                yield piece
        except ValueError as damage:
            self._damage = damage
            raise

    def _refuse_full(self) -> None:
        if self.is_full and not self.has_json:
            raise ValueError(TOO_LARGE)

    def again(self) -> Iterator[bytes]:
        """Yield the whole file from its beginning, which is no longer kept then."""
        content, self.content = bytes(self.content), bytearray()
        yield content
        del content
        if self._damage:
            raise self._damage
        yield from self._pieces

    def is_one_document(self) -> bool:
        return not self._damage and scan(bytes(self.content)).trouble is None


def _bounded(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the pieces. Raises ValueError after too many empty lines, or in a line that is too long."""
    line_bytes = empty = 0
    for piece in pieces:
        empty = empty + piece.count(b"\n") if piece.isspace() else 0
        if empty > _MAX_EMPTY:
            raise ValueError(f"more than {_MAX_EMPTY:,} empty lines in a row; the rest is not read")
        end = piece.rfind(b"\n")
        line_bytes = line_bytes + len(piece) if end < 0 else len(piece) - end - 1
        if line_bytes > _MAX_PASSED:
            raise ValueError(f"a line {TOO_LARGE}; the rest is not read")
        yield piece


def _is_json(line: RawLine) -> bool:
    """Return whether a line is JSON by itself; an indented line is a part of something."""
    content = line.content.removeprefix(b"\xef\xbb\xbf")
    is_closed = content.startswith((b"{", b"[")) and content.rstrip().endswith((b"}", b"]"))
    return is_closed and not line.trouble and scan(content).trouble is None
