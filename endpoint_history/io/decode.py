"""Undo content encodings within bounds, so that a small answer can't fill the memory. Pure.

Decoded are gzip with any number of members, deflate, and several of them on top of each other, named or not. Whatever
else a body is encoded with fails by its name. A body is never cut silently: it is whole, or it is an error.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence

from endpoint_history.io import signatures

MAX_BODY_BYTES = 5 * 1024 * 1024
_MAX_LAYERS = 4
_MAX_MEMBERS = 10_000  # a body of 5 MiB in blocks of 64 KiB has 80
_STEP_BYTES = 16 * 1024  # a body of many tiny members must not be copied once for each
_GZIP_WBITS = 16 + zlib.MAX_WBITS
_GZIP_NAMES = {"gzip", "x-gzip"}
_DEFLATE_NAMES = {"deflate", "x-deflate"}
# Many servers put the character set into Content-Encoding; the body is then not encoded.
_PLAIN_NAMES = {"", "identity", "none", "utf-8", "utf8"}


class BodyRefusedError(ValueError):
    """The body is not taken; the message says why in one line."""


class BodyTooLargeError(BodyRefusedError):
    """The body is larger than MAX_BODY_BYTES, compressed or not. What came of it is of no use."""


class Decoder:
    """Takes the raw pieces of one body and keeps the decoded bytes, at most MAX_BODY_BYTES, in `body`.

    `encoding` is the value of the Content-Encoding header. A body that is gzip although no header says so is decoded,
    too: no JSON begins like that. Raises BodyRefusedError for an encoding that is not supported.
    """

    def __init__(self, encoding: str | None = None) -> None:
        names = [name.strip().lower() for name in (encoding or "").split(",")]
        coded = [name for name in names if name not in _PLAIN_NAMES]
        for name in coded:
            if name not in _GZIP_NAMES | _DEFLATE_NAMES:
                raise BodyRefusedError(f"content encoding {name[:40]!a} is not supported")
        if len(coded) > _MAX_LAYERS:
            raise BodyRefusedError(f"more than {_MAX_LAYERS} content encodings")
        self.body = bytearray()
        self._layers = [_layer(name) for name in reversed(coded)]
        self._raw_bytes = 0

    def feed(self, piece: bytes) -> None:
        """Take the next raw piece. Raises BodyRefusedError if the body is too large or damaged."""
        self._raw_bytes += len(piece)
        if self._layers and self._raw_bytes > MAX_BODY_BYTES:
            raise _too_large()
        self._keep(self._layers, piece)
        while self.body.startswith(signatures.GZIP):
            if len(self._layers) == _MAX_LAYERS:
                raise BodyRefusedError(f"more than {_MAX_LAYERS} content encodings")
            self._layers.append(_Gzip())
            encoded, self.body = bytes(self.body), bytearray()
            self._keep(self._layers[-1:], encoded)

    def finish(self) -> None:
        """Check that the body is complete. Raises BodyRefusedError if it is not."""
        for layer in self._layers:
            layer.finish()
        if self.body.startswith(signatures.ZSTD):
            raise BodyRefusedError("content encoding 'zstd' is not supported")

    def _keep(self, layers: Sequence[_Gzip | _Deflate], piece: bytes) -> None:
        """Keep what these layers make of it, as far as it comes."""
        if layers:
            for part in layers[0].decode(piece):
                self._keep(layers[1:], part)
            return
        room = MAX_BODY_BYTES - len(self.body)
        self.body += piece[:room]
        if len(piece) > room:
            raise _too_large()


class _Gzip:
    """One or more gzip members, one after the other. NUL bytes after a member are padding, as for gzip's own tools."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP_WBITS)
        self._is_begun = False
        self._members = 0
        self._room = MAX_BODY_BYTES

    def decode(self, piece: bytes) -> Iterator[bytes]:
        """The decoded bytes of the next piece. Raises BodyRefusedError after the last ones that can be had."""
        for start in range(0, len(piece), _STEP_BYTES):
            rest = piece[start : start + _STEP_BYTES]
            while rest := rest if self._is_begun else self._begin(rest):
                decoded = _decompressed(self._member, rest, self._room + 1, "gzip")
                self._room -= len(decoded)
                yield decoded
                rest = self._member.unused_data
                self._is_begun = not self._member.eof

    def _begin(self, piece: bytes) -> bytes:
        """The first bytes of a member; none if there is only padding."""
        if self._members:
            piece = piece.lstrip(b"\0")
            if not signatures.GZIP.startswith(piece[:1]):
                raise BodyRefusedError("bytes after the end of the gzip body")
        if piece:
            self._member = zlib.decompressobj(_GZIP_WBITS)
            self._is_begun = True
            self._members += 1
            if self._members > _MAX_MEMBERS:
                raise BodyRefusedError(f"more than {_MAX_MEMBERS} gzip members")
        return piece

    def finish(self) -> None:
        if self._is_begun:
            raise BodyRefusedError("gzip cut before its end")


class _Deflate:
    """Deflate with zlib's header as the standard wants it, or without as some servers send it."""

    def __init__(self) -> None:
        self._head = b""
        self._stream: zlib._Decompress | None = None
        self._room = MAX_BODY_BYTES

    def decode(self, piece: bytes) -> Iterator[bytes]:
        """The decoded bytes of the next piece. Raises BodyRefusedError after the last ones that can be had."""
        if self._stream is None:
            self._head += piece
            if len(self._head) < 2:  # noqa: PLR2004 - the length of zlib's header
                return
            piece, self._head = self._head, b""
            self._stream = zlib.decompressobj(zlib.MAX_WBITS if _is_zlib(piece) else -zlib.MAX_WBITS)
        if not self._stream.eof:
            decoded = _decompressed(self._stream, piece, self._room + 1, "deflate")
            self._room -= len(decoded)
            yield decoded
            piece = self._stream.unused_data
        if self._stream.eof and piece.strip(b"\0"):
            raise BodyRefusedError("bytes after the end of the deflate body")

    def finish(self) -> None:
        if self._head or (self._stream and not self._stream.eof):
            raise BodyRefusedError("deflate cut before its end")


def _layer(name: str) -> _Gzip | _Deflate:
    return _Gzip() if name in _GZIP_NAMES else _Deflate()


def _decompressed(stream: zlib._Decompress, piece: bytes, most: int, name: str) -> bytes:
    try:
        decoded = stream.decompress(piece, most)
    except zlib.error:
        raise BodyRefusedError(f"damaged {name}") from None
    if len(decoded) == most:
        raise _too_large()
    return decoded


def _is_zlib(head: bytes) -> bool:
    method, window = head[0] & 0x0F, head[0] >> 4
    return method == 8 and window <= 7 and int.from_bytes(head[:2]) % 31 == 0  # noqa: PLR2004 - RFC 1950


def _too_large() -> BodyTooLargeError:
    return BodyTooLargeError(f"body larger than {MAX_BODY_BYTES // 1024**2} MiB")
