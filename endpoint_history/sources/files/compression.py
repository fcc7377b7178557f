"""Decompress files piece by piece: gzip, bzip2, xz, and zstd if Python supports it."""

from __future__ import annotations

import bz2
import lzma
import sys
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from itertools import chain
from typing import Any

from endpoint_history.io import signatures
from endpoint_history.io.gzip_lines import inflate

_PIECE = 2**20
_SMALL = 4096  # of gzip: at most 4 MiB decompressed, the most that a bomb can exceed a limit by
_MAX_LAYERS = 3


def decompressed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the decompressed content of a file, whatever its name; other content is unchanged.

    Several members or streams in one file are all read. Raises ValueError, with the place, if the content is damaged,
    cut off, or of an unsupported kind.
    """
    for _ in range(_MAX_LAYERS):
        rest = iter(pieces)
        first = next(rest, b"")
        expand = _expander(first)
        pieces = chain([first], rest)
        if expand is None:
            yield from pieces
            return
        pieces = _with_place(expand(pieces))
    raise ValueError(f"compressed more than {_MAX_LAYERS - 1} times over")


def _expander(first: bytes) -> Callable[[Iterable[bytes]], Iterator[bytes]] | None:
    if first.startswith(signatures.GZIP):
        return lambda pieces: inflate(
            piece[at : at + _SMALL] for piece in pieces for at in range(0, len(piece), _SMALL)
        )
    if first.startswith(signatures.BZIP2):
        return lambda pieces: _expanded(pieces, bz2.BZ2Decompressor)
    if first.startswith(signatures.XZ):
        return lambda pieces: _expanded(pieces, lzma.LZMADecompressor)
    if first.startswith(signatures.ZSTD):
        if sys.version_info < (3, 14):
            raise ValueError("compressed with zstd, which this Python can't read; decompress it first with zstd -d")
        return lambda pieces: _expanded(pieces, import_module("compression.zstd").ZstdDecompressor)
    return None


def _expanded(pieces: Iterable[bytes], make: Callable[[], Any]) -> Iterator[bytes]:
    """Yield the content of one stream after the other. Raises ValueError."""
    stream = make()
    for piece in pieces:
        data = piece
        while data or not (stream.eof or stream.needs_input):
            if stream.eof:
                data = data.lstrip(b"\0")  # xz may be padded
                if not data:
                    break
                stream = make()
            try:
                yield stream.decompress(data, _PIECE)
            except (OSError, lzma.LZMAError, EOFError, ValueError, MemoryError) as error:
                raise ValueError(f"the compression is damaged from here on ({error})") from None
            data = stream.unused_data if stream.eof else b""
    if not stream.eof:
        raise ValueError("the file is cut off here")


def _with_place(pieces: Iterable[bytes]) -> Iterator[bytes]:
    size = 0
    try:
        for piece in pieces:
            size += len(piece)
            yield piece
    except ValueError as damage:
        raise ValueError(f"{damage}, byte {size} of its content") from None
