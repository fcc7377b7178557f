"""The shapes in which people save endpoints bodies, and what other files look like. Pure: bytes in, values out.

Taken are one body, a list of bodies, a walk (`fetchedAt`, and `data` whose items hold a body each under `response`),
objects that hold a body under `response` or `body` beside its time, and JSON Lines of any of these. A body that stands
within another document is taken as it is written there: no number changes its text.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo

from flows.decode import MAX_BODY_BYTES
from flows.sources.likeness import ENDPOINTS_BODY, looks_like, not_json, one_line
from flows.sources.scan import BODY_FIELDS, Scanned, scan
from flows.sources.times import read_time
from flows.strict_json import NotJsonError
from models.observation import Target

TIME_FIELDS = ("observed_at", "fetched_at", "fetchedAt", "timestamp")
_DETAILS_PATH = re.compile(r"(?:https?://[^/]+)?(?:/api/v1)?/models/(?P<target>[^/?]+/[^/?]+)(?:/endpoints)?/?")


@dataclass(frozen=True, slots=True)
class Document:
    """One body of a file, or why something there is no body.

    `target` and `observed_at` (UTC, whole seconds) are what stands beside the body, None where nothing does. `where` is
    the place within the file, such as `item 3` or `line 17`; empty for the whole file. With a `reason`, in one line,
    the body is None. `time_field` is the field that holds the time. `status` is 404 for the API's own "not found".
    """

    body: bytes | None
    target: Target | None = None
    observed_at: datetime | None = None
    where: str = ""
    reason: str | None = None
    time_field: str | None = field(default=None, compare=False)
    status: int = 200


def documents(
    content: bytes, *, time_fields: Sequence[str] = TIME_FIELDS, zone: tzinfo | None = None
) -> Iterator[Document]:
    """Every body in a file, and every part of it that is none; never raises for what a file may hold.

    The time of a body is that of the first of `time_fields` beside it or, for an item, beside the list it is in. A time
    that can't be read refuses its bodies; without `time_fields` no time is looked for.
    """
    whole = scan(content)
    if whole.trouble and _is_json_lines(content):
        for number, raw in enumerate(content.split(b"\n"), 1):
            if line := raw.strip():
                yield from _read(scan(line), _Beside(f"line {number}", tuple(time_fields), zone))
    else:
        yield from _read(whole, _Beside("", tuple(time_fields), zone))


@dataclass(frozen=True, slots=True)
class _Beside:
    """What stands around a document. `time` is the time of all items, or why it can't be read."""

    where: str
    time_fields: tuple[str, ...]
    zone: tzinfo | None
    time: datetime | str | None = None

    def item(self, number: int) -> _Beside:
        return _Beside(f"{self.where} item {number}".lstrip(), self.time_fields, self.zone, self.time)


def _is_json_lines(content: bytes) -> bool:
    """Whether a text that is not one JSON document has a line that is; lines that are set in are parts of something."""
    return b"\n" in content and any(
        line.startswith((b"{", b"\xef\xbb\xbf{")) and line.rstrip().endswith(b"}") and _is_json(line)
        for line in content.split(b"\n")
    )


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line, parse_float=str, parse_int=str)
    except (ValueError, RecursionError):
        return False
    return True


def _read(scanned: Scanned, beside: _Beside) -> Iterator[Document]:
    """The documents of one scanned text."""
    if scanned.twice:
        yield _refused(beside, scanned.twice)
    elif scanned.items is not None:
        yield from _read_items(scanned, scanned.items, beside)
    elif scanned.trouble:
        looks = scanned.likeness()
        yield _refused(beside, scanned.trouble if looks == ENDPOINTS_BODY else looks)
    elif scanned.holds_body and "data" not in scanned.fields:
        yield _read_held(scanned, beside)
    else:
        yield _judged(scanned.written(), scanned.likeness(), _time(scanned, beside), None, beside)


def _read_items(scanned: Scanned, items: Sequence[Scanned], beside: _Beside) -> Iterator[Document]:
    is_walk = any(item.holds_body for item in items)
    if not scanned.trouble and not is_walk and not any("data" in item.fields for item in items):
        yield _refused(beside, scanned.likeness())
        return
    around = _Beside(beside.where, beside.time_fields, beside.zone, _time(scanned, beside))
    for number, item in enumerate(items, 1):
        if is_walk and not item.trouble and "data" not in item.fields and not item.holds_body:
            yield _refused(around.item(number), "an item without a response")
        else:
            yield from _read(item, around.item(number))
    if scanned.trouble:
        yield _refused(beside.item(len(items) + 1), f"{scanned.trouble}; the rest can't be read")


def _read_held(scanned: Scanned, beside: _Beside) -> Document:
    """The body that an object holds under one of its keys."""
    try:
        body, looks = _held_body(scanned)
        target = _target(scanned)
    except ValueError as error:  # NotJsonError is one
        return _refused(beside, not_json(error) if isinstance(error, NotJsonError) else str(error))
    return _judged(body, looks, _time(scanned, beside), target, beside)


def _held_body(scanned: Scanned) -> tuple[bytes, str]:
    """The body, and what it looks like. Raises ValueError."""
    error = scanned.value("error") if "error" in scanned.fields else None
    if isinstance(error, str) and error:
        raise ValueError(f"a look that failed: {error}")
    field = next(field for field in BODY_FIELDS if field in scanned.fields)
    if (raw := scanned.raw(field)).startswith(b"{"):
        return raw, scanned.fields[field].looks or looks_like(raw)
    value = scanned.value(field)
    if value is None:
        raise ValueError("a look without a body")
    try:
        body = base64.b64decode(value, validate=True) if field == "body_base64" else str(value).encode()
    except (TypeError, ValueError):  # UnicodeError and binascii.Error are ValueErrors
        raise ValueError(f"its {field} is no text and no base64") from None
    return body, looks_like(body)


def _target(scanned: Scanned) -> Target | None:
    """The requested path, from `detailsPath`, `canonicalSlug` or `author` and `slug`. Raises ValueError."""
    given = {
        field: scanned.value(field)
        for field in ("detailsPath", "canonicalSlug", "author", "slug")
        if field in scanned.fields
    }
    path = given.get("detailsPath")
    match = _DETAILS_PATH.fullmatch(path) if isinstance(path, str) else None
    if match:
        return Target.parse(match["target"])
    if isinstance(given.get("canonicalSlug"), str):
        return Target.parse(given["canonicalSlug"])
    if path is not None:
        raise ValueError(one_line(f"the detailsPath {path!r} names no model"))
    if "author" in given and "slug" in given:
        return Target.parse(f"{given['author']}/{given['slug']}")
    return None


def _time(scanned: Scanned, beside: _Beside) -> datetime | str | None:
    """The time that stands in this object, else around it; a text says why it can't be read."""
    for name in beside.time_fields:
        if name in scanned.fields:
            try:
                value = scanned.value(name)
                if value is not None:
                    return read_time(value, beside.zone)
            except ValueError as error:
                return f"{name}: {error}"
    return beside.time


def _judged(body: bytes, looks: str, time: datetime | str | None, target: Target | None, beside: _Beside) -> Document:
    if looks != ENDPOINTS_BODY:
        return _refused(beside, looks)
    if len(body) > MAX_BODY_BYTES:
        return _refused(beside, f"a body larger than {MAX_BODY_BYTES // 2**20} MiB")
    if isinstance(time, str):
        return _refused(beside, time)
    return Document(body, target, time, beside.where)


def _refused(beside: _Beside, reason: str) -> Document:
    return Document(None, where=beside.where, reason=one_line(reason))
