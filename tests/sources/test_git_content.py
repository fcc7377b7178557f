"""Blobs of a git repository that are compressed, or only stand for something else."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from endpoint_history.sources.git.blobs import BlobError
from endpoint_history.sources.git.content import read_content
from tests.sources.test_git import BODY, GIT, Repo, found, opened, priced, refused, repo

__all__ = ["repo"]
pytestmark = pytest.mark.skipif(not GIT, reason="git is not installed")

PACKERS: list[Callable[[bytes], bytes]] = [gzip.compress, lzma.compress, bz2.compress]
NOWHERE = Path("/nowhere")


def a_pointer(content: bytes) -> bytes:
    """A Git LFS pointer to this content."""
    digest = hashlib.sha256(content).hexdigest()
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {len(content)}\n".encode()


def a_zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.json", priced(1))
    return file.getvalue()


def a_tar() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        info = tarfile.TarInfo("a.json")
        info.size = len(priced(1))
        archive.addfile(info, io.BytesIO(priced(1)))
    return file.getvalue()


@pytest.mark.parametrize("pack", PACKERS)
@pytest.mark.parametrize("name", ["swift.json.packed", "swift.json"])
def test_a_compressed_blob_is_read_whatever_its_name(repo: Repo, pack: Callable[[bytes], bytes], name: str) -> None:
    repo.save(pack(priced(1)), name)
    assert [item.body for item in found(opened(repo, name))] == [priced(1)]


@pytest.mark.parametrize("pack", PACKERS)
def test_all_members_of_a_compressed_blob_are_read(pack: Callable[[bytes], bytes]) -> None:
    assert read_content(pack(b"one\n") + pack(b"two\n"), NOWHERE) == b"one\ntwo\n"


@pytest.mark.parametrize("pack", PACKERS)
def test_a_compressed_blob_that_is_cut_off_or_too_large_is_refused(pack: Callable[[bytes], bytes]) -> None:
    with pytest.raises(BlobError, match=r"cut off here, byte [0-9]+ of its content$"):
        read_content(pack(priced(1))[:-12], NOWHERE)
    with pytest.raises(BlobError, match=r"^compressed, and its content is larger than 64 MiB$"):
        read_content(pack(bytes(64 * 2**20 + 1)), NOWHERE)


@pytest.mark.parametrize("pack", PACKERS)
def test_a_blob_that_is_compressed_twice_is_read_as_files_are(pack: Callable[[bytes], bytes]) -> None:
    assert read_content(pack(pack(priced(1))), NOWHERE) == priced(1)
    with pytest.raises(BlobError, match="compressed more than 2 times over"):
        read_content(pack(pack(pack(priced(1)))), NOWHERE)


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="this Python reads zstd")
def test_zstd_is_named_as_in_files() -> None:
    with pytest.raises(BlobError, match=r"^compressed with zstd, which this Python can't read; decompress it"):
        read_content(b"\x28\xb5\x2f\xfdabc", NOWHERE)


def test_an_lfs_pointer_is_named_until_its_content_is_fetched(repo: Repo) -> None:
    repo.save(a_pointer(priced(1)))
    assert refused(opened(repo)) == [
        "a Git LFS pointer, not the file itself: run git lfs fetch --all in the repository, then this again"
    ]
    digest = hashlib.sha256(priced(1)).hexdigest()
    stored = repo.folder / ".git/lfs/objects" / digest[:2] / digest[2:4] / digest
    stored.parent.mkdir(parents=True)
    stored.write_bytes(priced(1))
    assert [item.body for item in found(opened(repo))] == [priced(1)]
    stored.write_bytes(priced(2))
    assert "its content in this clone is damaged" in refused(opened(repo))[0]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid md5:1\n", "a damaged Git LFS pointer"),
        (b"/annex/objects/SHA256E-s12--ab.json\n", "a git-annex pointer, not the file itself: run git annex get"),
        (b"\0GITCRYPT\0abc", "encrypted with git-crypt: unlock a clone"),
        (a_zip(), "a zip archive: save it as a file (git show COMMIT:PATH > FILE)"),
        (a_tar(), "a tar archive: save it as a file"),
        (gzip.compress(a_tar()), "a tar archive: save it as a file"),
        (b"SQLite format 3\0abc", "an SQLite database, not a saved body"),
        (b"PAR1abc", "a Parquet file, not a saved body"),
    ],
)
def test_what_only_stands_for_a_body_is_named_with_what_to_do(content: bytes, what: str) -> None:
    with pytest.raises(BlobError) as raised:
        read_content(content, NOWHERE)
    assert str(raised.value).startswith(what)


def test_a_link_into_git_annex_is_named(repo: Repo) -> None:
    (repo.folder / BODY).symlink_to(".git/annex/objects/aa/bb/KEY/KEY")
    repo.commit()
    assert refused(opened(repo))[0].startswith("a git-annex link, not the file itself: run git annex get")


def test_attributes_change_nothing_that_is_read(repo: Repo) -> None:
    repo.write(".gitattributes", b"*.json export-ignore export-subst text eol=crlf ident diff=none\n")
    repo.save(priced(1) + b"\n")
    assert [item.body for item in found(opened(repo))] == [priced(1) + b"\n"]
