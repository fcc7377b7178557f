"""What people say about where the time and the target of a saved body stand. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from flows.errors import ConfigurationError
from flows.sources.shapes import TIME_FIELDS
from flows.sources.times import time_in_name, whole_seconds
from models.observation import Target

_DIRECTIVES = {
    **dict.fromkeys("mdHMSIyUW", "[0-9]{2}"),
    **dict.fromkeys("aAbBp", "[A-Za-z]+"),
    "Y": "[0-9]{4}",
    "j": "[0-9]{3}",
    "f": "[0-9]{1,6}",
    "z": "(?:Z|[+-][0-9]{2}:?[0-9]{2})",
    "%": "%",
}
_TIME_EXPECTED = "expected 'field', 'field:NAME', 'name:PATTERN' such as 'name:%Y%m%dT%H%M%SZ', or 'mtime'"
_TARGET_EXPECTED = "expected 'body', 'author/slug', or 'name:PATTERN' such as 'name:{author}__{slug}__'"
_PART = r"[A-Za-z0-9~][A-Za-z0-9~._:@+-]*?"
_SUFFIXES = re.compile(r"(?:\.(?:jsonl?|ndjson|txt|gz))*\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class TimeRule:
    """Where times stand: in fields of the document, in names, or in the file system; `own` is what is tried untold."""

    kind: Literal["own", "field", "name", "mtime"]
    pattern: str = ""
    form: re.Pattern[str] | None = None

    @property
    def fields(self) -> Sequence[str]:
        """The fields of a document to look into."""
        if self.kind == "field" and self.pattern:
            return (self.pattern,)
        return TIME_FIELDS if self.kind in {"own", "field"} else ()

    def read(self, name: str, given: datetime | None, modified: datetime | None) -> datetime:
        """The time of a body: `given` is what its document says, `modified` what its file does. Raises ValueError."""
        match self.kind:
            case "own":
                found = given or time_in_name(name.rpartition("/")[2])
            case "field":
                found = given
            case "mtime":
                found = modified
            case "name":
                found = self._in_name(name)
        if found is None:
            raise ValueError(self._missing())
        return whole_seconds(found)

    def _missing(self) -> str:
        return {
            "own": "no time; say where it stands with --time",
            "field": f"no time in {' or '.join(self.fields)}",
            "name": f"no time such as {self.pattern} in its name",
            "mtime": "no modification time",
        }[self.kind]

    def _in_name(self, name: str) -> datetime | None:
        matches = self.form.findall(name) if self.form else []
        if not matches:
            return None
        try:
            time = datetime.strptime(matches[-1], self.pattern)  # noqa: DTZ007 - without a zone it is UTC
            return time if time.tzinfo else time.replace(tzinfo=UTC)
        except ValueError:
            return None


def read_time_rule(text: str | None) -> TimeRule:
    """Read `field`, `field:NAME`, `name:PATTERN` or `mtime`; None stands for what is tried untold.

    Raises ConfigurationError.
    """
    kind, colon, value = (text or "").partition(":")
    if text is None:
        return TimeRule("own")
    if kind == "mtime" and not colon:
        return TimeRule("mtime")
    if kind == "field" and bool(value) == bool(colon):
        return TimeRule("field", value)
    if kind != "name" or not value:
        raise ConfigurationError(f"time {text!r} is not known; {_TIME_EXPECTED}")
    return TimeRule("name", value, _time_form(text, value))


def _time_form(text: str, pattern: str) -> re.Pattern[str]:
    """What finds a text that strptime may read."""
    parts: list[str] = []
    for directive, literal in re.findall(r"%(.?)|([^%]+)", pattern, re.DOTALL):
        if not literal and directive not in _DIRECTIVES:
            raise ConfigurationError(f"time {text!r}: %{directive} is not known; {_TIME_EXPECTED}")
        parts.append(re.escape(literal) if literal else _DIRECTIVES[directive])
    if not re.search(r"(?<!%)(?:%%)*%[Yy]", pattern):
        raise ConfigurationError(f"time {text!r} names no year (%Y); {_TIME_EXPECTED}")
    return re.compile(rf"(?<![0-9]){''.join(parts)}(?![0-9])")


@dataclass(frozen=True, slots=True)
class TargetRule:
    """What was asked for: the body's own model (neither), always `fixed`, or what `form` finds in a name."""

    pattern: str = ""
    fixed: Target | None = None
    form: re.Pattern[str] | None = None

    def read(self, name: str, given: Target | None) -> Target | None:
        """The target of a body, None: its own id; `given` is what its document says. Raises ValueError."""
        if not self.form:
            return self.fixed or given
        base, to_the_end = name.rpartition("/")[2], self.pattern.endswith("}")
        match = self.form.fullmatch(_SUFFIXES.sub("", base)) if to_the_end else self.form.match(base)
        if not match:
            raise ValueError(f"its name does not match {self.pattern}")
        return Target.parse(f"{match['author']}/{match['slug']}")


def read_target_rule(text: str | None) -> TargetRule:
    """Read `body` (also None), `author/slug`, or `name:PATTERN` with `{author}` and `{slug}`.

    Raises ConfigurationError.
    """
    if text is None or text == "body":
        return TargetRule()
    kind, colon, pattern = text.partition(":")
    if kind != "name" or not colon:
        try:
            return TargetRule(fixed=Target.parse(text))
        except ValueError:
            raise ConfigurationError(f"target {text!r} is not known; {_TARGET_EXPECTED}") from None
    if pattern.count("{author}") != 1 or pattern.count("{slug}") != 1:
        raise ConfigurationError(f"target {text!r} needs {{author}} and {{slug}} once each; {_TARGET_EXPECTED}")
    form = re.escape(pattern)
    for field in ("author", "slug"):
        form = form.replace(re.escape(f"{{{field}}}"), f"(?P<{field}>{_PART})")
    return TargetRule(pattern, form=re.compile(form))
