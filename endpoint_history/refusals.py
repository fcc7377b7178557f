"""Refused items, with their reasons; reasons of one kind are grouped into a few lines. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

_MAX_KINDS = 100
_EXAMPLES = 3
_OTHER = "other reasons"
_QUOTED = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
# What varies within one kind: numbers except HTTP statuses, and quoted text except field names and option values.
_VARYING = re.compile(
    rf"(?<=: )(?:{_QUOTED})|(?!'(?:[A-Za-z_]{{1,60}}'|field:|name:|path:))(?:{_QUOTED})"
    r"|(?<!HTTP )(?<![A-Za-z0-9_%-])[+-]?[0-9](?:[0-9.,:TZeE+-]*[0-9Z])?|\b[0-9a-f]{12,64}\b"
)
_SEVERAL = re.compile("…(?:,? …)+")


@dataclass(frozen=True, slots=True)
class Refused:
    """An item that could not be read: its place, and the reason in one line."""

    origin: str
    reason: str

    def __str__(self) -> str:
        return f"{self.origin}: {self.reason}"


def reason_kind(reason: str) -> str:
    """Return a reason with `…` for what varies from item to item: numbers, times and quoted text."""
    return _SEVERAL.sub("…", _VARYING.sub("…", reason))


@dataclass(slots=True)
class ReasonGroup:
    """The items refused for one reason: the reason, their number, and the first examples."""

    reason: str
    count: int = 0
    examples: list[Refused] = field(default_factory=list)

    def add(self, refused: Refused, kind: str) -> None:
        """Count one. The reason stays exact while all items have the same."""
        self.count += 1
        if refused.reason != self.reason:
            self.reason = kind
        if len(self.examples) < _EXAMPLES:
            self.examples.append(refused)


class Reasons:
    """Counts of reasons by kind: the first 100 kinds, then one for all others, so that memory is bounded."""

    def __init__(self, refused: Iterable[Refused] = ()) -> None:
        self.count = 0
        self._groups: dict[str, ReasonGroup] = {}
        for item in refused:
            self.add(item)

    def add(self, refused: Refused) -> None:
        """Count one."""
        self.count += 1
        kind = reason_kind(refused.reason)
        if kind not in self._groups and len(self._groups) >= _MAX_KINDS:
            kind = _OTHER
        group = self._groups.setdefault(kind, ReasonGroup(refused.reason))
        group.add(refused, kind)

    @property
    def groups(self) -> list[ReasonGroup]:
        """The groups, the largest first."""
        return sorted(self._groups.values(), key=lambda group: -group.count)

    @property
    def examples(self) -> list[Refused]:
        """The first of each group."""
        return [example for group in self.groups for example in group.examples]
