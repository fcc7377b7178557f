"""Where the parts of one saved document stand, its fields and the items of its list, and what they look like. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from flows.sources.likeness import ENDPOINTS_BODY, looks_like, value_looks_like
from flows.sources.spans import UNREAD, Cursor, Span
from flows.strict_json import NotJsonError, clean_text, load_json, refuse_depth

BODY_FIELDS = ("response", "body_base64", "body")
_LEVELS = 2  # a list of walks; whatever is deeper is for the reader of bodies


class Field(NamedTuple):
    """Where a field's value stands. Kept of it is the value where it is small, else what it looks like."""

    start: int
    end: int
    value: Any = UNREAD
    looks: str | None = None


@dataclass(slots=True)
class Scanned:
    """Where the parts of a document stand: a whole file, or an item of one. `trouble` says what ends them early."""

    text: str
    start: int
    end: int
    fields: dict[str, Field]
    content: bytes | None = None
    looks: str | None = None
    items: list[Scanned] | None = None
    twice: str | None = None
    trouble: str | None = None

    def written(self) -> bytes:
        """The document as it is written."""
        return self.text[self.start : self.end].encode() if self.content is None else self.content

    def likeness(self) -> str:
        """What the document looks like."""
        return (not self.trouble and self.looks) or looks_like(self.written())

    def raw(self, field: str) -> bytes:
        """The value of a field as it is written."""
        return self.text[self.fields[field].start : self.fields[field].end].encode()

    def value(self, field: str) -> Any:
        """What a field says. Raises NotJsonError."""
        value = self.fields[field].value
        return load_json(self.raw(field)) if value is UNREAD else value

    @property
    def holds_body(self) -> bool:
        """Whether a body stands under one of its keys, as in an item of a walk."""
        return not self.fields.keys().isdisjoint(BODY_FIELDS)


def scan(content: bytes) -> Scanned:
    """The parts of one JSON document, as far as they can be followed; never raises."""
    try:
        cursor = Cursor(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return Scanned("", 0, 0, {}, content, trouble=f"not JSON: not UTF-8 at byte {error.start}")
    scanned = Scanned(cursor.text, 0, len(cursor.text), {}, content)
    first = cursor.peek()
    if first == "[":
        _scan_items(cursor, scanned, _LEVELS)
    elif first == "{":
        _scan_fields(cursor, scanned, _LEVELS)
    elif first and first != "<":
        scanned.trouble = "not JSON: expected a list or an object"
    if first in {"[", "{"} and not scanned.trouble and cursor.peek():
        scanned.trouble = f"not JSON: Extra data at character {cursor.at}"
    return scanned


def _scan_fields(cursor: Cursor, scanned: Scanned, levels: int) -> None:
    start = cursor.at
    values: dict[str, Any] = {}
    try:
        for key in cursor.members():
            if key in scanned.fields:
                scanned.twice = f"not JSON: the key {clean_text(key)[:100]!r} stands twice in one object"
            if levels and key == "data" and cursor.peek() == "[":
                value_start = cursor.at
                _scan_items(cursor, scanned, levels)
                if scanned.trouble:
                    return
                span = Span(value_start, cursor.at)
            else:
                span = cursor.skip()
            values[key] = span.value
            scanned.fields[key] = _field(cursor.text, span)
    except NotJsonError as error:
        scanned.trouble = str(error)
        return
    if "data" in values:
        scanned.looks = _looks(cursor.text, Span(start, cursor.at, values))


def _field(text: str, span: Span) -> Field:
    if isinstance(span.value, dict):
        return Field(span.start, span.end, looks=_looks(text, span))
    return Field(span.start, span.end, UNREAD if isinstance(span.value, list) else span.value)


def _looks(text: str, span: Span) -> str | None:
    """What an object looks like; None where that is for its bytes to tell."""
    if any(value is UNREAD for value in span.value.values()):
        return None
    looks = value_looks_like(span.value)
    if looks == ENDPOINTS_BODY:
        try:
            refuse_depth(span.value, text, span.start, span.end)
        except NotJsonError:
            return None
    return looks


def _scan_items(cursor: Cursor, scanned: Scanned, levels: int) -> None:
    scanned.items = []
    try:
        for _ in cursor.items():
            scanned.items.append(_scan_item(cursor, levels - 1))
    except NotJsonError as error:
        scanned.trouble = str(error)


def _scan_item(cursor: Cursor, levels: int) -> Scanned:
    """One item of a list. An item that is broken within its brackets costs nothing but itself."""
    is_object, start = cursor.peek() == "{", cursor.at
    item = Scanned(cursor.text, start, start, {})
    if is_object:
        _scan_fields(cursor, item, levels)
    if not is_object or item.trouble:
        cursor.at = start
        cursor.skip()
    item.end = cursor.at
    return item
