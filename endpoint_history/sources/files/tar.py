"""The files in a tar, plain or compressed, read once from front to back."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, cast

from endpoint_history.sources.files.compression import decompressed
from endpoint_history.sources.files.containers import MAX_MEMBERS, PIECE, TOO_MANY, Member, escapes, in_pieces

_BLOCK = 512
_MAX_SKIPPED = 2**30  # what has to be decompressed only to be thrown away
_CHUNK = 2**20
_MAX_HEADER = 2**20
_DAMAGE = (tarfile.TarError, ValueError, OverflowError)


class _Forward:
    """A file for `tarfile` that is only read forward, at most 1 MiB at once. Raises ValueError if that is not enough.

    `tarfile` reads the byte before each header again: the last byte is kept.
    """

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")
        self._at = 0
        self._held = b""
        self.last = b""

    def tell(self) -> int:
        return self._at - len(self._held)

    def _take(self, size: int) -> bytes:
        taken = bytearray()
        while len(taken) < size:
            if not self._rest:
                piece = next(self._pieces, None)
                if piece is None:
                    break
                self._rest = memoryview(piece)
            part = self._rest[: size - len(taken)]
            taken += part
            self._rest = self._rest[len(part) :]
        self._at += len(taken)
        return bytes(taken)

    def read(self, size: int) -> bytes:
        if size > _MAX_HEADER:
            raise ValueError(f"a header larger than {_MAX_HEADER // 2**20} MiB")
        held, self._held = self._held, b""
        self.last = held + self._take(size - len(held))
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
    """Yield the files of a tar, up to where it is damaged; then one member with the reason. Raises OSError."""
    with path.open("rb") as raw:
        file = _Forward(decompressed(in_pieces(raw)))
        try:
            yield from _members(file)
        except _DAMAGE as error:
            yield Member("", reason=f"damaged tar: unreadable from byte {file.tell()} of its content on ({error})")


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
        if not number:
            raise ValueError("no files in it")
        if file.last.strip(b"\0") or len(file.last) < _BLOCK:
            raise ValueError("no header where one is expected")


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
    except OverflowError as error:
        raise ValueError(str(error)) from None
