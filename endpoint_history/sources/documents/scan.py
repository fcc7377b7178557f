"""Find the parts of one saved document, its fields and list items, and what they look like. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from endpoint_history.io.other_bodies import undecodable
from endpoint_history.io.strict_json import NotJsonError, clean_text, load_json
from endpoint_history.sources.documents.classify import (
    BODY_FIELDS,
    ENDPOINTS_BODY,
    Kind,
    Looks,
    holds_bodies,
    is_error,
    item_looks_like,
    looks_like,
    part_looks_like,
    value_looks_like,
)
from endpoint_history.sources.documents.spans import MAX_KEPT, MAX_PARSED, UNREAD, Cursor, Field, ValueSpan

_MAX_FIELDS = 50_000  # each is held
_LEVELS = 2  # of lists within each other whose items are kept, as in a list of walks
_ITEM = 4  # as many fields take the memory of an item


@dataclass(slots=True)
class Scanned:
    """The places of the parts of a document. `trouble` is the reason if it ends early; `holds`: it may contain bodies.

    The first items of a list are `kept`, so that they are scanned once; `rest` is the place of the others.
    `is_followed` is True if another document follows without a comma.
    """

    text: str
    start: int
    end: int
    content: bytes | None = None
    fields: dict[str, Field] = field(default_factory=dict)
    lists: dict[str, Scanned] = field(default_factory=dict)
    is_list: bool = False
    kept: list[Scanned] = field(default_factory=list)
    rest: Cursor | None = None
    holds: bool = False
    looks: Looks | None = None
    twice: str | None = None
    trouble: str | None = None
    is_followed: bool = False

    def written(self) -> bytes:
        """Return the document as it is written."""
        return self.text[self.start : self.end].encode() if self.content is None else self.content

    def likeness(self) -> Looks:
        """Return what the document looks like."""
        if self.looks and not self.trouble:
            return self.looks
        if self.end - self.start > MAX_PARSED:
            too_large = f"larger than {MAX_PARSED // 2**20} MiB, and no list of bodies"
            return Looks(Kind.NOTHING, self.trouble) if self.trouble else Looks(Kind.OTHER, too_large)
        return looks_like(self.written())

    def raw(self, name: str) -> bytes:
        """Return the value of a field as it is written."""
        return self.text[self.fields[name].start : self.fields[name].end].encode()

    def value(self, name: str) -> Any:
        """Return the value of a field. Raises NotJsonError."""
        value = self.fields[name].value
        return load_json(self.raw(name)) if value is UNREAD else value

    def part(self, name: str) -> Scanned:
        """Return the value of a field as a document of its own."""
        return self.lists.get(name) or _scan(Cursor(self.text, self.fields[name].start))

    def looks_as_item(self) -> Looks | None:
        """Return what a list of such objects looks like; None if one does not show it."""
        if "data" in self.fields or self.trouble or self.twice:
            return None
        is_list = {name: self.text.startswith("[", part.start) for name, part in self.fields.items()}
        return item_looks_like({name: [] if is_list[name] else None for name in is_list})

    def items(self) -> Iterator[Scanned]:
        """Yield the items of a list; if it ends early, the last one has only the `trouble`."""
        yield from self.kept
        trouble, end = self.trouble, self.end
        if self.rest is not None:
            cursor = self.rest.copy()
            try:
                for _ in cursor.items(is_inside=True):
                    cursor.to_keep = MAX_KEPT
                    yield _scan_item(cursor, _LEVELS)
            except NotJsonError as error:
                trouble, end = str(error), cursor.at
        if trouble:
            yield Scanned(self.text, end, end, trouble=f"{trouble}; the rest can't be read")


def scan(content: bytes) -> Scanned:
    """Return the parts of one JSON document, up to where it is broken. Never raises."""
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
    """Yield the parts of each document of a sequence, as `jq` and `cat` write them, until one is broken."""
    cursor = Cursor(text)
    while first := cursor.peek():
        scanned = _scan(cursor)
        if first not in {"[", "{"}:
            scanned.trouble = f"not JSON: Extra data at character {cursor.at}; the rest can't be read"
        yield scanned
        if scanned.trouble:
            return


def _scan(cursor: Cursor, levels: int = _LEVELS) -> Scanned:
    """Scan one value. `levels` is how many levels of lists keep their items."""
    first = cursor.peek()
    scanned = Scanned(cursor.text, cursor.at, cursor.at)
    try:
        if first == "[":
            _scan_list(cursor, scanned, levels)
        elif first == "{":
            _scan_fields(cursor, scanned, levels)
        elif first and first != "<":
            scanned.trouble = "not JSON: expected a list or an object"
    except NotJsonError as error:
        scanned.trouble = str(error)
    scanned.end = cursor.at
    return scanned


def _scan_list(cursor: Cursor, scanned: Scanned, levels: int) -> None:
    """Scan a list. Raises NotJsonError where it is broken; the items found until then are kept."""
    scanned.is_list = True
    for _ in cursor.items():
        if levels and cursor.to_keep > 0 and scanned.rest is None and cursor.peek() == "{":
            item = _scan_item(cursor, levels - 1)
            cursor.to_keep -= _ITEM + len(item.fields)
            scanned.kept.append(item)
            scanned.holds = scanned.holds or item.holds
            if not scanned.holds:  # else what it looks like is not asked for
                scanned.looks = scanned.looks or item.looks_as_item()
            continue
        if scanned.rest is None:
            scanned.rest = cursor.copy()
        value = cursor.skip().value
        scanned.holds = scanned.holds or value is UNREAD or holds_bodies(value)
        if not scanned.holds:
            scanned.looks = scanned.looks or item_looks_like(value)


def _scan_fields(cursor: Cursor, scanned: Scanned, levels: int) -> None:
    """Scan an object. Raises NotJsonError where it is broken; the fields found until then are kept."""
    data: Any = None
    error: Any = None
    is_read = True
    for key in cursor.members():
        if len(scanned.fields) >= _MAX_FIELDS:
            raise NotJsonError(f"more than {_MAX_FIELDS:,} fields in one object")
        if key in scanned.fields:
            scanned.twice = f"not JSON: the key {clean_text(key)[:100]!r} stands twice in one object"
        if cursor.peek() == "[":
            _scan_list_field(cursor, scanned, key, levels)
            continue
        span = cursor.skip()
        is_read &= span.value is not UNREAD
        data, error = (span.value if key == "data" else data), (span.value if key == "error" else error)
        is_data = key == "data" and value_looks_like({key: span.value}) == ENDPOINTS_BODY
        scanned.fields[key] = _field(cursor.text, span, is_body=is_data)
    if is_read:
        scanned.looks = _looks(scanned, data, error, cursor.at)
    is_body = isinstance(data, dict) and isinstance(data.get("endpoints"), list)
    is_record = not scanned.fields.keys().isdisjoint(BODY_FIELDS)
    is_broken = not is_read or scanned.twice is not None
    may_hold = is_body or is_record or is_broken or is_error(error)
    scanned.holds = may_hold or any(part.holds for part in scanned.fields.values())


def _scan_list_field(cursor: Cursor, scanned: Scanned, key: str, levels: int) -> None:
    """Raises NotJsonError, as _scan_fields."""
    part = Scanned(cursor.text, cursor.at, len(cursor.text))
    end = part.end
    try:
        _scan_list(cursor, part, levels)
        end = cursor.at
    except NotJsonError as error:
        part.trouble = str(error)
        raise
    finally:
        part.end = cursor.at
        scanned.fields[key] = Field(part.start, end, UNREAD, part.looks, part.holds)
        cursor.to_keep -= 1
        if cursor.to_keep > 0:
            scanned.lists[key] = part


def _looks(scanned: Scanned, data: Any, error: Any, end: int) -> Looks | None:
    """Return what an object looks like; None if only its bytes show it."""
    found = scanned.fields.get("data")
    if found and found.value is UNREAD and not isinstance(data, dict):
        return found.looks or value_looks_like({"error": error})
    known = {name: scanned.fields[name].value for name in ("id",) if name in scanned.fields}
    if "endpoints" in scanned.fields and scanned.fields["endpoints"].value is UNREAD:
        known["endpoints"] = []
    return part_looks_like({"data": data, "error": error, **known}, scanned.text, scanned.start, end)


def _field(text: str, span: ValueSpan, *, is_body: bool) -> Field:
    """Return a field; `is_body` is True for the data of an endpoints body, which is not searched for others."""
    holds = span.end - span.start > MAX_PARSED or (not is_body and holds_bodies(span.value))
    if isinstance(span.value, dict):
        return Field(span.start, span.end, UNREAD, part_looks_like(span.value, text, span.start, span.end), holds)
    return Field(span.start, span.end, span.value, None, holds)


def _scan_item(cursor: Cursor, levels: int) -> Scanned:
    """Scan one item of a list. If it is broken inside its brackets, only this item is lost."""
    first, start = cursor.peek(), cursor.at
    item = _scan(cursor, levels)
    if item.trouble or first not in {"[", "{"}:
        item.holds = True
        cursor.at = start
        cursor.skip()
    item.end = cursor.at
    return item
