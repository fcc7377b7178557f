"""The shapes in which people save endpoints bodies. Pure: bytes in, values out.

They are: one body; a record of a body, as an object or text, with its time, address and status; a map from
`author/slug` to any of these; a list of any of these, also in an object; and JSON Lines or a sequence of any of these.
A body in another document is returned as it is written there: no number changes.
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
    ENDPOINTS_BODY,
    MAX_REASON,
    NO_ENDPOINTS,
    Kind,
    Looks,
    looks_like,
    not_json,
)
from endpoint_history.sources.documents.json_lines import MAX_BYTES, whole_or_lines
from endpoint_history.sources.documents.records import (
    TIME_FIELDS,
    Facts,
    RecordFields,
    body_field,
    error_status,
    facts,
    text_body,
)
from endpoint_history.sources.documents.scan import Scanned, scan, scan_sequence
from endpoint_history.sources.documents.spans import MAX_PARSED
from endpoint_history.text import one_line
from models.observation import TARGET_FORM, TARGET_MAX_LENGTH, Target

_OK, _NOT_FOUND = 200, 404
_MAX_LEVELS = 5  # of lists, maps and records within each other
_PIECE = 2**16
_TOO_LARGE = Looks(Kind.OTHER, f"a body larger than {MAX_BODY_BYTES // 2**20} MiB")
# So many without a body in a row end the reading; a record of a failed request does not count as one.
_MAX_EMPTY_ITEMS, _MAX_EMPTY_LINES = 1_000, 100_000


@dataclass(frozen=True, slots=True)
class Document:
    """One body of a file, or the reason why a part of the file is no body.

    `target` and `observed_at` (UTC, whole seconds) are those beside the body, if any. `where` is the place in the file,
    such as `item 3` or `line 17`; empty for the whole file. With a `reason`, in one line, the body is None; `is_empty`
    is True if not even a failed request is there. `status` is 404 for the API's own "not found".
    """

    body: bytes | None
    target: Target | None = None
    observed_at: datetime | None = None
    where: str = ""
    reason: str | None = None
    time_field: str | None = field(default=None, compare=False)
    status: int = _OK
    is_empty: bool = field(default=False, compare=False)


class _Around(NamedTuple):
    """The context of a document: its place, the facts around it, and how many `levels` deeper bodies are expected."""

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
    """Yield every body in a file, and a refusal for every part that is none. Never raises.

    The time of a body is that of the first of `time_fields` beside or around it. `zone` is that of times without one.
    """
    if len(content) <= MAX_BYTES and content.find(b"\n", 0, -1) < 0:
        return _read_line(RawLine(0, 0, content), _Around("", tuple(time_fields), zone))  # nothing to be split
    pieces = (content[at : at + _PIECE] for at in range(0, len(content), _PIECE))
    return documents_in(pieces, time_fields=time_fields, zone=zone)


def documents_in(
    pieces: Iterable[bytes], *, time_fields: Sequence[str] = TIME_FIELDS, zone: tzinfo | None = None
) -> Iterator[Document]:
    """Yield the same for a file that comes in pieces. Of JSON Lines, one line is in memory at a time.

    A ValueError of the pieces is the reason why the rest of the file can't be read.
    """
    around = _Around("", tuple(time_fields), zone)
    lines = ((around.at(f"line {part.number}") if part.number else around, part) for part in whole_or_lines(pieces))
    yield from _limited(((place, _read_line(part, place)) for place, part in lines), _MAX_EMPTY_LINES, "lines")


def _limited(parts: Iterable[tuple[_Around, Iterator[Document]]], limit: int, what: str) -> Iterator[Document]:
    """Yield the documents of all parts, up to `limit` parts in a row without any."""
    empty = 0
    for place, found in parts:
        for document in found:
            yield document
            empty = empty + 1 if document.is_empty else 0
        if empty >= limit:
            yield _refused(place, f"{empty:,} {what} in a row hold no body; the rest is not read")
            return


def _read_line(part: RawLine, around: _Around) -> Iterator[Document]:
    if part.trouble:
        yield _refused(around, part.trouble)
    else:
        # The place of a line is its number; the bytes of a whole file stay as they are.
        scanned = scan(part.content.strip() if part.number else part.content)
        yield from _read_sequence(scanned.text, around) if scanned.is_followed else _read(scanned, around)


def _read_sequence(text: str, around: _Around) -> Iterator[Document]:
    """Read documents without a comma or a line end between them."""
    places = ((around.at(f"document {number}"), each) for number, each in enumerate(scan_sequence(text), 1))
    yield from _limited(((place, _read(each, place)) for place, each in places), _MAX_EMPTY_ITEMS, "documents")


def _read(scanned: Scanned, around: _Around) -> Iterator[Document]:
    """Yield the documents of one scanned text."""
    if scanned.twice:
        yield _refused(around, scanned.twice, is_empty=True)
    elif scanned.trouble and scanned.start == scanned.end and not scanned.content:
        yield _refused(around, scanned.trouble, is_empty=True)
    elif around.levels <= 0:
        yield _refused(around, f"{NO_ENDPOINTS.text} where one is expected", is_empty=True)
    elif scanned.is_list:
        yield from _read_items(scanned, around)
    elif scanned.looks == ENDPOINTS_BODY and not scanned.trouble:
        timed = around.facts.with_time(RecordFields(scanned), around.time_fields, around.zone)
        yield _judged(scanned.written(), ENDPOINTS_BODY, around._replace(facts=timed))
    else:
        yield from _read_object(scanned, around)


def _read_items(scanned: Scanned, around: _Around) -> Iterator[Document]:
    if not scanned.holds and not scanned.trouble:
        yield _judged(b"", scanned.likeness(), around)
        return
    places = ((around.at(f"item {number}"), item) for number, item in enumerate(scanned.items(), 1))
    yield from _limited(((place, _read(item, place)) for place, item in places), _MAX_EMPTY_ITEMS, "items")


def _read_object(scanned: Scanned, around: _Around) -> Iterator[Document]:
    """Read an object that is no body itself: a record, a map, an object around bodies, or none of these."""
    try:
        known = facts(scanned, around.facts, around.time_fields, around.zone)
    except ValueError as error:  # NotJsonError is one
        yield _refused(around, str(error))
        return
    inner = _Around(around.where, around.time_fields, around.zone, known, around.levels)
    held = body_field(scanned)
    holding = [name for name, part in scanned.fields.items() if part.holds]
    keyed = [name for name in holding if _is_target(name)]
    if inner.facts.failure and (held or not holding):
        yield _refused(around, inner.facts.failure)
    elif keyed and not scanned.trouble:
        yield from _limited((_keyed(scanned, name, inner) for name in keyed), _MAX_EMPTY_ITEMS, "items")
    elif held and not scanned.trouble:
        yield from _read_held(scanned, held, inner)
    elif holding:
        yield from _read_within(scanned, holding, inner)
    else:
        looks = scanned.likeness()
        if scanned.trouble and scanned.fields and looks in {ENDPOINTS_BODY, NO_ENDPOINTS}:
            looks = Looks(Kind.NOTHING, scanned.trouble)
        yield _judged(b"" if scanned.trouble else scanned.written(), looks, inner)


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


def _read_held(scanned: Scanned, name: str, around: _Around) -> Iterator[Document]:
    """Read the body that a record holds in this field."""
    part = scanned.fields[name]
    raw = scanned.raw(name)
    if raw.startswith((b"{", b"[")):
        looks = part.looks or (looks_like(raw) if len(raw) <= MAX_PARSED else _TOO_LARGE)
        if looks != ENDPOINTS_BODY and looks.kind is not Kind.ERROR and part.holds:
            yield from _read(scanned.part(name), around._replace(levels=around.levels - 1))
        else:
            yield _judged(raw, looks, around)
        return
    try:
        body = text_body(name, scanned.value(name))
    except NotJsonError as error:
        yield _refused(around, not_json(error), is_empty=True)
    except ValueError as error:
        yield _refused(around, str(error))
    else:
        yield _judged(body, looks_like(body), around)


def _judged(body: bytes, looks: Looks, around: _Around) -> Document:
    known, is_error = around.facts, looks.kind is Kind.ERROR
    is_gone = is_error and (known.status or error_status(body)) == _NOT_FOUND
    if not is_gone and (looks != ENDPOINTS_BODY or known.status == _NOT_FOUND):
        if known.status not in {None, _OK}:
            return _refused(around, f"HTTP {known.status}: {looks.text}")
        return _refused(around, looks.text, is_empty=looks.kind is Kind.NOTHING)
    if len(body) > MAX_BODY_BYTES:
        return _refused(around, _TOO_LARGE.text)
    if isinstance(known.time, str):
        return _refused(around, known.time)
    status = _NOT_FOUND if is_gone else _OK
    return Document(body, known.target, known.time, around.where, time_field=known.time_field, status=status)


def _refused(around: _Around, reason: str, *, is_empty: bool = False) -> Document:
    where, line = one_line(around.where, MAX_REASON), one_line(reason, MAX_REASON)
    return Document(None, where=where, reason=line, is_empty=is_empty)
