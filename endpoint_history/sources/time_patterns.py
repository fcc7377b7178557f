"""Patterns as for strptime that find a time within a text. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from endpoint_history.sources.timestamps import unix_time

_TWO = dict.fromkeys("mdHMSIyUW", "[0-9]{2}")
_DIRECTIVES = {
    **_TWO,
    **dict.fromkeys("aAbBp", "[A-Za-z]+"),
    "Y": "[0-9]{4}",
    "j": "[0-9]{3}",
    "f": "[0-9]{1,6}",
    "z": "(?:Z|[+-][0-9]{2}:?[0-9]{2})",
}
_UNIX = {"s": "[0-9]{10}", "ms": "[0-9]{13}", "us": "[0-9]{16}", "ns": "[0-9]{19}"}
_TOKEN = re.compile(r"%(?P<directive>ms|us|ns|.?)|(?P<any>\*)|(?P<literal>[^%*]+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class TimePattern:
    """A pattern that was read: `form` finds the text of each of its `directives`."""

    text: str
    form: re.Pattern[str]
    directives: tuple[str, ...]

    def __str__(self) -> str:
        return self.text

    def find(self, text: str) -> datetime | None:
        """The time in a text, without a zone if it names none; None without one.

        Raises ValueError if the pattern finds several times that differ.
        """
        found = {time for match in self.form.finditer(text) if (time := self._time(match.groups()))}
        if len(found) > 1:
            shown = " and ".join(sorted(str(time) for time in found)[:2])
            raise ValueError(f"the pattern {self.text} finds several times ({shown}); give more of what is around it")
        return found.pop() if found else None

    def _time(self, values: tuple[str, ...]) -> datetime | None:
        if self.directives[0] in _UNIX:
            return unix_time(int(values[0]))
        try:
            form = " ".join(f"%{directive}" for directive in self.directives)
            return datetime.strptime(" ".join(values), form)  # noqa: DTZ007 - the zone is the rule's
        except ValueError:
            return None


def read_time_pattern(text: str) -> TimePattern:
    """Read a pattern of the directives of strptime, of `%s`, `%ms`, `%us` and `%ns` (unix time), and of `*`.

    `*` is any text without a slash. Raises ValueError with what is wrong, to follow the pattern in a message.
    """
    tokens = list(_TOKEN.finditer(text))
    directives = [match["directive"] for match in tokens if match["directive"] not in {None, "%"}]
    for directive in directives:
        if directive not in _DIRECTIVES | _UNIX:
            raise ValueError(f": %{directive} is not known")
    if set(directives) & set(_UNIX) and len(directives) > 1:
        raise ValueError(": unix time (%s, %ms, %us, %ns) can't go together with other directives")
    if not set(directives) & {"Y", "y", *_UNIX}:
        raise ValueError(" names no year (%Y)")
    parts = [_part(*around) for around in zip(tokens, [None, *tokens], [*tokens[1:], None], strict=False)]
    before = "(?<![0-9])" if tokens[0]["directive"] else ""
    after = "(?![0-9])" if tokens[-1]["directive"] else ""
    return TimePattern(text, re.compile(f"{before}{''.join(parts)}{after}"), tuple(directives))


def _part(token: re.Match[str], before: re.Match[str] | None, after: re.Match[str] | None) -> str:
    directive = token["directive"]
    if token["any"]:
        return "[^/]*?"
    if directive is None:
        return re.escape(token["literal"])
    if directive == "%":
        return "%"
    # A month or an hour may be written with one digit (`month=6`) if no other digits can be next to it.
    is_apart = not (before and before["directive"]) and not (after and after["directive"])
    form = "[0-9]{1,2}" if directive in _TWO and is_apart else (_DIRECTIVES | _UNIX)[directive]
    return f"({form})"
