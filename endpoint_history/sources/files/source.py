"""Bodies from saved files: JSON, JSON Lines, and the members of zip, tar and gzip."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from endpoint_history.errors import ConfigurationError
from endpoint_history.io.strict_json import clean_text
from endpoint_history.refusals import Refused
from endpoint_history.sources.documents.classify import looks_like
from endpoint_history.sources.documents.shapes import Document, documents_in
from endpoint_history.sources.files.containers import TAR_SUFFIXES, Member, in_pieces, unpack, zip_members
from endpoint_history.sources.files.tar import tar_members
from endpoint_history.sources.items import SavedBody, Source
from endpoint_history.sources.rules import TargetRule, TimeRule, read_target_rule, read_time_rule

STDIN = "-"
_OK = 200


def open_files(patterns: Sequence[str], *, time: str | None, target: str | None, zone: str | None = None) -> Source:
    """Return the source for these files, folders and globs (also `**`); a container counts as one file.

    Folders are read recursively, without hidden files; `-` is stdin. `time`, `zone` and `target` are the options of the
    command (docs/backfill.md). Raises ConfigurationError before anything is read.
    """
    time_rule, target_rule = read_time_rule(time, zone), read_target_rule(target)
    expanded = map(os.path.expanduser, patterns)  # a shell expands no ~ in quotes or behind a =
    found = dict.fromkeys(path for pattern in expanded for path in _expand(pattern))
    if not found:
        raise ConfigurationError("no files; expected files, folders or patterns such as 'saved/**/*.json'")
    return Source(len(found), _FileItems(tuple(found), time_rule, target_rule))


def _expand(pattern: str) -> list[str]:
    if pattern == STDIN:
        return [STDIN]
    if not pattern or "\0" in pattern:
        raise ConfigurationError(f"{pattern!r} is no file; expected a file, a folder or a pattern")
    if _is(Path.is_dir, pattern):
        below = _files_below(pattern)
        if not below:
            raise ConfigurationError(f"there is no file in the folder {pattern}")
        return below
    if _is(Path.is_file, pattern):
        return [pattern]
    if os.path.lexists(pattern):
        raise ConfigurationError(f"{pattern} is not a file or a folder that can be read{_piped(pattern)}")
    return _matched(pattern)


def _matched(pattern: str) -> list[str]:
    if not glob.has_magic(pattern):
        raise ConfigurationError(f"there is no file {pattern}; expected a file, a folder or a pattern")
    matched = sorted(name for name in glob.glob(pattern, recursive=True) if _is(Path.is_file, name))  # noqa: PTH207
    if not matched:
        raise ConfigurationError(f"the pattern {pattern!r} matches no file")
    return matched


def _piped(name: str) -> str:
    return f"; for a pipe: … | endpoint-history backfill files {STDIN}" if _is(_is_pipe, name) else ""


def _is_pipe(path: Path) -> bool:
    return path.is_fifo() or path.is_char_device()


def _is(kind: Callable[[Path], bool], name: str) -> bool:
    """Return whether a name is of that kind; False if it is too long or may not be read."""
    try:
        return kind(Path(name))
    except OSError:
        return False


def _files_below(folder: str) -> list[str]:
    """Return all files in order, and the folders that can't be listed: they are refused when they are read."""
    unreadable: list[str] = []
    found: list[str] = []
    for root, folders, names in os.walk(folder, onerror=lambda error: unreadable.append(str(error.filename))):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths = (str(Path(root) / name) for name in names if not name.startswith("."))
        found += [path for path in paths if _is(Path.is_file, path)]
    return sorted(found + unreadable)


@dataclass(frozen=True, slots=True)
class _FileItems:
    """The items of the source. Each iteration reads the files again."""

    paths: tuple[str, ...]
    time_rule: TimeRule
    target_rule: TargetRule

    def __iter__(self) -> Iterator[tuple[int, SavedBody | Refused]]:
        for done, path in enumerate(self.paths, 1):
            try:
                for member in _members(Path(path)):
                    for item in self._items(path, member):
                        yield done, item
            except OSError as error:
                yield done, Refused(clean_text(path), f"can't be read: {error.strerror or error}")

    def _items(self, path: str, member: Member) -> Iterator[SavedBody | Refused]:
        origin = "stdin" if path == STDIN else clean_text(f"{path}!{member.name}" if member.name else path)
        whole = "" if path == STDIN else f"{path}/{member.name}" if member.name else path
        if member.reason:
            yield Refused(origin, clean_text(member.reason))
            return
        for document in documents_in(member.pieces, time_fields=self.time_rule.fields, zone=self.time_rule.zone):
            yield self._item(document, f"{origin} {document.where}".rstrip(), whole, member.modified)

    def _item(self, document: Document, origin: str, path: str, modified: datetime | None) -> SavedBody | Refused:
        if document.body is None:
            return Refused(origin, document.reason or "no body")
        try:
            dated = self.time_rule.read(path, document.observed_at, modified, field=document.time_field)
            target = self.target_rule.read(path, document.target)
        except (ValueError, OverflowError) as error:
            return Refused(origin, clean_text(str(error)))
        if document.status != _OK and target is None:
            return Refused(origin, f"{looks_like(document.body).text}; say whose it is with --target")
        return SavedBody(document.body, dated.time, target, origin, dated.source, document.status)


def _members(path: Path) -> Iterator[Member]:
    """Yield the members of one file; a plain file is its own member. Raises OSError."""
    name = path.name.lower()
    if str(path) == STDIN:
        yield unpack(Member("", in_pieces(sys.stdin.buffer) if sys.stdin else ()))  # None: it is closed
    elif name.endswith(".zip"):
        yield from map(unpack, zip_members(path))
    elif name.endswith(TAR_SUFFIXES):
        yield from map(unpack, tar_members(path))
    else:
        with path.open("rb") as file:
            modified = None
            with suppress(ValueError, OverflowError, OSError):
                modified = datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, UTC)
            yield unpack(Member("", in_pieces(file), modified))
