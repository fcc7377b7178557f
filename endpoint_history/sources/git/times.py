"""The time of a body in a git repository: that of the document, its path, or its commit. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from functools import lru_cache
from typing import Literal, cast, get_args

from endpoint_history.errors import ConfigurationError
from endpoint_history.sources.documents.shapes import Document
from endpoint_history.sources.git.changes import Commit
from endpoint_history.sources.path_times import days_in, pattern_of, time_in_folders, time_in_name
from endpoint_history.sources.rules import IN_A_FILE, Dated, TimeRule, read_time_rule
from endpoint_history.sources.timestamps import read_time

CommitTime = Literal["author", "committer"]
BY_COMMIT = {"author": "the commit's author time", "committer": "the commit's committer time"}
_UNSURE = (
    "the commit's author time, more than a day from its committer time: a guess; "
    "give --time author or --time committer (which counts where commits were amended)"
)
_OTHERS = (
    "or commit (a field's, else the author's), author, committer; "
    "a git repository keeps no modification times, so there is no mtime"
)
_BODY = re.compile(r'"(?:response|body|body_base64|data)"\s*:')
_FIELD = re.compile(r'"([A-Za-z_][A-Za-z0-9_]{0,60})"\s*:\s*(?:"([^"\\]{8,60})"|([0-9]{10,19}(?:\.[0-9]{1,9})?))')
_HEAD_BYTES = 4096
_FAR = timedelta(days=1)
_LATER = timedelta(hours=1)  # a scraper commits what it fetched within that
_ZONES = timedelta(hours=15)  # a day of any zone, in UTC


@dataclass(frozen=True, slots=True)
class GitTimeRule:
    """The times that count: the document's (`fields`), by a rule of files (`own`), or the commit's (`commit`).

    With `is_checked`, a commit's time counts only if no other date in the path contradicts it.
    """

    fields: Sequence[str]
    own: TimeRule | None = None
    commit: CommitTime | None = None
    is_checked: bool = False
    zone: tzinfo | None = None

    def read(self, document: Document, path: str, commit: Commit) -> Dated:
        """Return the time of a body. Raises ValueError or OverflowError without one, or if several differ."""
        if self.own is not None:
            return self.own.read(path, document.observed_at, None, field=document.time_field)
        if document.observed_at is not None:
            return Dated(document.observed_at, f"field {document.time_field}")
        time = commit_time(commit, self.commit or "author")
        if self.is_checked and (named := _contradiction(path, document.body or b"", time)):
            raise ValueError(
                f"its path says {named}, its commit {time:%Y-%m-%d %H:%M} UTC: "
                f"give --time 'path:{pattern_of(path) or '%Y-%m-%d'}', or --time commit"
            )
        is_unsure = self.is_checked and _is_rewritten(commit)
        return Dated(time, _UNSURE if is_unsure else BY_COMMIT[self.commit or "author"], by_commit=True)


def read_git_time_rule(text: str | None, zone: str | None = None) -> GitTimeRule:
    """Read `commit`, `author`, `committer`, or a rule of files but `mtime`; None: a field, else the commit's time.

    Raises ConfigurationError.
    """
    base = read_time_rule(None, zone)
    if text is None or text == "commit":
        return GitTimeRule(base.fields, commit="author", is_checked=text is None, zone=base.zone)
    if text in get_args(CommitTime):
        return GitTimeRule((), commit=cast(CommitTime, text))
    rule = read_time_rule(text, zone, expected=f"{IN_A_FILE}; {_OTHERS}")
    if rule.kind == "mtime":
        raise ConfigurationError(
            f"time 'mtime' means nothing in git; expected field, name:PATTERN, path:PATTERN, {_OTHERS}"
        )
    return GitTimeRule(rule.fields, own=rule, zone=rule.zone)


def option_hint(path: str, content: bytes) -> str:
    """Return the option that could date the bodies of one commit; `content` is that of their file."""
    head = _BODY.split(content[:_HEAD_BYTES].decode("utf-8", "replace"), maxsplit=1)[0]
    for name, text, number in _FIELD.findall(head):
        with suppress(ValueError, ArithmeticError):
            read_time(text or Decimal(number), UTC)
            return f"give --time field:{name}"
    if pattern := pattern_of(path):
        return f"give --time 'path:{pattern}', or a pattern of what else their paths hold"
    return "say where each has its own time, with --time field:NAME, name:PATTERN or path:PATTERN, or load fewer paths"


def commit_time(commit: Commit, which: CommitTime) -> datetime:
    """Return the author's or the committer's time. Raises ValueError if it is unknown."""
    if commit.is_cut:
        raise ValueError(
            "its commit is where a shallow clone begins: git does not know when the file was changed; "
            "run git fetch --unshallow in the repository"
        )
    seconds = commit.committed_s if which == "committer" else commit.authored_s
    try:
        return datetime.fromtimestamp(seconds if seconds is not None else float("nan"), UTC)
    except (ValueError, OverflowError, OSError):
        raise ValueError("the commit has no readable time") from None


def _is_rewritten(commit: Commit) -> bool:
    author, committer = commit.authored_s, commit.committed_s
    return author is not None and committer is not None and abs(committer - author) > _FAR.total_seconds()


def _contradiction(path: str, body: bytes, time: datetime) -> str | None:
    """Return the date in a path that contradicts a commit's time; None without one.

    A date that is in the body too is part of a model's name, such as `gpt-4o-2024-11-20`.
    """
    dates, stamp = _dates_in(path)
    days = [match for match in dates if match[0].encode() not in body]
    if stamp is not None and f"{stamp:%Y%m%d}".encode() not in body and f"{stamp:%Y-%m-%d}".encode() not in body:
        return None if abs(time - stamp) <= _LATER else f"{stamp:%Y-%m-%d %H:%M}"
    if not days or any(_is_on(match, time) for match in days):
        return None
    return days[-1][0]


@lru_cache
def _dates_in(path: str) -> tuple[Sequence[re.Match[str]], datetime | None]:
    """Return the dates in a path, and its time if it has exactly one."""
    try:
        stamp = time_in_folders(path) or time_in_name(path.rpartition("/")[2])
    except ValueError:
        stamp = None
    return tuple(days_in(path)), stamp


def _is_on(match: re.Match[str], time: datetime) -> bool:
    """Return whether a time is on this day in any zone."""
    try:
        day = datetime(int(match["year"]), int(match["month"]), int(match["day"]), tzinfo=UTC)
    except ValueError:  # the 31st of February
        return True
    return day - _ZONES <= time < day + timedelta(days=1) + _ZONES
