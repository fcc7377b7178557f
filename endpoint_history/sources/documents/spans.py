"""The places of the values in a JSON text, so that a part can be returned as it is written. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from copy import copy
from json.decoder import scanstring  # type: ignore[attr-defined] # json's own, which typeshed does not list
from typing import Any, NamedTuple

from endpoint_history.io.strict_json import DECODER, NotJsonError
from endpoint_history.sources.documents.classify import Looks

UNREAD = object()  # the value of what load_json would refuse
# Each costs a search for its end, and the parser counts the lines before it: without a limit that is quadratic.
MAX_BROKEN = 100
# Larger objects and lists are not parsed as a whole: they take thirty times their text. No body is as large.
MAX_PARSED = 6 * 2**20
# Of the parts of a document, fields and items, which are held for as long as it is read; others are scanned twice.
MAX_KEPT = 10_000
# For what load_json refuses: numbers as text can't be too long.
_LENIENT = json.JSONDecoder(parse_float=str, parse_int=str)
_BLANK = re.compile(r"[ \t\n\r]*")
_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
# It matches to the end of the text, too: from there it would be tried again at every character.
_BRACKETS = re.compile(
    rf'(?:[^\[\]{{}}"]++|{_STRING.pattern})*+(?:(?P<opened>[\[{{]+)|(?P<closed>[\]}}]+)|\Z)', re.DOTALL
)
_BARE = re.compile(r"[^\s,\[\]{}\"]+")


class ValueSpan(NamedTuple):
    """The place of a value, in characters, the end exclusive, and the value."""

    start: int
    end: int
    value: Any = UNREAD


class Field(NamedTuple):
    """The place of a field, with its value, or with what it looks like if it is an object or a list.

    `holds` is True if it may contain bodies.
    """

    start: int
    end: int
    value: Any = UNREAD
    looks: Looks | None = None
    holds: bool = False


class Cursor:
    """A place in a JSON text that advances value by value, also over broken ones.

    Only the brackets, commas and keys that it passes are checked. A loop over `items` or `members` must pass each value
    with `skip` or a loop of its own. All methods raise NotJsonError where the text is broken.
    """

    def __init__(self, text: str, at: int = 0) -> None:
        self.text = text
        self.at = at
        self.to_keep = MAX_KEPT
        self._broken = 0

    def copy(self) -> Cursor:
        """Return a second cursor at the same place."""
        return copy(self)

    def peek(self) -> str:
        """Move to the next character that is not blank, and return it; empty at the end."""
        char = self.text[self.at : self.at + 1]
        if char in " \t\n\r" and (blank := _BLANK.match(self.text, self.at)):
            self.at = blank.end()
            char = self.text[self.at : self.at + 1]
        return char

    def skip(self) -> ValueSpan:
        """Pass one value of any kind, and return its place; a broken list or object ends with its bracket."""
        self.peek()
        start = self.at
        if len(self.text) - start > MAX_PARSED and self.text[start] in "[{":
            end = self._end_of_broken(start)
            if end - start > MAX_PARSED:
                self.at = end
                return ValueSpan(start, end)
        try:
            value, self.at = DECODER.raw_decode(self.text, start)
        except (ValueError, ArithmeticError, RecursionError):
            self._broken += 1
            if self._broken > MAX_BROKEN:
                raise NotJsonError(f"not JSON: {self._broken} broken values up to character {start}") from None
            value, self.at = UNREAD, self._end_of_unread(start)
        return ValueSpan(start, self.at, value)

    def items(self, *, is_inside: bool = False) -> Iterator[None]:
        """Stop at each value of the list that begins here, or, if `is_inside`, one of whose values begins here."""
        if not is_inside:
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
            yield self._key()
            if self._take(",}") == "}":
                return

    def _key(self) -> str:
        """Take a key and its colon."""
        if self.peek() != '"':
            raise self._unexpected("a key in quotes")
        try:
            key, self.at = scanstring(self.text, self.at + 1)
        except ValueError:
            raise self._unexpected("a key in quotes") from None
        self._take(":")
        return str(key)

    def _take(self, expected: str) -> str:
        found = self.text[self.at : self.at + 1]
        if not found or found not in expected:  # there may be blanks before it
            found = self.peek()
        if not found or found not in expected:
            raise self._unexpected(" or ".join(repr(one) for one in expected))
        self.at += 1
        return found

    def _unexpected(self, expected: str) -> NotJsonError:
        if not self.peek():
            return NotJsonError(f"not JSON: cut off at character {self.at}")
        return NotJsonError(f"not JSON: expected {expected} at character {self.at}")

    def _end_of_unread(self, start: int) -> int:
        try:
            _, end = _LENIENT.raw_decode(self.text, start)
        except (ValueError, RecursionError):
            return self._end_of_broken(start)
        return end

    def _end_of_broken(self, start: int) -> int:
        if self.text[start : start + 1] not in {"[", "{"}:
            match = _STRING.match(self.text, start) or _BARE.match(self.text, start)
            if not match:
                raise self._unexpected("a value")
            return match.end()
        depth = 0
        for match in _BRACKETS.finditer(self.text, start):
            closed = len(match["closed"] or "")
            if closed and closed >= depth:
                return match.start("closed") + depth
            depth += len(match["opened"] or "") - closed
        raise NotJsonError(f"not JSON: what begins at character {start} has no end")
