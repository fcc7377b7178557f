"""The shapes in which people save endpoints bodies. Pure: bytes in, values out.

Taken are one body; a record that holds a body, as an object or as text, beside its time, address and status; a map
from `author/slug` to any of these; a list of any of these, also within an object; and JSON Lines of any of these, or
one after the other in any layout. A body within another document is taken as it is written there: no number changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import NamedTuple

from endpoint_history.io.decode import MAX_BODY_BYTES
from endpoint_history.io.gzip_lines import RawLine
from endpoint_history.io.strict_json import NotJsonError
from endpoint_history.sources.documents.classify import (
    BODY_FIELDS,
    ENDPOINTS_BODY,
    ERROR_BODY,
    MAX_REASON,
    NO_ENDPOINTS,
    is_body_text,
    looks_like,
    not_json,
)
from endpoint_history.sources.documents.json_lines import MAX_BYTES, whole_or_lines
from endpoint_history.sources.documents.records import TIME_FIELDS, Facts, RecordFields, error_status, facts, text_body
from endpoint_history.sources.documents.scan import Scanned, scan, scan_sequence
from endpoint_history.sources.documents.spans import MAX_PARSED
from endpoint_history.text import one_line
from models.observation import TARGET_FORM, TARGET_MAX_LENGTH, Target

_OK, _NOT_FOUND = 200, 404
_MAX_LEVELS = 5  # of lists, maps and records within each other
_PIECE = 2**16
_TOO_LARGE = f"a body larger than {MAX_BODY_BYTES // 2**20} MiB"
# In a row that hold nothing and say nothing, as a request that failed does.
_MAX_EMPTY_ITEMS, _MAX_EMPTY_LINES = 1_000, 100_000


@dataclass(frozen=True, slots=True)
class Document:
    """One body of a file, or why something there is no body.

    `target` and `observed_at` (UTC, whole seconds) are what is beside the body, None if nothing is. `where` is the
    place within the file, such as `item 3` or `line 17`; empty for the whole file. With a `reason`, in one line, the
    body is None. `time_field` is the field that holds the time. `status` is 404 for the API's own "not found".
    """

    body: bytes | None
    target: Target | None = None
    observed_at: datetime | None = None
    where: str = ""
    reason: str | None = None
    time_field: str | None = field(default=None, compare=False)
    status: int = _OK


class _Around(NamedTuple):
    """What is around a document, and how it is read. `levels` is how much deeper bodies are looked for."""

    where: str
    time_fields: tuple[str, ...]
    zone: tzinfo | None
    facts: Facts = Facts()
    levels: int = _MAX_LEVELS

    def at(self, where: str) -> _Around:
        where = f"{self.where} {where}" if self.where else where
        return _Around(where, self.time_fields, self.zone, self.facts, self.levels - 1)


def documents(
    content: bytes, *, time_fields: Sequence[str] = TIME_FIELDS, zone: tzinfo | None = None
) -> Iterator[Document]:
    """Every body in a file, and every part of it that is none; never raises for what a file may hold.

    The time of a body is that of the first of `time_fields` beside it, else around it. A time that can't be read
    refuses its bodies; without `time_fields` no time is looked for. `zone` is that of times which name none.
    """
    if len(content) <= MAX_BYTES and content.find(b"\n", 0, -1) < 0:
        return _read_line(RawLine(0, 0, content), _Around("", tuple(time_fields), zone))  # nothing to be split
    pieces = (content[at : at + _PIECE] for at in range(0, len(content), _PIECE))
    return documents_in(pieces, time_fields=time_fields, zone=zone)


def documents_in(
    pieces: Iterable[bytes], *, time_fields: Sequence[str] = TIME_FIELDS, zone: tzinfo | None = None
) -> Iterator[Document]:
    """The same of a file that comes in pieces: of JSON Lines, no more than one line is held at a time.

    A ValueError of the pieces says why nothing more of the file can be read.
    """
    around = _Around("", tuple(time_fields), zone)
    lines = ((around.at(f"line {part.number}") if part.number else around, part) for part in whole_or_lines(pieces))
    yield from _limited(((place, _read_line(part, place)) for place, part in lines), _MAX_EMPTY_LINES, "lines")


def _limited(parts: Iterable[tuple[_Around, Iterator[Document]]], limit: int, what: str) -> Iterator[Document]:
    """The documents of all parts, but no more after so many parts in a row in which nothing is found."""
    empty = 0
    for place, found in parts:
        for document in found:
            yield document
            is_empty = document.reason is not None and document.reason.startswith(("not JSON", NO_ENDPOINTS))
            empty = empty + 1 if is_empty else 0
        if empty >= limit:
            yield _refused(place, f"{empty:,} {what} in a row hold no body; the rest is not read")
            return


def _read_line(part: RawLine, around: _Around) -> Iterator[Document]:
    if part.trouble:
        yield _refused(around, part.trouble)
    else:
        # A line is named by its number, not by the bytes around it; a whole file is its bytes.
        scanned = scan(part.content.strip() if part.number else part.content)
        yield from _read_sequence(scanned.text, around) if scanned.is_followed else _read(scanned, around)


def _read_sequence(text: str, around: _Around) -> Iterator[Document]:
    """Documents without a comma or a line end between them."""
    places = ((around.at(f"document {number}"), each) for number, each in enumerate(scan_sequence(text), 1))
    yield from _limited(((place, _read(each, place)) for place, each in places), _MAX_EMPTY_ITEMS, "documents")


def _read(scanned: Scanned, around: _Around) -> Iterator[Document]:
    """The documents of one scanned text."""
    if scanned.twice:
        yield _refused(around, scanned.twice)
    elif scanned.trouble and scanned.start == scanned.end and not scanned.content:
        yield _refused(around, scanned.trouble)
    elif around.levels <= 0:
        yield _refused(around, "JSON without an endpoints list where one is looked for")
    elif scanned.is_list:
        yield from _read_items(scanned, around)
    elif scanned.looks == ENDPOINTS_BODY and not scanned.trouble:
        timed = around.facts.with_time(RecordFields(scanned), around.time_fields, around.zone)
        yield _judged(scanned.written(), ENDPOINTS_BODY, around._replace(facts=timed))
    else:
        yield from _read_object(scanned, around)


def _read_items(scanned: Scanned, around: _Around) -> Iterator[Document]:
    if not scanned.holds and not scanned.trouble:
        yield _refused(around, scanned.likeness())
        return
    places = ((around.at(f"item {number}"), item) for number, item in enumerate(scanned.items(), 1))
    yield from _limited(((place, _read(item, place)) for place, item in places), _MAX_EMPTY_ITEMS, "items")


def _read_object(scanned: Scanned, around: _Around) -> Iterator[Document]:
    """What an object holds that is no body itself: a record, a map, a list around bodies, or none of these."""
    try:
        told = facts(scanned, around.facts, around.time_fields, around.zone)
    except ValueError as error:  # NotJsonError is one
        yield _refused(around, str(error))
        return
    inner = _Around(around.where, around.time_fields, around.zone, told, around.levels)
    held = _body_field(scanned)
    holding = [name for name, part in scanned.fields.items() if part.holds]
    keyed = [name for name in holding if _is_target(name)]
    if inner.facts.failure and (held or not holding):
        yield _refused(around, inner.facts.failure)
    elif keyed and not scanned.trouble:
        yield from _read_map(scanned, keyed, inner)
    elif held and not scanned.trouble:
        yield from _read_held(scanned, held, inner)
    elif holding:
        yield from _read_within(scanned, holding, inner)
    else:
        looks = scanned.likeness()
        if scanned.trouble and scanned.fields and looks in {ENDPOINTS_BODY, NO_ENDPOINTS}:
            looks = scanned.trouble
        yield _judged(b"" if scanned.trouble else scanned.written(), looks, inner)


def _read_map(scanned: Scanned, names: Sequence[str], around: _Around) -> Iterator[Document]:
    yield from _limited((_keyed(scanned, name, around) for name in names), _MAX_EMPTY_ITEMS, "items")


def _keyed(scanned: Scanned, name: str, around: _Around) -> tuple[_Around, Iterator[Document]]:
    place = around.at(name)
    place = place._replace(facts=place.facts._replace(target=Target.parse(name)))
    return place, _read(scanned.part(name), place)


def _read_within(scanned: Scanned, names: Sequence[str], around: _Around) -> Iterator[Document]:
    bodies = [name for name in names if scanned.fields[name].looks == ENDPOINTS_BODY]
    if len(bodies) > 1:
        shown = ", ".join(names[:3])
        yield _refused(around, f"several bodies ({shown}) under names that are no author/slug")
        return
    for name in names:
        part = scanned.part(name)
        yield from _read(part, around if part.is_list else around._replace(levels=around.levels - 1))
    if scanned.trouble and not any(scanned.fields[name].end == scanned.end for name in names):
        yield _refused(around, f"{scanned.trouble}; the rest can't be read")


def _is_target(name: str) -> bool:
    return len(name) <= TARGET_MAX_LENGTH and TARGET_FORM.fullmatch(name) is not None


def _body_field(scanned: Scanned) -> str | None:
    """The field that holds the body of a record: one that is called so, or the only one with such a text."""
    named = [name for name in BODY_FIELDS if name in scanned.fields]
    if named:
        return next((name for name in named if scanned.fields[name].value is not None), named[0])
    texts = [
        name
        for name, part in scanned.fields.items()
        if part.looks == ENDPOINTS_BODY or (isinstance(part.value, str) and is_body_text(part.value))
    ]
    return texts[0] if len(texts) == 1 else None


def _read_held(scanned: Scanned, name: str, around: _Around) -> Iterator[Document]:
    """The body that an object holds under one of its keys."""
    part = scanned.fields[name]
    raw = scanned.raw(name)
    if raw.startswith((b"{", b"[")):
        looks = part.looks or (looks_like(raw) if len(raw) <= MAX_PARSED else _TOO_LARGE)
        if looks != ENDPOINTS_BODY and not looks.startswith(ERROR_BODY) and part.holds:
            yield from _read(scanned.part(name), around._replace(levels=around.levels - 1))
        else:
            yield _judged(raw, looks, around)
        return
    try:
        body = text_body(name, scanned.value(name))
    except ValueError as error:
        yield _refused(around, not_json(error) if isinstance(error, NotJsonError) else str(error))
        return
    yield _judged(body, looks_like(body), around)


def _judged(body: bytes, looks: str, around: _Around) -> Document:
    told = around.facts
    status = told.status or (error_status(body) if looks.startswith(ERROR_BODY) else _OK)
    is_gone = status == _NOT_FOUND and looks.startswith(ERROR_BODY)
    if not is_gone and (looks != ENDPOINTS_BODY or told.status == _NOT_FOUND):
        return _refused(around, looks if told.status in {None, _OK} else f"HTTP {told.status}: {looks}")
    if len(body) > MAX_BODY_BYTES:
        return _refused(around, _TOO_LARGE)
    if isinstance(told.time, str):
        return _refused(around, told.time)
    status = _NOT_FOUND if is_gone else _OK
    return Document(body, told.target, told.time, around.where, time_field=told.time_field, status=status)


def _refused(around: _Around, reason: str) -> Document:
    return Document(None, where=one_line(around.where, MAX_REASON), reason=one_line(reason, MAX_REASON))
