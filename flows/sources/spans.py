"""Where the values of a JSON text stand, so that a part can be taken as it is written. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from flows.strict_json import NotJsonError

# Numbers are looked at by nobody here: as text they can't be too long.
_DECODER = json.JSONDecoder(parse_float=str, parse_int=str)
_BLANK = re.compile(r"[ \t\n\r]*")
_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_BRACKET_OR_STRING = re.compile(rf"[\[\]{{}}]|{_STRING.pattern}", re.DOTALL)
_BARE = re.compile(r"[^\s,\[\]{}\"]+")


@dataclass(frozen=True, slots=True)
class Span:
    """From where to where a value stands, in characters, the end excluded."""

    start: int
    end: int


class Cursor:
    """A place in a JSON text that goes on value by value, over broken ones too.

    Only what it steps through itself is checked. Whoever loops over `items` or `members` takes each value, by `skip`
    or by a loop of its own. All raise NotJsonError where the text can't be followed.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def peek(self) -> str:
        """The next character that is not blank, which is then the next to be taken; empty at the end."""
        blank = _BLANK.match(self.text, self.at)
        self.at = blank.end() if blank else self.at
        return self.text[self.at : self.at + 1]

    def skip(self) -> Span:
        """Pass over one value of any kind; a broken list or object ends with its bracket."""
        self.peek()
        start = self.at
        try:
            _, self.at = _DECODER.raw_decode(self.text, start)
        except (ValueError, RecursionError):
            self.at = self._end_of_broken(start)
        return Span(start, self.at)

    def items(self) -> Iterator[None]:
        """Stop at each value of the list that begins here."""
        self._take("[")
        if self.peek() == "]":
            self.at += 1
            return
        while True:
            yield
            if self._take(",]") == "]":
                return

    def members(self) -> Iterator[str]:
        """Stop at the value of each key of the object that begins here."""
        self._take("{")
        if self.peek() == "}":
            self.at += 1
            return
        while True:
            key = self._key()
            self._take(":")
            yield key
            if self._take(",}") == "}":
                return

    def _key(self) -> str:
        if self.peek() != '"':
            raise self._unexpected("a key in quotes")
        try:
            key, self.at = _DECODER.raw_decode(self.text, self.at)
        except ValueError:
            raise self._unexpected("a key in quotes") from None
        return str(key)

    def _take(self, expected: str) -> str:
        found = self.peek()
        if not found or found not in expected:
            raise self._unexpected(" or ".join(repr(one) for one in expected))
        self.at += 1
        return found

    def _unexpected(self, expected: str) -> NotJsonError:
        if not self.peek():
            return NotJsonError(f"not JSON: cut off at character {self.at}")
        return NotJsonError(f"not JSON: expected {expected} at character {self.at}")

    def _end_of_broken(self, start: int) -> int:
        if self.text[start : start + 1] not in {"[", "{"}:
            match = _STRING.match(self.text, start) or _BARE.match(self.text, start)
            if not match:
                raise self._unexpected("a value")
            return match.end()
        depth = 0
        for match in _BRACKET_OR_STRING.finditer(self.text, start):
            depth += (match[0] in "[{") - (match[0] in "]}")
            if not depth:
                return match.end()
        raise NotJsonError(f"not JSON: what begins at character {start} has no end")
