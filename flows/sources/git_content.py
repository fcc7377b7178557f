"""What the content of a blob is: unpacked where it is compressed, named where it only stands for something else."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, cast

from flows.sources.git_blobs import MAX_BLOB_BYTES, UnreadableError
from flows.sources.likeness import LFS_POINTER, LFS_SIGN

_LFS_OBJECT = re.compile(rb"^oid sha256:([0-9a-f]{64})$", re.MULTILINE)
_MAX_POINTER_BYTES = 1024
_ANNEX = b"/annex/objects/"
_TOO_LARGE = f"larger than {MAX_BLOB_BYTES // 2**20} MiB"

_FROM_FILES = "save it as a file (git show COMMIT:PATH > FILE) and load that with backfill files"
# By their first bytes, whatever the file is called.
_NAMED = {
    b"PK\x03\x04": f"a zip archive: {_FROM_FILES}",
    b"\x28\xb5\x2f\xfd": "compressed with zstd, which is not read here: unpack it and load it with backfill files",
    b"\0GITCRYPT\0": "encrypted with git-crypt: unlock a clone, and load its files with backfill files",
    b"-----BEGIN PGP MESSAGE": "encrypted with PGP",
    b"SQLite format 3\0": "an SQLite database, not a saved body",
    b"PAR1": "a Parquet file, not a saved body",
}
_TAR_SIGN = slice(257, 262)


# These read all members of such a file, no more at once than they are asked for, and raise EOFError if it is cut off.
_COMPRESSED: dict[bytes, tuple[str, Callable[[IO[bytes]], IO[bytes]]]] = {
    b"\x1f\x8b": ("gzip", lambda file: cast(IO[bytes], gzip.GzipFile(fileobj=file))),
    b"\xfd7zXZ\0": ("xz", lambda file: cast(IO[bytes], lzma.LZMAFile(file))),  # noqa: SIM115 - closed by its user
    b"BZh": ("bzip2", lambda file: cast(IO[bytes], bz2.BZ2File(file))),
}


def read_content(blob: bytes, lfs_objects: Path) -> bytes:
    """Return what a blob holds: of Git LFS the object itself, of gzip, xz and bzip2 what is compressed in it.

    `lfs_objects` is the folder of the LFS objects that are in this clone. Raises UnreadableError, with what it is and
    what to do, if there is nothing to be read.
    """
    content = _unpacked(_lfs_object(blob, lfs_objects) if LFS_SIGN.match(blob) else blob)
    if content.startswith(_ANNEX) and len(content) <= _MAX_POINTER_BYTES:
        raise UnreadableError(
            "a git-annex pointer, not the file itself: run git annex get, and load the files with backfill files"
        )
    for sign, what in _NAMED.items():
        if content.startswith(sign):
            raise UnreadableError(what)
    if content[_TAR_SIGN] == b"ustar":
        raise UnreadableError(f"a tar archive: {_FROM_FILES}")
    return content


def named_link(target: bytes) -> str:
    """What a symbolic link is, by where it leads."""
    if _ANNEX in target or b"\\annex\\objects\\" in target:
        return "a git-annex link, not the file itself: run git annex get, and load the files with backfill files"
    return "a symbolic link, not a file: name the path of the file that it leads to"


def _lfs_object(pointer: bytes, folder: Path) -> bytes:
    """The object that an LFS pointer names, if `git lfs fetch` brought it."""
    named = _LFS_OBJECT.search(pointer[:_MAX_POINTER_BYTES])
    if named is None:
        raise UnreadableError("a damaged Git LFS pointer")
    digest = named[1].decode()
    try:
        with (folder / digest[:2] / digest[2:4] / digest).open("rb") as file:
            content = file.read(MAX_BLOB_BYTES + 1)
    except FileNotFoundError:
        raise UnreadableError(
            f"{LFS_POINTER}: run git lfs fetch --all in the repository, then this again"
        ) from None
    except OSError as error:
        raise UnreadableError(f"a Git LFS pointer, and its content can't be read: {error.strerror or error}") from None
    if len(content) > MAX_BLOB_BYTES:
        raise UnreadableError(f"a Git LFS object {_TOO_LARGE}")
    if hashlib.sha256(content).hexdigest() != digest:
        raise UnreadableError("a Git LFS pointer, and its content in this clone is damaged: run git lfs fetch --all")
    return content


def _unpacked(blob: bytes) -> bytes:
    """Decompress a blob once, completely, if its first bytes say how."""
    for sign, (name, opened) in _COMPRESSED.items():
        if blob.startswith(sign):
            try:
                with opened(io.BytesIO(blob)) as file:
                    content = file.read(MAX_BLOB_BYTES + 1)
            except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError) as error:
                raise UnreadableError(f"damaged {name}: {error}") from None
            if len(content) > MAX_BLOB_BYTES:
                raise UnreadableError(f"{name} whose content is {_TOO_LARGE}")
            return content
    return blob
