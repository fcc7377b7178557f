"""Undo a content encoding within bounds, so that a small answer can't fill the memory. Pure."""

from __future__ import annotations

import zlib

MAX_BODY_BYTES = 5 * 1024 * 1024
_GZIP = 16 + zlib.MAX_WBITS


class BodyRefusedError(ValueError):
    """The body is not taken; the message says why in one line."""


class Decoder:
    """Takes the raw pieces of one body and keeps the decoded bytes, at most MAX_BODY_BYTES, in `body`."""

    def __init__(self, encoding: str | None) -> None:
        name = (encoding or "identity").strip().lower()
        if name not in {"identity", "gzip", "x-gzip"}:
            raise BodyRefusedError(f"content encoding {name[:40]!r} was not asked for")
        self.body = bytearray()
        self._gzip = None if name == "identity" else zlib.decompressobj(_GZIP)

    def feed(self, piece: bytes) -> None:
        """Take the next raw piece. Raises BodyRefusedError where the body is too large or damaged."""
        room = MAX_BODY_BYTES - len(self.body)
        if self._gzip is None:
            self.body += piece[: room + 1]
        else:
            try:
                self.body += self._gzip.decompress(piece, room + 1)
            except zlib.error:
                raise BodyRefusedError("damaged gzip") from None
        if len(self.body) > MAX_BODY_BYTES:
            del self.body[MAX_BODY_BYTES:]
            raise BodyRefusedError(f"body larger than {MAX_BODY_BYTES // 1024**2} MiB")

    def finish(self) -> None:
        """Check that the body came to its end."""
        if self._gzip is not None and not self._gzip.eof and (self.body or self._gzip.unconsumed_tail):
            raise BodyRefusedError("gzip cut before its end")
