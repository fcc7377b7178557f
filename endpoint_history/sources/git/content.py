"""The content of a blob: decompressed, and refused if the blob is only a pointer to something else."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from endpoint_history.io import signatures
from endpoint_history.sources.documents.classify import LFS_POINTER, LFS_SIGN
from endpoint_history.sources.files.compression import decompressed
from endpoint_history.sources.files.containers import TAR_SIGN
from endpoint_history.sources.git.blobs import MAX_BLOB_BYTES, BlobError

_LFS_OBJECT = re.compile(rb"^oid sha256:([0-9a-f]{64})$", re.MULTILINE)
_MAX_POINTER_BYTES = 1024
_ANNEX = b"/annex/objects/"
_TOO_LARGE = f"larger than {MAX_BLOB_BYTES // 2**20} MiB"

_FROM_FILES = "save it as a file (git show COMMIT:PATH > FILE) and load that with backfill files"
# By their first bytes, whatever the file is called.
_NAMED = {
    signatures.ZIP: f"a zip archive: {_FROM_FILES}",
    b"\0GITCRYPT\0": "encrypted with git-crypt: unlock a clone, and load its files with backfill files",
    b"-----BEGIN PGP MESSAGE": "encrypted with PGP",
    b"SQLite format 3\0": "an SQLite database, not a saved body",
    b"PAR1": "a Parquet file, not a saved body",
}


def read_content(blob: bytes, lfs_objects: Path) -> bytes:
    """Return the content of a blob, decompressed; of a Git LFS pointer, that of its object.

    `lfs_objects` is the folder of the LFS objects in this clone. Raises BlobError, with what the blob is and what to
    do, if it can't be a saved body.
    """
    content = _unpacked(_lfs_object(blob, lfs_objects) if LFS_SIGN.match(blob) else blob)
    if content.startswith(_ANNEX) and len(content) <= _MAX_POINTER_BYTES:
        raise BlobError(
            "a git-annex pointer, not the file itself: run git annex get, and load the files with backfill files"
        )
    for sign, what in _NAMED.items():
        if content.startswith(sign):
            raise BlobError(what)
    if content[TAR_SIGN] == b"ustar":
        raise BlobError(f"a tar archive: {_FROM_FILES}")
    return content


def named_link(target: bytes) -> str:
    """Return the reason to refuse a symbolic link with this target."""
    if _ANNEX in target or b"\\annex\\objects\\" in target:
        return "a git-annex link, not the file itself: run git annex get, and load the files with backfill files"
    return "a symbolic link, not a file: name the path of the file that it leads to"


def _lfs_object(pointer: bytes, folder: Path) -> bytes:
    """Return the object of an LFS pointer, if `git lfs fetch` has downloaded it."""
    named = _LFS_OBJECT.search(pointer[:_MAX_POINTER_BYTES])
    if named is None:
        raise BlobError("a damaged Git LFS pointer")
    digest = named[1].decode()
    try:
        with (folder / digest[:2] / digest[2:4] / digest).open("rb") as file:
            content = file.read(MAX_BLOB_BYTES + 1)
    except FileNotFoundError:
        raise BlobError(f"{LFS_POINTER}: run git lfs fetch --all in the repository, then this again") from None
    except OSError as error:
        raise BlobError(f"a Git LFS pointer, and its content can't be read: {error.strerror or error}") from None
    if len(content) > MAX_BLOB_BYTES:
        raise BlobError(f"a Git LFS object {_TOO_LARGE}")
    if hashlib.sha256(content).hexdigest() != digest:
        raise BlobError("a Git LFS pointer, and its content in this clone is damaged: run git lfs fetch --all")
    return content


def _unpacked(blob: bytes) -> bytes:
    """Decompress a whole blob if its first bytes show a compression."""
    pieces: list[bytes] = []
    size = 0
    try:
        for piece in decompressed([blob]):
            pieces.append(piece)
            size += len(piece)
            if size > MAX_BLOB_BYTES:
                raise BlobError(f"compressed, and its content is {_TOO_LARGE}")
    except ValueError as error:
        raise BlobError(str(error)) from None
    return b"".join(pieces)
