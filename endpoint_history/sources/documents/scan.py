"""Where the parts of one saved document are, its fields and the items of its list, and what they look like. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from endpoint_history.io.other_bodies import undecodable
from endpoint_history.io.strict_json import NotJsonError, clean_text, load_json, refuse_depth
from endpoint_history.sources.documents.classify import (
    BODY_FIELDS,
    ENDPOINTS_BODY,
    holds_bodies,
    is_error,
    item_looks_like,
    looks_like,
    value_looks_like,
)
from endpoint_history.sources.documents.spans import MAX_KEPT, MAX_PARSED, UNREAD, Cursor, ValueSpan

_MAX_FIELDS = 50_000  # each is held
_LEVELS = 2  # of lists within each other whose items are kept, as in a list of walks
_ITEM = 4  # as many fields take the memory of an item


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

    `holds` is true if there may be bodies somewhere within it. Of a list the first items are `kept`, so that they are
    not read twice; `rest` is the place of the others, of which only what they look like and whether they hold is known.
    `is_followed` is true if another document follows without a comma.
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
        return self.lists.get(name) or _scan(Cursor(self.text, self.fields[name].start))

    def looks_as_item(self) -> str | None:
        """What a list of such objects is, if that tells."""
        if "data" in self.fields or self.trouble or self.twice:
            return None
        is_list = {name: self.text.startswith("[", part.start) for name, part in self.fields.items()}
        return item_looks_like({name: [] if is_list[name] else None for name in is_list})

    def items(self) -> Iterator[Scanned]:
        """The items of a list, one at a time; what ends it early comes last, as an item with `trouble` and no text."""
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


def _scan(cursor: Cursor, levels: int = _LEVELS) -> Scanned:
    """One value. `levels` is how many levels of lists keep their items, here and in what is within."""
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
    """Pass over the items of a list. Raises NotJsonError where it can't be followed; what was found is kept."""
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
            _scan_list_field(cursor, scanned, key, levels)
            continue
        span = cursor.skip()
        is_read &= span.value is not UNREAD
        data, error = (span.value if key == "data" else data), (span.value if key == "error" else error)
        is_body = key == "data" and value_looks_like({key: span.value}) == ENDPOINTS_BODY
        scanned.fields[key] = _field(cursor.text, span, is_body=is_body)
    if is_read:
        scanned.looks = _looks(scanned, data, error, cursor.at)
    scanned.holds = not is_read or scanned.twice is not None or _holds(scanned, data, error)


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


def _holds(scanned: Scanned, data: Any, error: Any) -> bool:
    """True if an object is a body or a record of one, or if there may be one in its fields."""
    fields = scanned.fields
    is_body = isinstance(data, dict) and isinstance(data.get("endpoints"), list)
    is_record = not fields.keys().isdisjoint(BODY_FIELDS)
    return is_body or is_record or is_error(error) or any(part.holds for part in fields.values())


def _looks(scanned: Scanned, data: Any, error: Any, end: int) -> str | None:
    """What an object looks like; None if that is for its bytes to tell."""
    found = scanned.fields.get("data")
    if found and found.value is UNREAD and not isinstance(data, dict):
        return found.looks or value_looks_like({"error": error})
    known = {name: scanned.fields[name].value for name in ("id",) if name in scanned.fields}
    if "endpoints" in scanned.fields and scanned.fields["endpoints"].value is UNREAD:
        known["endpoints"] = []
    return _checked(scanned.text, scanned.start, end, {"data": data, "error": error, **known})


def _field(text: str, span: ValueSpan, *, is_body: bool) -> Field:
    """`is_body` is True for the data of an endpoints body, which are not searched for others."""
    holds = span.end - span.start > MAX_PARSED or (not is_body and holds_bodies(span.value))
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


def _scan_item(cursor: Cursor, levels: int) -> Scanned:
    """One item of a list. An item that is broken within its brackets costs nothing but itself."""
    first, start = cursor.peek(), cursor.at
    item = _scan(cursor, levels)
    if item.trouble or first not in {"[", "{"}:
        item.holds = True
        cursor.at = start
        cursor.skip()
    item.end = cursor.at
    return item
