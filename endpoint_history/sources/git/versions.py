"""Find the bodies that an earlier version of a file had: a file that grows repeats them all."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from endpoint_history.sources.documents.shapes import Document
from endpoint_history.sources.git.blobs import BlobError, Blobs
from endpoint_history.sources.git.changes import Change
from endpoint_history.sources.git.content import read_content
from endpoint_history.sources.git.log import Repository

_REMEMBERED = 16
_Digests = Counter[bytes]


class Versions:
    """Compares a file of many bodies with its version in the parent commit, or before its removal.

    Reads the earlier version with its own git process, unless it is among the last 16. Use it as a context manager.
    """

    def __init__(self, repository: Repository, read: Callable[[bytes], list[Document]]) -> None:
        self._blobs = Blobs(repository)
        self._lfs_objects = repository.lfs_objects
        self._read = read
        self._digests: dict[str, _Digests] = {}
        self._newest: dict[bytes, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._blobs.__exit__(kind, error, trace)

    def repeated(self, change: Change, read: Sequence[Document], *, is_needed: bool) -> list[bool]:
        """Return for each document whether an earlier version of the file has it, as often.

        With `is_needed`, earlier versions are read if one of the documents has no time of its own.
        """
        digests = [_digest(document) for document in read]
        if len(read) < 2:  # noqa: PLR2004 - a file of one body is new content whenever it changes
            self._remember(change.blob, Counter(digests))
            return [False] * len(read)
        is_needed = is_needed and any(document.body and document.observed_at is None for document in read)
        earlier: _Digests = Counter()
        for blob in self._earlier(change):
            earlier |= self._digests_of(blob, is_needed=is_needed)
        self._remember(change.blob, Counter(digests))
        if is_needed:
            self._newest[change.path] = change.blob
        repeated = []
        for digest in digests:
            repeated.append(earlier[digest] > 0)
            earlier[digest] -= 1
        return repeated

    def _earlier(self, change: Change) -> Sequence[str]:
        if change.earlier:
            return change.earlier
        removed = self._newest.get(change.path)
        return (removed,) if removed else ()

    def _digests_of(self, blob: str, *, is_needed: bool) -> _Digests:
        if blob in self._digests or not is_needed:
            return self._digests.get(blob, Counter())
        try:
            content = read_content(self._blobs.take(blob, None), self._lfs_objects)
        except BlobError:  # of it nothing was found when it was its turn
            return Counter()
        digests = Counter(_digest(document) for document in self._read(content))
        self._remember(blob, digests)
        return digests

    def _remember(self, blob: str, digests: _Digests) -> None:
        self._digests[blob] = digests
        if len(self._digests) > _REMEMBERED:
            del self._digests[next(iter(self._digests))]


def _digest(document: Document) -> bytes:
    time = document.observed_at and document.observed_at.timestamp()  # its text takes longer than all else here
    beside = f"{document.target} {time} {document.reason} {document.status}"
    return hashlib.sha256(beside.encode() + b"\n" + (document.body or b"").strip()).digest()
