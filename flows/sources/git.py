"""Bodies from a git repository that committed them: every version of every file, each with its commit's time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, pairwise
from typing import Literal, cast, get_args

from flows.errors import ConfigurationError
from flows.sources.found import Found, Refused, Source
from flows.sources.git_blobs import Blobs, UnreadableError
from flows.sources.git_objects import Change, Commit, Listing, Repository, one_line
from flows.sources.shapes import TIME_FIELDS, Document, documents
from models.observation import Target

TimeRule = Literal["commit", "author", "committer", "field"]
TargetRule = Callable[[str, Target | None], Target | None]
_OWN_TIME: tuple[TimeRule, ...] = ("commit", "field")  # where a time in the file counts
_KINDS = {b"120000": "a symbolic link, not a file", b"160000": "a submodule, not a file"}


def open_git(
    repository: str,
    patterns: Sequence[str],
    *,
    time: str | None,
    target: str | None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Source:
    """Find what the commits that HEAD reaches put at these paths, folders or globs, oldest first.

    Paths are from the repository's root; `*` ends at a slash, `**` does not. A merge counts only where its content is
    neither parent's; a removal proves nothing and is left out.
    `time`: `commit` (also None; the document's own, else the commit's author time), `author`, `committer`, or `field`
    (the document's own only).
    `target`: `body` (also None; as the document says), `author/slug`, or `path:data/{author}/{slug}.json`.
    `since` and `until`, both inclusive, leave out commits only where `time` is `author` or `committer`.
    Raises ConfigurationError before anything is read.
    """
    time_rule = _read_time_rule(time)
    target_rule = _read_target_rule(target)
    opened = Repository(repository)
    reading = _Reading(opened, opened.list_changes(patterns), time_rule, target_rule, since, until)
    return Source("git", sum(1 for _ in reading.changes()), reading)


@dataclass(frozen=True, slots=True)
class _Reading:
    """The items of the source; each iteration has its own git process, which ends with it."""

    repository: Repository
    listing: Listing
    time_rule: TimeRule
    target_rule: TargetRule
    since: datetime | None
    until: datetime | None

    def __iter__(self) -> Iterator[tuple[int, Found | Refused]]:
        with Blobs(self.repository) as blobs:
            for done, (change, following) in enumerate(pairwise(chain(self.changes(), [None])), start=1):
                if change is not None:
                    for item in self._read(blobs, change, following):
                        yield done, item

    def changes(self) -> Iterator[Change]:
        """The changes to read, of commits within the time asked for."""
        if self.time_rule in _OWN_TIME or (self.since is None and self.until is None):
            return iter(self.listing)
        return (change for change in self.listing if self._is_asked_for(change.commit))

    def _is_asked_for(self, commit: Commit) -> bool:
        seconds = commit.committed_s if self.time_rule == "committer" else commit.authored_s
        if seconds is None:
            return True  # to be refused by name
        too_early = self.since is not None and seconds < self.since.timestamp()
        too_late = self.until is not None and seconds > self.until.timestamp()
        return not (too_early or too_late)

    def _read(self, blobs: Blobs, change: Change, following: Change | None) -> Iterator[Found | Refused]:
        path = one_line(change.path)
        origin = f"{self.repository.name}@{change.commit.id[:12]}:{path}"
        if change.mode in _KINDS:
            yield Refused(origin, _KINDS[change.mode])
            return
        # The id of a submodule is not this repository's to ask for.
        ahead = following.blob if following is not None and following.mode not in _KINDS else None
        try:
            content = blobs.take(change.blob, ahead)
        except UnreadableError as error:
            yield Refused(origin, str(error))
            return
        for document in documents(content, time_fields=TIME_FIELDS if self.time_rule in _OWN_TIME else ()):
            yield self._item(document, change.commit, path, f"{origin} {document.where}".rstrip())

    def _item(self, document: Document, commit: Commit, path: str, origin: str) -> Found | Refused:
        if document.body is None:
            return Refused(origin, document.reason or "not a body")
        try:
            observed_at = self._observed_at(document.observed_at, commit)
            target = self.target_rule(path, document.target)
        except ValueError as error:
            return Refused(origin, str(error))
        return Found(document.body, observed_at, target, origin)

    def _observed_at(self, own: datetime | None, commit: Commit) -> datetime:
        """The time that the rule says. Raises ValueError where there is none."""
        if own is not None and self.time_rule in _OWN_TIME:
            return own
        if self.time_rule == "field":
            raise ValueError("the file has no time of its own")
        if commit.is_cut:
            raise ValueError("its commit is where a shallow clone begins: git does not know when the file was changed")
        seconds = commit.committed_s if self.time_rule == "committer" else commit.authored_s
        try:
            return datetime.fromtimestamp(cast(int, seconds), UTC)
        except (TypeError, ValueError, OverflowError, OSError):
            raise ValueError("the commit has no readable time") from None


def _read_time_rule(text: str | None) -> TimeRule:
    rules = get_args(TimeRule)
    if text is not None and text not in rules:
        raise ConfigurationError(f"{one_line(text)!r} is not a time of a git source: {', '.join(rules)}")
    return cast(TimeRule, text or "commit")


def _read_target_rule(text: str | None) -> TargetRule:
    if text is None or text == "body":
        return lambda _, own: own
    if text.startswith("path:"):
        form = _path_form(text.removeprefix("path:"))
        return lambda path, own: _agreed(_target_in(form, path), own)
    try:
        fixed = Target.parse(text)
    except ValueError as error:
        raise ConfigurationError(f"not a target of a git source: {error}; or body, or path:PATTERN") from None
    return lambda _, own: _agreed(fixed, own)


def _path_form(pattern: str) -> re.Pattern[str]:
    if pattern.count("{author}") != 1 or pattern.count("{slug}") != 1:
        raise ConfigurationError(
            f"the target 'path:{one_line(pattern)}' needs one {{author}} and one {{slug}}, "
            "such as path:data/{author}/{slug}.json"
        )
    form = re.escape(pattern)
    for name in ("author", "slug"):
        form = form.replace(re.escape(f"{{{name}}}"), f"(?P<{name}>[^/]+?)")
    return re.compile(form)


def _target_in(form: re.Pattern[str], path: str) -> Target:
    match = form.fullmatch(path)
    if match is None:
        raise ValueError("the path does not have the form that the target is to be read from")
    return Target.parse(f"{match['author']}/{match['slug']}")


def _agreed(told: Target, own: Target | None) -> Target:
    """One file of many bodies must not become one target's history."""
    if own is not None and own != told:
        raise ValueError(f"the file says that this is {own}, not {told}")
    return told
