"""Lines out of gzip that may be damaged anywhere: everything that can be had, and where it stops. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

# DuckDB's read_json refuses an object of more, unless it is told otherwise.
MAX_LINE_BYTES = 16 * 2**20
_GZIP = 31


@dataclass(frozen=True, slots=True)
class RawLine:
    """One line without its newline, or the trouble that hides it.

    `number` counts from 1, `offset` from 0 in uncompressed bytes.
    """

    number: int
    offset: int
    content: bytes
    trouble: str | None = None


def inflate(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The uncompressed bytes, in pieces, as far as they go. Raises ValueError where they are damaged.

    A piece can be a thousand times its chunk: the caller bounds the memory that hostile gzip takes.
    """
    inflater = zlib.decompressobj(_GZIP)
    for chunk in chunks:
        rest = chunk
        while rest:
            if inflater.eof:
                inflater = zlib.decompressobj(_GZIP)
            before = inflater.copy()
            try:
                piece = inflater.decompress(rest)
            except zlib.error:
                yield from _salvage(before, rest)
                raise ValueError("the compression is damaged from here on") from None
            yield piece
            rest = inflater.unused_data
    if not inflater.eof:
        raise ValueError("the file is cut off here")


def split_lines(pieces: Iterable[bytes], max_bytes: int | None = None) -> Iterator[RawLine]:
    """Every line; a ValueError of the pieces becomes the trouble of the line where it came, which is the last.

    Of a line that is longer than `max_bytes` (MAX_LINE_BYTES) no more than that is held.
    """
    max_bytes = MAX_LINE_BYTES if max_bytes is None else max_bytes
    number, offset, length, held = 1, 0, 0, bytearray()
    try:
        for piece in pieces:
            for index, segment in enumerate(piece.split(b"\n")):
                if index:
                    yield _line(number, offset, length, held, max_bytes)
                    number, offset, length, held = number + 1, offset + length + 1, 0, bytearray()
                length += len(segment)
                held += segment[: max_bytes - len(held)]
    except ValueError as damage:
        yield RawLine(number, offset, b"", str(damage))
        return
    if length:
        yield _line(number, offset, length, held, max_bytes)


def _salvage(inflater: zlib._Decompress, damaged: bytes) -> Iterator[bytes]:
    """What the bytes before the damaged one still give: zlib keeps all of a failed call to itself."""
    for index in range(len(damaged)):
        try:
            yield inflater.decompress(damaged[index : index + 1])
        except zlib.error:
            return


def _line(number: int, offset: int, length: int, held: bytearray, max_bytes: int) -> RawLine:
    trouble = f"it has {length} bytes, more than {max_bytes}" if length > max_bytes else None
    return RawLine(number, offset, bytes(held), trouble)
