"""Where the parts of one saved document stand: its fields, and the items of its list. Pure; nothing is read yet."""

from __future__ import annotations

from dataclasses import dataclass

from flows.sources.spans import Cursor, Span
from flows.strict_json import NotJsonError, clean_text

BODY_FIELDS = ("response", "body_base64", "body")
_LEVELS = 2  # a list of walks; whatever is deeper is for the reader of bodies


@dataclass(slots=True)
class Scanned:
    """Where the parts of a document stand. `trouble` says what could not be followed after them."""

    text: str
    span: Span
    fields: dict[str, Span]
    items: list[Scanned] | None = None
    twice: str | None = None
    trouble: str | None = None

    def raw(self, field: str) -> bytes:
        """The value of a field as it is written."""
        return self.text[self.fields[field].start : self.fields[field].end].encode()

    @property
    def holds_body(self) -> bool:
        """Whether a body stands under one of its keys, as in an item of a walk."""
        return any(field in self.fields for field in BODY_FIELDS)


def scan(content: bytes) -> Scanned:
    """The parts of one JSON document, as far as they can be followed; never raises."""
    try:
        cursor = Cursor(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return Scanned("", Span(0, 0), {}, trouble=f"not JSON: not UTF-8 at byte {error.start}")
    scanned = Scanned(cursor.text, Span(0, len(cursor.text)), {})
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
    try:
        for key in cursor.members():
            if key in scanned.fields:
                scanned.twice = f"not JSON: the key {clean_text(key)[:100]!r} stands twice in one object"
            value_start = cursor.at
            if levels and key == "data" and cursor.peek() == "[":
                _scan_items(cursor, scanned, levels)
                if scanned.trouble:
                    return
                scanned.fields[key] = Span(value_start, cursor.at)
            else:
                scanned.fields[key] = cursor.skip()
        scanned.span = Span(start, cursor.at)
    except NotJsonError as error:
        scanned.trouble = str(error)


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
    item = Scanned(cursor.text, Span(start, start), {})
    if is_object:
        _scan_fields(cursor, item, levels)
    if not is_object or item.trouble:
        cursor.at = start
        item.span = cursor.skip()
    return item
