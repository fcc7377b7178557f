"""The members of a zip or a compressed file, one at a time. Nothing in the file is trusted."""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO

from endpoint_history.io import signatures
from endpoint_history.sources.files.compression import decompressed

MAX_MEMBERS = 1_000_000
TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tbz", ".tar.xz", ".txz")
TOO_MANY = f"more than {MAX_MEMBERS:,} members; the rest is not read"
PIECE = 2**16
_ENCRYPTED = 1
_MAX_DIRECTORY = 32 * 2**20  # of a zip, which is held as a whole, at ten times its size
_TOO_LARGE = f"a zip whose directory is larger than {_MAX_DIRECTORY // 2**20} MiB; repack it as a tar"
WITHIN = "an archive within an archive, which is not opened"
TAR_SIGN = slice(257, 262)
_END_OF_DIRECTORY = b"PK\x05\x06"


@dataclass(frozen=True, slots=True)
class Member:
    """A file in a container, or the file itself with the name "".

    Read `pieces`, its content, before the next member; they raise ValueError, with the reason, where it is damaged.
    `reason`: why the whole member can't be read. `modified` is aware.
    """

    name: str
    pieces: Iterable[bytes] = ()
    modified: datetime | None = None
    reason: str | None = None


def in_pieces(file: BinaryIO | IO[bytes]) -> Iterator[bytes]:
    """Yield the rest of a file."""
    return iter(partial(file.read, PIECE), b"")


def unpack(member: Member) -> Member:
    """Return a member decompressed. A container in a container is refused."""
    if member.reason:
        return member
    if member.name.lower().endswith((".zip", *TAR_SUFFIXES)):
        return replace(member, pieces=(), reason=WITHIN)
    return replace(member, pieces=_no_archive(decompressed(member.pieces), is_within=bool(member.name)))


def _no_archive(pieces: Iterator[bytes], *, is_within: bool) -> Iterator[bytes]:
    """Yield the pieces. Raises ValueError if they begin like an archive whose name is not that of one."""
    first = b""
    try:
        while len(first) < TAR_SIGN.stop and (piece := next(pieces, None)) is not None:
            first += piece
    except ValueError:
        yield first
        raise
    for kind, is_one in (("zip", first.startswith(signatures.ZIP)), ("tar", first[TAR_SIGN] == b"ustar")):
        if is_one and is_within:
            raise ValueError(WITHIN)
        if is_one:
            raise ValueError(f"a {kind} archive: save it as a file whose name ends in .{kind}")
    yield first
    yield from pieces


def escapes(name: str) -> bool:
    """Return whether a member's path leads out of its archive: no tool makes such a path by accident."""
    path = PurePosixPath(name.replace("\\", "/"))
    return path.is_absolute() or ".." in path.parts or name[1:2] == ":"


def zip_members(path: Path) -> Iterator[Member]:
    """Yield the files of a zip. Raises OSError."""
    with path.open("rb") as file:
        if _directory_bytes(file) > _MAX_DIRECTORY:
            yield Member("", reason=_TOO_LARGE)
            return
        try:
            archive = zipfile.ZipFile(file)
            listed = archive.infolist()
        except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            yield Member("", reason=f"damaged zip ({error}); zip -FF may repair it")
            return
        if len(listed) > MAX_MEMBERS:
            yield Member("", reason=TOO_MANY)
        for info in listed[:MAX_MEMBERS]:
            if not info.is_dir():
                yield _zip_member(info, partial(archive.open, info))


def _directory_bytes(file: BinaryIO) -> int:
    """Return the size of a zip's directory, in bytes, as the zip states it."""
    size = file.seek(0, 2)
    file.seek(max(0, size - 2**16))
    _, found, end = file.read().rpartition(_END_OF_DIRECTORY)
    file.seek(0)
    return int.from_bytes(end[8:12], "little") if found else 0


def _zip_member(info: zipfile.ZipInfo, opened: Callable[[], IO[bytes]]) -> Member:
    """Return one member; `opened` opens its content."""
    reason = _zip_refusal(info)
    if reason:
        return Member(info.filename, reason=reason)
    try:
        modified = datetime(*info.date_time, tzinfo=UTC)
    except ValueError:  # a zip may hold the month 0
        modified = None
    return Member(info.filename, _zip_pieces(opened, f"byte {info.header_offset}"), modified)


def _zip_pieces(opened: Callable[[], IO[bytes]], place: str) -> Iterator[bytes]:
    try:
        with opened() as stream:
            yield from in_pieces(stream)
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError) as error:
        raise ValueError(f"damaged at {place}: {str(error) or 'cut off'}") from None


def _zip_refusal(info: zipfile.ZipInfo) -> str | None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if escapes(info.filename):
        return "its path escapes the archive"
    if kind not in {0, stat.S_IFREG}:
        return "a link or a device, not a file"
    if info.flag_bits & _ENCRYPTED:
        return "encrypted"
    if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        method = f"compressed in a way that is not read here (method {info.compress_type})"
        return f"{method}: repack it as a tar, or with zip -Z deflate"
    return None
