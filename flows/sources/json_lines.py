"""Whether a file that comes in pieces is one JSON document or JSON Lines, and its lines. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from flows.gzip_lines import RawLine, split_lines
from flows.sources.scan import scan

MAX_BYTES = 32 * 2**20  # of a document, or of a line
TOO_LARGE = f"larger than {MAX_BYTES // 2**20} MiB"
_MAX_PASSED = 2**28  # of a line that is too large: the lines after it are still read
_LONG = MAX_BYTES // 4


def whole_or_lines(pieces: Iterable[bytes]) -> Iterator[RawLine]:
    """The lines of JSON Lines without the empty ones, or all of any other file as one with the number 0.

    It is JSON Lines if its first line is JSON, and another follows; or if all of it is not JSON, or larger than a
    document may be, and some line is. What can't be read comes as a line with its `trouble`; a damaged file ends there.
    """
    kept = _Kept(pieces)
    lines = (line for line in split_lines(kept, MAX_BYTES) if line.trouble or line.content.strip())
    held: list[RawLine] = []
    for line in lines:
        held.append(line)
        # The common file of one line is not read twice.
        if len(held) > 1 or len(line.content) > _LONG:
            kept.has_json = kept.has_json or any(map(_is_json, held if len(held) == 2 else [line]))  # noqa: PLR2004
        is_decided = kept.content is None or (len(held) > 1 and _is_json(held[0]))
        if is_decided and kept.has_json:
            break
    else:
        if len(held) <= 1 or not kept.has_json or kept.is_one_document():
            yield _whole(kept, held)
            return
    kept.content = None
    yield from chain(held, lines)


class _Kept:
    """The pieces of a file, and its content until now for as long as it may be one document.

    Raises ValueError where nothing but a document is left, and it is too large for one.
    """

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = pieces
        self.content: bytearray | None = bytearray()
        self.has_json = False  # on a line of its own

    def __iter__(self) -> Iterator[bytes]:
        line_bytes = 0
        for piece in self._pieces:
            end = piece.rfind(b"\n")
            line_bytes = line_bytes + len(piece) if end < 0 else len(piece) - end - 1
            if line_bytes > _MAX_PASSED:
                raise ValueError(f"a line {TOO_LARGE}; the rest is not read")
            if self.content is not None:
                self.content += piece
                if len(self.content) > MAX_BYTES:
                    self.content = None
                    if not self.has_json:
                        raise ValueError(TOO_LARGE)
            yield piece

    def is_one_document(self) -> bool:
        return self.content is not None and scan(bytes(self.content)).trouble is None


def _whole(kept: _Kept, held: list[RawLine]) -> RawLine:
    trouble = held[-1].trouble if held else None
    if trouble or kept.content is None:
        return RawLine(0, 0, b"", trouble or TOO_LARGE)
    return RawLine(0, 0, bytes(kept.content))


def _is_json(line: RawLine) -> bool:
    """Whether a line is JSON of its own; lines that are set in are parts of something."""
    content = line.content.removeprefix(b"\xef\xbb\xbf")
    is_closed = content.startswith((b"{", b"[")) and content.rstrip().endswith((b"}", b"]"))
    return is_closed and not line.trouble and scan(content).trouble is None
