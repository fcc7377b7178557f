"""Bodies that were committed to a git repository: every version of every file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, pairwise
from typing import NamedTuple

from endpoint_history.io.strict_json import clean_text
from endpoint_history.refusals import Refused
from endpoint_history.sources.documents.shapes import Document, documents
from endpoint_history.sources.git.blobs import BlobError, Blobs
from endpoint_history.sources.git.changes import Change, ChangeList, Commit
from endpoint_history.sources.git.content import named_link, read_content
from endpoint_history.sources.git.log import Repository, one_line
from endpoint_history.sources.git.same_time import SameTime
from endpoint_history.sources.git.times import GitTimeRule, option_hint, read_git_time_rule
from endpoint_history.sources.git.versions import Versions
from endpoint_history.sources.items import KnownBody, SavedBody, Source
from endpoint_history.sources.rules import TargetRule, read_target_rule
from models.observation import Target

_LINK, _SUBMODULE = b"120000", b"160000"
Item = tuple[int, SavedBody | Refused | KnownBody]


def open_git(
    repository: str,
    patterns: Sequence[str],
    *,
    time: str | None,
    target: str | None,
    zone: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Source:
    """Find what the commits that HEAD reaches put at these paths, folders or globs, oldest first.

    Paths are from the repository's root; `*` ends at a slash, `**` does not. A merge counts only where its content is
    neither parent's; a removal proves nothing and is left out. Nothing new are the parts of a file of many bodies that
    the parent commit has there already, and, if only its commit dates it, content that a commit only moved.
    `time`: None (the document's own, else the commit's author time unless a date in the path contradicts it), `commit`
    (the same unchecked), `author`, `committer`, or as for files `field`, `field:NAME`, `name:PATTERN`, `path:PATTERN`.
    `target` and `zone`: as for files; here a document that names another target is refused.
    `since` and `until`, both inclusive, leave out commits only where `time` is `author` or `committer`.
    Raises ConfigurationError before anything is read.
    """
    time_rule, target_rule = read_git_time_rule(time, zone), read_target_rule(target)
    opened = Repository(repository)
    reading = _GitItems(opened, opened.list_changes(patterns), time_rule, target_rule, since, until)
    return Source(sum(count for _, count in reading.commits()), reading)


class _Undated(NamedTuple):
    """A body dated by its file or its commit, with the option that could date it better."""

    found: SavedBody
    hint: str
    by_commit: bool


@dataclass(frozen=True, slots=True)
class _GitItems:
    """The items of the source. Each iteration starts and ends its own git processes."""

    repository: Repository
    listing: ChangeList
    time_rule: GitTimeRule
    target_rule: TargetRule
    since: datetime | None
    until: datetime | None

    def __iter__(self) -> Iterator[Item]:
        commits = Counter(second for commit, _ in self.commits() if (second := self._second(commit)) is not None)
        with (
            Blobs(self.repository) as blobs,
            Versions(self.repository, self._documents) as versions,
            SameTime(commits) as same_commit,
            SameTime() as same_file,
        ):
            for done, (change, following) in enumerate(pairwise(chain(self.changes(), [None])), start=1):
                if change is None:
                    continue
                for item in self._read(blobs, versions, change, following):
                    if isinstance(item, _Undated):
                        held = same_commit if item.by_commit else same_file
                        held.hold(done, item.found, item.hint)
                    else:
                        yield done, item
                yield from same_file.end_file()
                if following is None or following.commit != change.commit:
                    yield from same_commit.end_commit(self._second(change.commit))

    def changes(self) -> Iterator[Change]:
        """Return the changes of the commits in the requested time."""
        return (change for change in self.listing if self._is_asked_for(change.commit))

    def commits(self) -> Iterator[tuple[Commit, int]]:
        """These commits, each with the number of its changes."""
        return ((commit, count) for commit, count in self.listing.commits() if self._is_asked_for(commit))

    def _second(self, commit: Commit) -> int | None:
        return commit.committed_s if self.time_rule.commit == "committer" else commit.authored_s

    def _is_asked_for(self, commit: Commit) -> bool:
        if self.time_rule.fields or self.time_rule.own or (self.since is None and self.until is None):
            return True
        seconds = self._second(commit)
        if seconds is None:
            return True  # to be refused by name
        too_early = self.since is not None and seconds < self.since.timestamp()
        too_late = self.until is not None and seconds > self.until.timestamp()
        return not (too_early or too_late)

    def _read(
        self, blobs: Blobs, versions: Versions, change: Change, following: Change | None
    ) -> Iterator[SavedBody | Refused | KnownBody | _Undated]:
        """Yield the items of one file."""
        path = one_line(change.path)
        origin = f"{self.repository.name}@{change.commit.id[:12]}:{path}"
        try:
            content = self._content(blobs, change, following)
        except BlobError as error:
            yield Refused(origin, clean_text(str(error)))
            return
        read = self._documents(content)
        old = versions.repeated(change, read, is_needed=self.time_rule.own is None)
        for document, is_old in zip(read, old, strict=True):
            place = f"{origin} {document.where}".rstrip()
            yield KnownBody(place) if is_old else self._item(document, change, path, place, content)

    def _content(self, blobs: Blobs, change: Change, following: Change | None) -> bytes:
        """Return the content of a file. Raises BlobError if it is something else."""
        if change.mode == _SUBMODULE:
            raise BlobError("a submodule, not a file: load its own repository")
        # The id of a submodule is not this repository's to ask for.
        ahead = following.blob if following is not None and following.mode != _SUBMODULE else None
        blob = blobs.take(change.blob, ahead)
        if change.mode == _LINK:
            raise BlobError(named_link(blob))
        return read_content(blob, self.repository.lfs_objects)

    def _documents(self, content: bytes) -> list[Document]:
        return list(documents(content, time_fields=self.time_rule.fields, zone=self.time_rule.zone))

    def _item(
        self, document: Document, change: Change, path: str, origin: str, content: bytes
    ) -> SavedBody | Refused | KnownBody | _Undated:
        if document.body is None:
            return Refused(origin, document.reason or "not a body")
        try:
            target = _agreed(self.target_rule.read(path, document.target), document.target)
            dated = self.time_rule.read(document, path, change.commit)
        except (ValueError, OverflowError) as error:
            return Refused(origin, clean_text(str(error)))
        if dated.by_commit and change.is_moved:
            return KnownBody(origin)
        found = SavedBody(document.body, dated.time, target, origin, dated_by=dated.source, status=document.status)
        if document.observed_at is not None and dated.source.startswith("field"):
            return found
        return _Undated(found, option_hint(path, content), dated.by_commit)


def _agreed(said: Target | None, own: Target | None) -> Target | None:
    """Return the target. Raises ValueError if the file names another: it may hold bodies of many."""
    if own is not None and own != said:
        raise ValueError(f"the file says that this is {own}, not {said}")
    return said
