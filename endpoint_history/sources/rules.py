"""Rules for the time and the target of a saved body: `--time`, `--zone`, `--target`. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Literal, NamedTuple

from endpoint_history.errors import ConfigurationError
from endpoint_history.sources.documents.records import TIME_FIELDS
from endpoint_history.sources.path_times import time_in_folders, time_in_name
from endpoint_history.sources.time_patterns import TimePattern, read_time_pattern
from endpoint_history.sources.timestamps import in_zone, read_zone, whole_seconds
from models.observation import Target

IN_A_FILE = (
    "expected 'field', 'field:NAME', 'name:PATTERN' such as 'name:%Y%m%dT%H%M%SZ', "
    "'path:PATTERN' such as 'path:dt=%Y-%m-%d/hour=%H'"
)
_TARGET_EXPECTED = (
    "expected 'body', 'author/slug', 'name:PATTERN' such as 'name:{author}__{slug}__', "
    "or 'path:PATTERN' such as 'path:{author}/{slug}.json'"
)
_PART = r"[A-Za-z0-9~][A-Za-z0-9~._:@+-]*?"
_SUFFIXES = re.compile(r"(?:\.(?:jsonl?|ndjson|txt|gz|bz2|xz))*\Z", re.IGNORECASE)
# What a path may hold that is no whole time, to be offered as a rule: the beginning of a day or an hour.
_INCOMPLETE = tuple(
    map(
        read_time_pattern,
        (
            "year=%Y/month=%m/day=%d",
            "%Y-%m-%d/%H%M%S",
            "%Y-%m-%d/%H",
            "%Y/%m/%d/%H",
            "%Y-%m-%d",
            "%Y/%m/%d",
            "%Y%m%d%H%M",
            "%Y%m%d%H",
            "%Y%m%d",
        ),
    )
)
_NO_FIELD = f"no time in {', '.join(TIME_FIELDS[:3])} and the like; name the field with --time field:NAME"


class Dated(NamedTuple):
    """The time of a body and where it was found. `by_commit` is True if only its commit has one."""

    time: datetime
    source: str
    by_commit: bool = False


@dataclass(frozen=True, slots=True)
class TimeRule:
    """The place of times. `own` means that no rule was given: a field, else the name, else the path.

    `zone` is that of times without one. If it is None, a field without a zone is refused, and a name is in UTC.
    """

    kind: Literal["own", "field", "name", "path", "mtime"]
    field: str = ""
    pattern: TimePattern | None = None
    zone: tzinfo | None = None

    @property
    def fields(self) -> Sequence[str]:
        """The fields of a document that may hold the time."""
        if self.kind == "field" and self.field:
            return (self.field,)
        return TIME_FIELDS if self.kind in {"own", "field"} else ()

    def read(self, path: str, given: datetime | None, modified: datetime | None, *, field: str | None = None) -> Dated:
        """Return the time of a body, in UTC and whole seconds. Raises ValueError or OverflowError.

        `path` is the whole path, including that of a member in its container. `given` is the time in the document, in
        this `field`; `modified` is the modification time of the file.
        """
        in_field = Dated(given, f"field {field}") if given else None
        match self.kind:
            case "own":
                found = in_field or self._unruled(path)
            case "field":
                found = in_field
            case "mtime":
                found = Dated(modified, "modified") if modified else None
            case "name" | "path":
                found = self._in_path(path)
        if found is None:
            raise ValueError(self._missing(path))
        return found._replace(time=whole_seconds(found.time))

    def _unruled(self, path: str) -> Dated | None:
        if named := time_in_name(path.rpartition("/")[2], self.zone):
            return Dated(named, "name")
        found = time_in_folders(path, self.zone)
        return Dated(found, "path") if found else None

    def _in_path(self, path: str) -> Dated | None:
        if self.pattern is None:
            return None
        # So that a pattern may begin with the slash before a folder's name.
        found = self.pattern.find(f"/{path}" if self.kind == "path" else path.rpartition("/")[2])
        if found is None:
            return None
        return Dated(found if found.tzinfo else in_zone(found, self.zone or UTC), self.kind)

    def _missing(self, path: str) -> str:
        match self.kind:
            case "own":
                return f"no time; name its place with --time{_offered(_INCOMPLETE, path)}"
            case "field":
                return f"no time in {self.field}" if self.field else _NO_FIELD
            case "mtime":
                return "no modification time"
            case "name" | "path":
                hint = _offered([self.pattern], path) if self.pattern and self.kind == "name" else ""
                return f"no time such as {self.pattern} in its {self.kind}{hint}"


def _offered(patterns: Sequence[TimePattern], path: str) -> str:
    """Return the end of a message that offers the first pattern that finds one time in this path."""
    for pattern in patterns:
        with suppress(ValueError):
            if found := pattern.find(path):
                return f", such as --time 'path:{pattern}', which gives {found:%Y-%m-%d %H:%M:%S}"
    return ""


def read_time_rule(
    text: str | None, zone: str | None = None, *, expected: str = f"{IN_A_FILE}, or 'mtime'"
) -> TimeRule:
    """Read `field`, `field:NAME`, `name:PATTERN`, `path:PATTERN` or `mtime`; None: no rule was given.

    `expected` is what the message about another text offers. Raises ConfigurationError.
    """
    try:
        read = read_zone(zone) if zone is not None else None
    except ValueError as error:
        raise ConfigurationError(f"zone: {error}") from None
    kind, colon, value = (text or "").partition(":")
    if text is None:
        return TimeRule("own", zone=read)
    if kind == "mtime" and not colon:
        return TimeRule("mtime", zone=read)
    if kind == "field" and bool(value) == bool(colon):
        return TimeRule("field", value, zone=read)
    if kind not in {"name", "path"} or not value:
        raise ConfigurationError(f"time {text!r} is not known; {expected}")
    try:
        pattern = read_time_pattern(value)
    except ValueError as error:
        raise ConfigurationError(f"time {text!r}{error}; see docs/backfill.md") from None
    return TimeRule("path" if kind == "path" else "name", pattern=pattern, zone=read)


@dataclass(frozen=True, slots=True)
class TargetRule:
    """The target of bodies: that of each document, always `fixed`, or the one that `form` finds in the path."""

    kind: Literal["body", "fixed", "name", "path"] = "body"
    pattern: str = ""
    fixed: Target | None = None
    form: re.Pattern[str] | None = None

    def read(self, path: str, given: Target | None) -> Target | None:
        """Return the target of a body, None: its own id. Raises ValueError.

        `path` is the whole path, also that of a member within its container. `given` is what the document says.
        """
        if not self.form:
            return self.fixed or given
        subject = path.rpartition("/")[2] if self.kind == "name" else path
        if self.pattern.endswith("}"):
            subject = _SUFFIXES.sub("", subject)
        match = self.form.fullmatch(subject)
        if not match:
            raise ValueError(f"its {self.kind} does not match {self.pattern}")
        return Target.parse(f"{match['author']}/{match['slug']}")


def read_target_rule(text: str | None) -> TargetRule:
    """Read `body` (also None), `author/slug`, or `name:` or `path:` and a pattern with `{author}` and `{slug}`.

    A name is matched from its beginning, a path to its end, from the beginning of any folder's name. `*` in a path is
    any text without a slash. Raises ConfigurationError.
    """
    if text is None or text == "body":
        return TargetRule()
    kind, colon, pattern = text.partition(":")
    if kind not in {"name", "path"} or not colon:
        try:
            return TargetRule("fixed", fixed=Target.parse(text))
        except ValueError:
            raise ConfigurationError(f"target {text!r} is not known; {_TARGET_EXPECTED}") from None
    if pattern.count("{author}") != 1 or pattern.count("{slug}") != 1:
        raise ConfigurationError(f"target {text!r} needs {{author}} and {{slug}} once each; {_TARGET_EXPECTED}")
    form = re.escape(pattern)
    for field in ("author", "slug"):
        form = form.replace(re.escape(f"{{{field}}}"), f"(?P<{field}>{_PART})")
    if kind == "name":
        rest = "" if pattern.endswith("}") else ".*"
        return TargetRule("name", pattern, form=re.compile(f"{form}{rest}", re.DOTALL))
    form = form.replace(r"\*", "[^/]*").removeprefix("/")
    rest = "" if pattern.endswith("}") else "[^/]*"
    return TargetRule("path", pattern, form=re.compile(f"(?:.*/)?{form}{rest}", re.DOTALL))
