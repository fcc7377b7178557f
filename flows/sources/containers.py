"""The files within a file: zip, tar and gzip, opened without trust and one member at a time."""

from __future__ import annotations

import io
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO

from flows.gzip_lines import inflate

MAX_BYTES = 32 * 2**20
MAX_MEMBERS = 1_000_000
TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
TOO_LARGE = f"larger than {MAX_BYTES // 2**20} MiB"
TOO_MANY = f"more than {MAX_MEMBERS:,} members; the rest is not read"
_GZIP_CHUNK = 4096  # gives at most 4 MiB of content, which is all that a bomb gets beyond the limit
_ENCRYPTED = 1


@dataclass(frozen=True, slots=True)
class Member:
    """A file within a file, or the file itself under the name "".

    `reason` says why it can't be read; with content, why nothing more of it can. `modified` is aware.
    """

    name: str
    content: bytes = b""
    modified: datetime | None = None
    reason: str | None = None


def gunzip(file: BinaryIO, name: str, modified: datetime | None) -> Member:
    """What one gzip file holds, as far as it goes and fits."""
    content = bytearray()
    try:
        for piece in inflate(iter(partial(file.read, _GZIP_CHUNK), b"")):
            content += piece
            if len(content) > MAX_BYTES:
                return Member(name, reason=TOO_LARGE)
    except ValueError as damage:
        return Member(name, bytes(content), modified, f"{damage}, byte {len(content)} of its content")
    return Member(name, bytes(content), modified)


def unpack(member: Member) -> Member:
    """A member with the gzip around it taken off; other containers within a container are refused."""
    lower = member.name.lower()
    if member.reason:
        return member
    if lower.endswith((".zip", *TAR_SUFFIXES)):
        return replace(member, content=b"", reason="an archive within an archive, which is not opened")
    if lower.endswith(".gz"):
        return gunzip(io.BytesIO(member.content), member.name, member.modified)
    return member


def escapes(name: str) -> bool:
    """Whether a member's path leads out of its archive: nobody packs such a path by accident."""
    path = PurePosixPath(name.replace("\\", "/"))
    return path.is_absolute() or ".." in path.parts or name[1:2] == ":"


def zip_members(path: Path) -> Iterator[Member]:
    """The files in a zip; where its directory is lost, those that can be found without it. Raises OSError."""
    with path.open("rb") as file:
        try:
            archive = zipfile.ZipFile(file)
            listed = archive.infolist()
        except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            yield from _without_directory(file, str(error))
            return
        if len(listed) > MAX_MEMBERS:
            yield Member("", reason=TOO_MANY)
        for info in listed[:MAX_MEMBERS]:
            if not info.is_dir():
                yield _zip_member(info, partial(archive.open, info))


def _zip_member(info: zipfile.ZipInfo, opened: Callable[[], IO[bytes]]) -> Member:
    """One member; `opened` gives its content."""
    name, place = info.filename, f"byte {info.header_offset}"
    reason = _zip_refusal(info)
    if reason:
        return Member(name, reason=reason)
    try:
        with opened() as stream:
            content = stream.read(MAX_BYTES + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError) as error:
        return Member(name, reason=f"damaged at {place}: {str(error) or 'cut off'}")
    if len(content) > MAX_BYTES:
        return Member(name, reason=TOO_LARGE)
    try:
        modified = datetime(*info.date_time, tzinfo=UTC)
    except ValueError:  # a zip may hold the month 0
        modified = None
    return Member(name, content, modified)


def _zip_refusal(info: zipfile.ZipInfo) -> str | None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if escapes(info.filename):
        return "its path escapes the archive"
    if kind not in {0, stat.S_IFREG}:
        return "a link or a device, not a file"
    if info.flag_bits & _ENCRYPTED:
        return "encrypted"
    if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        return f"compressed in a way that is not read here (method {info.compress_type})"
    return TOO_LARGE if info.file_size > MAX_BYTES else None


def _without_directory(file: BinaryIO, trouble: str) -> Iterator[Member]:
    """The members of a zip that is cut off, one after the other from its beginning."""
    at = 0
    for _ in range(MAX_MEMBERS):
        found = _local_header(file, at)
        if not found or found[0].compress_size > MAX_BYTES:
            break
        info, start = found
        file.seek(start)
        data = file.read(info.compress_size)
        if len(data) < info.compress_size:
            break
        at = start + info.compress_size
        if not info.is_dir():
            yield _zip_member(info, partial(_content, info, data))
    yield Member("", reason=f"damaged zip ({trouble}): nothing can be read from byte {at} on")


def _local_header(file: BinaryIO, at: int) -> tuple[zipfile.ZipInfo, int] | None:
    """What stands before a member's data, and where the data starts; None where it does not tell the data's length."""
    file.seek(at)
    header = file.read(30)
    sizes_follow_the_data = 8
    if len(header) < 30 or header[:4] != b"PK\x03\x04":  # noqa: PLR2004 - the form of a zip
        return None
    flags, method, time, date = (int.from_bytes(header[i : i + 2], "little") for i in (6, 8, 10, 12))
    crc, packed, size = (int.from_bytes(header[i : i + 4], "little") for i in (14, 18, 22))
    name_length, extra_length = (int.from_bytes(header[i : i + 2], "little") for i in (26, 28))
    if flags & sizes_follow_the_data:
        return None
    name = file.read(name_length).decode("utf-8" if flags & 0x800 else "cp437", "replace")
    moment = (1980 + (date >> 9), date >> 5 & 15, date & 31, time >> 11, time >> 5 & 63, time % 32 * 2)
    info = zipfile.ZipInfo(name, moment)
    info.flag_bits, info.compress_type, info.header_offset = flags, method, at
    info.CRC, info.compress_size, info.file_size = crc, packed, size
    return info, at + 30 + name_length + extra_length


def _content(info: zipfile.ZipInfo, data: bytes) -> BinaryIO:
    if info.compress_type == zipfile.ZIP_DEFLATED:
        data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, MAX_BYTES + 1)
    if zlib.crc32(data) != info.CRC:
        raise ValueError("its checksum is wrong")
    return io.BytesIO(data)
