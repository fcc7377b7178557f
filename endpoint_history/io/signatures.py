"""The bytes that compressed formats begin with. Pure."""

from __future__ import annotations

from typing import Final

GZIP: Final = b"\x1f\x8b"
ZIP: Final = b"PK\x03\x04"
BZIP2: Final = b"BZh"
XZ: Final = b"\xfd7zXZ\x00"
ZSTD: Final = b"\x28\xb5\x2f\xfd"

_NAMES: Final = {GZIP: "gzip", ZIP: "zip", BZIP2: "bzip2", XZ: "xz", ZSTD: "zstd"}


def compression_of(content: bytes) -> str | None:
    """Return the name of the compressed format that the bytes begin with, None for any other content."""
    return next((name for signature, name in _NAMES.items() if content.startswith(signature)), None)
