"""Where the parts of one saved document are, its fields and the items of its list, and what they look like. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from flows.other_bodies import undecodable
from flows.sources.likeness import ENDPOINTS_BODY, holds_bodies, item_looks_like, looks_like, value_looks_like
from flows.sources.spans import MAX_PARSED, UNREAD, Cursor, Span
from flows.strict_json import NotJsonError, clean_text, load_json, refuse_depth

_MAX_FIELDS = 50_000  # each is held


class Field(NamedTuple):
    """Where a field's value is. Kept of it is the value if it is no object and no list, else what it looks like.

    `holds` is true if there may be bodies somewhere within it.
    """

    start: int
    end: int
    value: Any = UNREAD
    looks: str | None = None
    holds: bool = False


@dataclass(slots=True)
class Scanned:
    """Where the parts of a document are: a whole file, or a part of one. `trouble` says what ends it early.

    Of the items of a list only this is kept: what they look like, and whether one may hold a body (`holds`).
    `is_followed` is true if another document follows without a comma.
    """

    text: str
    start: int
    end: int
    content: bytes | None = None
    fields: dict[str, Field] = field(default_factory=dict)
    is_list: bool = False
    holds: bool = False
    looks: str | None = None
    twice: str | None = None
    trouble: str | None = None
    is_followed: bool = False

    def written(self) -> bytes:
        """The document as it is written."""
        return self.text[self.start : self.end].encode() if self.content is None else self.content

    def likeness(self) -> str:
        """What the document looks like."""
        if self.looks and not self.trouble:
            return self.looks
        if self.end - self.start > MAX_PARSED:
            return self.trouble or f"larger than {MAX_PARSED // 2**20} MiB, and no list of bodies"
        return looks_like(self.written())

    def raw(self, name: str) -> bytes:
        """The value of a field as it is written."""
        return self.text[self.fields[name].start : self.fields[name].end].encode()

    def value(self, name: str) -> Any:
        """What a field says. Raises NotJsonError."""
        value = self.fields[name].value
        return load_json(self.raw(name)) if value is UNREAD else value

    def part(self, name: str) -> Scanned:
        """The value of a field as a document of its own."""
        return _scan(Cursor(self.text, self.fields[name].start))

    def items(self) -> Iterator[Scanned]:
        """The items of a list, one at a time; what ends it early comes last, as an item with `trouble` and no text."""
        cursor = Cursor(self.text, self.start)
        try:
            for _ in cursor.items():
                yield _scan_item(cursor)
        except NotJsonError as error:
            yield Scanned(self.text, cursor.at, cursor.at, trouble=f"{error}; the rest can't be read")


def scan(content: bytes) -> Scanned:
    """The parts of one JSON document, as far as they can be followed; never raises."""
    try:
        cursor = Cursor(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return Scanned("", 0, 0, content, trouble=f"not JSON: {undecodable(content, error.start)}")
    first = cursor.peek()
    scanned = _scan(cursor)
    scanned.content, scanned.end = content, len(cursor.text)
    if first in {"[", "{"} and not scanned.trouble and cursor.peek():
        scanned.trouble = f"not JSON: Extra data at character {cursor.at}"
        scanned.is_followed = cursor.peek() in {"[", "{"}
    return scanned


def scan_sequence(text: str) -> Iterator[Scanned]:
    """The parts of documents that follow one another, as `jq` and `cat` leave them, until one can't be read."""
    cursor = Cursor(text)
    while first := cursor.peek():
        scanned = _scan(cursor)
        if first not in {"[", "{"}:
            scanned.trouble = f"not JSON: Extra data at character {cursor.at}; the rest can't be read"
        yield scanned
        if scanned.trouble:
            return


def _scan(cursor: Cursor) -> Scanned:
    first = cursor.peek()
    scanned = Scanned(cursor.text, cursor.at, cursor.at)
    try:
        if first == "[":
            scanned.is_list = True
            for scanned.holds, scanned.looks in _passed_items(cursor):
                pass
        elif first == "{":
            _scan_fields(cursor, scanned)
        elif first and first != "<":
            scanned.trouble = "not JSON: expected a list or an object"
    except NotJsonError as error:
        scanned.trouble = str(error)
    scanned.end = cursor.at
    return scanned


def _passed_items(cursor: Cursor) -> Iterator[tuple[bool, str | None]]:
    """Pass over the items of a list: whether one may hold a body until now, and what they look like."""
    holds, looks = False, None
    for _ in cursor.items():
        value = cursor.skip().value
        holds = holds or value is UNREAD or holds_bodies(value)
        looks = looks or item_looks_like(value)
        yield holds, looks


def _scan_fields(cursor: Cursor, scanned: Scanned) -> None:
    """Raises NotJsonError where the object can't be followed; what was found until then is kept."""
    data: Any = None
    error: Any = None
    is_read = True
    for key in cursor.members():
        if len(scanned.fields) >= _MAX_FIELDS:
            raise NotJsonError(f"more than {_MAX_FIELDS:,} fields in one object")
        if key in scanned.fields:
            scanned.twice = f"not JSON: the key {clean_text(key)[:100]!r} stands twice in one object"
        if cursor.peek() == "[":
            scanned.fields[key] = _unread_list(cursor)
            for holds, looks in _passed_items(cursor):
                scanned.fields[key] = scanned.fields[key]._replace(holds=holds, looks=looks)
            scanned.fields[key] = scanned.fields[key]._replace(end=cursor.at)
            continue
        span = cursor.skip()
        is_read &= span.value is not UNREAD
        scanned.fields[key] = _field(cursor.text, span)
        data, error = (span.value if key == "data" else data), (span.value if key == "error" else error)
    if is_read:
        scanned.looks = _looks(scanned, data, error, cursor.at)


def _looks(scanned: Scanned, data: Any, error: Any, end: int) -> str | None:
    """What an object looks like; None if that is for its bytes to tell."""
    found = scanned.fields.get("data")
    if found and found.value is UNREAD and not isinstance(data, dict):
        return found.looks or value_looks_like({"error": error})
    known = {name: scanned.fields[name].value for name in ("id",) if name in scanned.fields}
    if "endpoints" in scanned.fields and scanned.fields["endpoints"].value is UNREAD:
        known["endpoints"] = []
    return _checked(scanned.text, scanned.start, end, {"data": data, "error": error, **known})


def _unread_list(cursor: Cursor) -> Field:
    return Field(cursor.at, len(cursor.text))


def _field(text: str, span: Span) -> Field:
    holds = holds_bodies(span.value) or span.end - span.start > MAX_PARSED
    if isinstance(span.value, dict):
        return Field(span.start, span.end, UNREAD, _checked(text, span.start, span.end, span.value), holds)
    return Field(span.start, span.end, span.value, None, holds)


def _checked(text: str, start: int, end: int, value: dict[str, Any]) -> str | None:
    looks = value_looks_like(value)
    if looks == ENDPOINTS_BODY:
        try:
            refuse_depth(value, text, start, end)
        except NotJsonError:
            return None
    return looks


def _scan_item(cursor: Cursor) -> Scanned:
    """One item of a list. An item that is broken within its brackets costs nothing but itself."""
    first, start = cursor.peek(), cursor.at
    item = _scan(cursor)
    if item.trouble or first not in {"[", "{"}:
        cursor.at = start
        cursor.skip()
    item.end = cursor.at
    return item
