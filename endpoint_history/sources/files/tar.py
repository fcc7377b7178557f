"""The files within a tar, plain or compressed, read once from front to back."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, cast

from endpoint_history.sources.files.containers import MAX_MEMBERS, PIECE, TAR_SIGN, TOO_MANY, Member, escapes

_SIGNS = {b"\x1f\x8b": "gz", b"BZh": "bz2", b"\xfd7zXZ\0": "xz"}
_BLOCK = 512
_MAX_SKIPPED = 2**30  # what has to be decompressed only to be thrown away
_CHUNK = 2**20
_MAX_HEADER = 2**20
_DAMAGE = (tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, ValueError, OverflowError)


class _Forward:
    """A file that is only read forward, never much at once. Raises ValueError where that is not enough.

    `tarfile` looks one byte back before each header: that byte is kept.
    """

    def __init__(self, raw: BinaryIO) -> None:
        self._raw, self._at, self._held = raw, 0, b""
        self.last = b""

    def tell(self) -> int:
        return self._at - len(self._held)

    def read(self, size: int) -> bytes:
        if size > _MAX_HEADER:
            raise ValueError(f"a header larger than {_MAX_HEADER // 2**20} MiB")
        held, self._held = self._held, b""
        data = b"" if size <= len(held) else self._raw.read(size - len(held))
        self._at += len(data)
        self.last = held + data
        return self.last

    def seek(self, position: int) -> int:
        ahead = position - self.tell()
        if ahead == -1 and self.last:
            self._held = self.last[-1:]
            return position
        if not 0 <= ahead <= _MAX_SKIPPED:
            raise ValueError(f"what follows is {ahead} bytes away")
        while ahead:
            skipped = len(self.read(min(ahead, _CHUNK)))
            if not skipped:
                raise ValueError("cut off")
            ahead -= skipped
        return position


def tar_members(path: Path) -> Iterator[Member]:
    """The files in a tar, as far as it can be read. Raises OSError."""
    with path.open("rb") as raw, _decompressed(path.name.lower(), raw) as plain:
        file = _Forward(plain)
        try:
            yield from _members(file)
        except (*_DAMAGE, OSError) as error:
            place = f"byte {file.tell()}{'' if plain is raw else ' of its content'}"
            yield Member("", reason=f"damaged tar: nothing can be read from {place} on ({_damage(error)})")


def _damage(error: Exception) -> str:
    """What is damaged. Raises OSError again if it is the disk's: gzip and bz2 use one without a number."""
    if isinstance(error, OSError) and error.errno is not None:
        raise error
    return str(error) or "cut off"


def _decompressed(name: str, raw: BufferedReader) -> BinaryIO:
    """The tar in a file, by its first bytes, else by its name. These read no more at once than they are asked for."""
    first = raw.peek(TAR_SIGN.stop)
    is_tar = first[TAR_SIGN] == b"ustar"
    kind = next((kind for sign, kind in _SIGNS.items() if first.startswith(sign)), "" if is_tar else name)
    if kind.endswith("gz"):
        return cast(BinaryIO, gzip.GzipFile(fileobj=raw))
    if kind.endswith(("bz2", "tbz")):
        return cast(BinaryIO, bz2.BZ2File(raw))
    return cast(BinaryIO, lzma.LZMAFile(raw)) if kind.endswith("xz") else raw


def _members(file: _Forward) -> Iterator[Member]:
    with tarfile.open(fileobj=cast(BinaryIO, file), mode="r:", errorlevel=0) as tar:
        number = 0
        while info := tar.next():
            vars(tar)["members"] = []  # else they are all kept
            number += 1
            if number > MAX_MEMBERS:
                yield Member("", reason=TOO_MANY)
                return
            if not info.isdir():
                yield _member(file, info)
        if file.last.strip(b"\0") or len(file.last) < _BLOCK:
            raise ValueError("no header where one belongs")


def _member(file: _Forward, info: tarfile.TarInfo) -> Member:
    if escapes(info.name):
        return Member(info.name, reason="its path escapes the archive")
    if info.islnk():
        return Member(info.name, reason="a hard link to another member: unpack the tar and load the folder")
    if not info.isreg() or info.issparse():
        return Member(info.name, reason="a link, a device or a sparse file, not a whole file")
    try:
        modified = datetime.fromtimestamp(int(info.mtime), UTC)
    except (ValueError, OverflowError, OSError):
        modified = None
    return Member(info.name, _pieces(file, info), modified)


def _pieces(file: _Forward, info: tarfile.TarInfo) -> Iterator[bytes]:
    try:
        file.seek(info.offset_data)
        for at in range(0, info.size, PIECE):
            wanted = min(PIECE, info.size - at)
            piece = file.read(wanted)
            if len(piece) < wanted:
                raise ValueError("the file is cut off here")
            yield piece
    except (*_DAMAGE, OSError) as error:
        raise ValueError(_damage(error)) from None
