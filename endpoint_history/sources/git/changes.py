"""The changes that `git log` lists, in order: the paths to which each commit gave new content."""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import IO, NamedTuple

_CHUNK_BYTES = 2**16
_GONE = b"000000"


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit; its times are in seconds since 1970 in UTC, None if the commit's own text has none.

    `is_cut` is True for the first commit of a shallow clone: git shows all files as changed by it.
    """

    id: str
    authored_s: int | None
    committed_s: int | None
    is_cut: bool


@dataclass(frozen=True, slots=True)
class Change:
    """A path that a commit gave new content: `path` from the repository's root, `mode` as git writes it (100644).

    `earlier` are the blobs that the commit's parents have at this path. `is_moved` is True if the same content was at
    another path before, which the same commit removed or overwrote: a rename, or a copy before a rewrite.
    """

    commit: Commit
    path: bytes
    mode: bytes
    blob: str
    earlier: tuple[str, ...] = ()
    is_moved: bool = False


class _Entry(NamedTuple):
    """One line of `git log --raw`: `earlier` and `blob` without those of nothing."""

    commit: Commit
    path: bytes
    mode: bytes
    blob: str
    earlier: tuple[str, ...]

    @property
    def is_change(self) -> bool:
        """True if the path has content now that it had in none of the parents."""
        return self.mode != _GONE and self.blob not in self.earlier


class ChangeList:
    """The changes that `git log` listed, on disk while this object lives, so that memory does not grow with them.

    `asked` is the file of the changes at the requested paths, `full` of all changes of the same commits.
    """

    def __init__(self, cuts: frozenset[str]) -> None:
        self.asked = tempfile.TemporaryFile()  # noqa: SIM115 - closed with this object
        self.full = tempfile.TemporaryFile()  # noqa: SIM115 - closed with this object
        self._cuts = cuts
        for file in (self.asked, self.full):
            weakref.finalize(self, file.close)

    def commits(self) -> Iterator[tuple[Commit, int]]:
        """Yield each commit with the number of its changes: much faster than iterating over the changes."""
        for commit, entries in groupby(_entries(self.asked, self._cuts), key=lambda entry: entry.commit):
            if count := sum(1 for entry in entries if entry.is_change):
                yield commit, count

    def __iter__(self) -> Iterator[Change]:
        overwritten = self._overwritten()
        for commit, entries in groupby(_entries(self.asked, self._cuts), key=lambda entry: entry.commit):
            moved = next((blobs for of, blobs in overwritten if of == commit.id), frozenset[str]())
            for entry in entries:
                if entry.is_change:
                    yield Change(*entry, is_moved=entry.blob in moved)

    def _overwritten(self) -> Iterator[tuple[str, frozenset[str]]]:
        """Yield the blobs that each commit removed or replaced, with the commit's id."""
        for commit, entries in groupby(_entries(self.full, self._cuts), key=lambda entry: entry.commit):
            yield commit.id, frozenset(blob for entry in entries for blob in entry.earlier if blob != entry.blob)


def _entries(file: IO[bytes], cuts: frozenset[str]) -> Iterator[_Entry]:
    tokens = _tokens(file)
    commit = None
    for token in tokens:
        token = token.removeprefix(b"\n")  # noqa: PLW2901 - git ends the line of a commit before its changes
        if token.startswith(b"commit "):
            commit_id, authored, committed = token.decode("ascii").removeprefix("commit ").split(" ")
            commit = Commit(commit_id, _seconds(authored), _seconds(committed), commit_id in cuts)
        elif token.startswith(b":") and commit is not None:
            yield _entry(commit, token, next(tokens))


def _tokens(file: IO[bytes]) -> Iterator[bytes]:
    rest, offset = b"", 0
    while chunk := os.pread(file.fileno(), _CHUNK_BYTES, offset):
        offset += len(chunk)
        *whole, rest = (rest + chunk).split(b"\0")
        yield from whole


def _entry(commit: Commit, token: bytes, path: bytes) -> _Entry:
    """A line such as `:100644 100644 blob blob M`, with more modes and blobs before these for a merge."""
    parents = len(token) - len(token.lstrip(b":"))
    fields = token[parents:].decode("ascii").split()
    modes, blobs = fields[: parents + 1], fields[parents + 1 : -1]
    earlier = tuple(blob for mode, blob in zip(modes, blobs, strict=True) if mode != "000000")
    if modes[-1] != "000000":
        earlier = earlier[:-1]
    return _Entry(commit, path, modes[-1].encode(), blobs[-1], earlier)


def _seconds(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None
