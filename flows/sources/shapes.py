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
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from flows.decode import MAX_BODY_BYTES
from flows.sources.scan import BODY_FIELDS, Scanned, scan
from flows.sources.times import read_time
from flows.strict_json import NotJsonError, clean_text, load_json
from models.observation import Target

TIME_FIELDS = ("observed_at", "fetched_at", "fetchedAt", "timestamp")
ENDPOINTS_BODY = "an endpoints body"
_NO_ENDPOINTS = "JSON without an endpoints list"
_MODELS = "a list of models (a /models page), whose prices are only the cheapest provider's"
_DETAILS_PATH = re.compile(r"(?:https?://[^/]+)?(?:/api/v1)?/models/(?P<target>[^/?]+/[^/?]+)(?:/endpoints)?/?")
_MAX_REASON = 300


@dataclass(frozen=True, slots=True)
class Document:
    """One body of a file, or why something there is no body.

    `target` and `observed_at` (UTC, whole seconds) are what stands beside the body, None where nothing does. `where` is
    the place within the file, such as `item 3` or `line 17`; empty for the whole file. With a `reason`, in one line,
    the body is None.
    """

    body: bytes | None
    target: Target | None = None
    observed_at: datetime | None = None
    where: str = ""
    reason: str | None = None


def documents(content: bytes, *, time_fields: Sequence[str] = TIME_FIELDS) -> Iterator[Document]:
    """Every body in a file, and every part of it that is none; never raises for what a file may hold.

    The time of a body is that of the first of `time_fields` beside it or, for an item, beside the list it is in. A time
    that can't be read refuses its bodies; without `time_fields` no time is looked for.
    """
    whole = scan(content)
    if whole.trouble and _is_json_lines(content):
        for number, raw in enumerate(content.split(b"\n"), 1):
            if line := raw.strip():
                yield from _read(scan(line), line, _Beside(f"line {number}", tuple(time_fields)))
    else:
        yield from _read(whole, content, _Beside("", tuple(time_fields)))


def looks_like(content: bytes) -> str:
    """What one JSON document is in a few words: ENDPOINTS_BODY, or what else it looks like."""
    try:
        value = load_json(content)
    except NotJsonError as error:
        return _not_json(error)
    if isinstance(value, list):
        return _MODELS if any(_is_model(item) for item in value) else _NO_ENDPOINTS
    if not isinstance(value, dict):
        return _NO_ENDPOINTS
    return _object_looks_like(value)


def _object_looks_like(value: dict[str, Any]) -> str:
    data, error = value.get("data"), value.get("error")
    if isinstance(error, dict) and ("code" in error or "message" in error):
        return _one_line(f"an API error body: {error.get('message') or error.get('code')}")
    if isinstance(data, list) and any(_is_model(item) for item in data):
        return _MODELS
    if not isinstance(data, dict) or not isinstance(data.get("endpoints"), list):
        return _NO_ENDPOINTS
    if not isinstance(data.get("id"), str) or not data["id"]:
        return "an endpoints list without a model id"
    return ENDPOINTS_BODY


def _is_model(item: Any) -> bool:
    return isinstance(item, dict) and "id" in item and "endpoints" not in item


def _not_json(error: NotJsonError) -> str:
    message = str(error)
    if message.startswith("a web page"):
        return "a web page"
    return message if message == "empty" or message.startswith("not JSON") else f"not JSON: {message}"


@dataclass(frozen=True, slots=True)
class _Beside:
    """What stands around a document. `time` is the time of all items, or why it can't be read."""

    where: str
    time_fields: tuple[str, ...]
    time: datetime | str | None = None

    def item(self, number: int) -> _Beside:
        return replace(self, where=f"{self.where} item {number}".lstrip())


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


def _read(scanned: Scanned, content: bytes, beside: _Beside) -> Iterator[Document]:
    """The documents of one scanned text; `content` is its bytes as they were saved."""
    if scanned.twice:
        yield _refused(beside, scanned.twice)
    elif scanned.items is not None:
        yield from _read_items(scanned, content, beside)
    elif scanned.trouble:
        looks = looks_like(content)
        yield _refused(beside, scanned.trouble if looks == ENDPOINTS_BODY else looks)
    elif scanned.holds_body and "data" not in scanned.fields:
        yield _read_held(scanned, beside)
    else:
        yield _judged(content, _time(scanned, beside), None, beside)


def _read_items(scanned: Scanned, content: bytes, beside: _Beside) -> Iterator[Document]:
    items = scanned.items or []
    is_walk = any(item.holds_body for item in items)
    if not scanned.trouble and not any(item.holds_body or "data" in item.fields for item in items):
        yield _refused(beside, looks_like(content))
        return
    around = replace(beside, time=_time(scanned, beside))
    for number, item in enumerate(items, 1):
        part = item.text[item.span.start : item.span.end].encode()
        if is_walk and not item.trouble and "data" not in item.fields and not item.holds_body:
            yield _refused(around.item(number), "an item without a response")
        else:
            yield from _read(item, part, around.item(number))
    if scanned.trouble:
        yield _refused(beside.item(len(items) + 1), f"{scanned.trouble}; the rest can't be read")


def _read_held(scanned: Scanned, beside: _Beside) -> Document:
    """The body that an object holds under one of its keys."""
    try:
        body, target = _held_body(scanned), _target(scanned)
    except ValueError as error:  # NotJsonError is one
        return _refused(beside, _not_json(error) if isinstance(error, NotJsonError) else str(error))
    return _judged(body, _time(scanned, beside), target, beside)


def _held_body(scanned: Scanned) -> bytes:
    error = load_json(scanned.raw("error")) if "error" in scanned.fields else None
    if isinstance(error, str) and error:
        raise ValueError(f"a look that failed: {error}")
    field = next(field for field in BODY_FIELDS if field in scanned.fields)
    raw = scanned.raw(field)
    if raw.startswith(b"{"):
        return raw
    value = load_json(raw)
    if value is None:
        raise ValueError("a look without a body")
    try:
        return base64.b64decode(value, validate=True) if field == "body_base64" else str(value).encode()
    except (TypeError, ValueError):  # UnicodeError and binascii.Error are ValueErrors
        raise ValueError(f"its {field} is no text and no base64") from None


def _target(scanned: Scanned) -> Target | None:
    """The requested path, from `detailsPath`, `canonicalSlug` or `author` and `slug`. Raises ValueError."""
    given = {
        field: load_json(scanned.raw(field))
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
        raise ValueError(_one_line(f"the detailsPath {path!r} names no model"))
    if "author" in given and "slug" in given:
        return Target.parse(f"{given['author']}/{given['slug']}")
    return None


def _time(scanned: Scanned, beside: _Beside) -> datetime | str | None:
    """The time that stands in this object, else around it; a text says why it can't be read."""
    for field in beside.time_fields:
        if field in scanned.fields:
            try:
                value = load_json(scanned.raw(field))
                if value is not None:
                    return read_time(value)
            except ValueError as error:
                return f"{field}: {error}"
    return beside.time


def _judged(body: bytes, time: datetime | str | None, target: Target | None, beside: _Beside) -> Document:
    looks = looks_like(body)
    if looks != ENDPOINTS_BODY:
        return _refused(beside, looks)
    if len(body) > MAX_BODY_BYTES:
        return _refused(beside, f"a body larger than {MAX_BODY_BYTES // 2**20} MiB")
    if isinstance(time, str):
        return _refused(beside, time)
    return Document(body, target, time, beside.where)


def _refused(beside: _Beside, reason: str) -> Document:
    return Document(None, where=beside.where, reason=_one_line(reason))


def _one_line(text: str) -> str:
    return " ".join(clean_text(text).split())[:_MAX_REASON]
