"""What a record says about its body: time, target and HTTP status. Pure."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, tzinfo
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple, Self
from urllib.parse import unquote

from endpoint_history.io.strict_json import NotJsonError, load_json
from endpoint_history.sources.documents.classify import BODY_FIELDS, ENDPOINTS_BODY, MAX_REASON, is_body_text
from endpoint_history.sources.documents.scan import Scanned
from endpoint_history.sources.documents.spans import UNREAD
from endpoint_history.sources.timestamps import read_time
from endpoint_history.text import one_line
from models.observation import TARGET_FORM, TARGET_MAX_LENGTH, Target

TIME_FIELDS = (
    *("observed_at", "fetched_at", "fetchedAt", "timestamp", "scraped_at", "scrapedAt", "retrieved_at", "retrievedAt"),
    *("captured_at", "capturedAt", "collected_at", "collectedAt", "requested_at", "requestedAt", "observedAt", "ts"),
    "startedDateTime",  # of an entry in a HAR file
)
_OK, _NOT_FOUND = 200, 404
_STATUS = range(100, 600)
_STATUS_FIELDS = ("status", "status_code", "statusCode", "http_status", "httpStatus")
_URL_FIELDS = ("url", "request_url", "requestUrl", "requested_url")
_TARGET_FIELDS = ("target", "model", "model_id")
_META_FIELDS = ("meta", "metadata", "_meta", "request")
_DETAILS_PATH = re.compile(
    r"(?:https?://[^/]+)?(?:/api/v1)?/models/(?P<target>[^/?#]+/[^/?#]+)(?P<end>/endpoints)?/?(?:[?#].*)?", re.DOTALL
)


class Facts(NamedTuple):
    """Facts beside a body. `time` is the reason if it can't be read; `failure`: why the record proves nothing."""

    target: Target | None = None
    time: datetime | str | None = None
    time_field: str | None = None
    status: int | None = None
    failure: str | None = None

    def with_time(self, known: RecordFields, names: tuple[str, ...], zone: tzinfo | None) -> Self:
        """Return the same with the time of the first of these fields that is present."""
        for name, value in known.found(names):
            try:
                return self._replace(time=read_time(value, zone), time_field=name)
            except ValueError as error:
                return self._replace(time=f"{name}: {error}", time_field=name)
        return self


class RecordFields:
    """The fields of an object and, if it has one, of its `meta` or `metadata`."""

    def __init__(self, scanned: Scanned) -> None:
        self._scanned = scanned
        self._fields = scanned.fields
        self._meta: dict[str, Any] = {}
        if self._fields.keys().isdisjoint(_outer(_META_FIELDS)):
            return
        for name in _META_FIELDS:
            if name in self._fields and isinstance(meta := self._loaded(name), dict):
                self._meta = meta | self._meta

    def value(self, name: str) -> Any:
        """Return the value of a field, also of one in another (`meta.fetched_at`); None if it is missing."""
        if name in self._fields:
            return self._loaded(name)
        if "." in name:
            outer, _, inner = name.partition(".")
            value = self._loaded(outer) if outer in self._fields else None
            return value.get(inner) if isinstance(value, dict) else None
        return self._meta.get(name)

    def found(self, names: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
        """Yield those of these fields that have a value, with it."""
        if not self._meta and self._fields.keys().isdisjoint(_outer(names)):  # as for most fields of most documents
            return iter(())
        return ((name, value) for name in names if (value := self.value(name)) is not None)

    def values(self, names: tuple[str, ...]) -> Iterator[Any]:
        """Yield the values of these fields that have one."""
        return (value for _, value in self.found(names))

    def _loaded(self, name: str) -> Any:
        part = self._fields[name]
        if part.value is not UNREAD:
            return part.value
        if part.holds:
            return None
        with suppress(NotJsonError):
            return self._scanned.value(name)
        return None


@lru_cache
def _outer(names: tuple[str, ...]) -> frozenset[str]:
    """Return these fields and the ones around them, such as `meta` for `meta.fetched_at`."""
    return frozenset(name.partition(".")[0] for name in names).union(names)


def facts(scanned: Scanned, around: Facts, time_fields: tuple[str, ...], zone: tzinfo | None) -> Facts:
    """Return the facts of an object, else those around it. Raises ValueError if its target is unreadable."""
    known = RecordFields(scanned)
    status = _status(known)
    timed = around.with_time(known, time_fields, zone)
    target = _target(known) or around.target
    return Facts(
        target, timed.time, timed.time_field, status or around.status, _failure(known, status) or around.failure
    )


def error_status(body: bytes) -> int | None:
    """Return the status that the API's own error body names."""
    with suppress(NotJsonError, KeyError, TypeError, ValueError):
        code = int(load_json(body)["error"]["code"])
        return code if code in _STATUS else None
    return None


def text_body(name: str, value: Any) -> bytes:
    """Return the body that a field holds as text or base64. Raises ValueError."""
    if value is None:
        raise ValueError("a look without a body")
    try:
        body = base64.b64decode(value, validate=True) if name == "body_base64" else str(value).encode()
    except (TypeError, ValueError):  # UnicodeError and binascii.Error are ValueErrors
        raise ValueError(f"its {name} is no text and no base64") from None
    if body.startswith(b'"'):  # the text of a text
        inner = load_json(body)
        return str(inner).encode(errors="surrogatepass")
    return body


def body_field(scanned: Scanned) -> str | None:
    """Return the field with the body of a record: one of BODY_FIELDS, else the only one that looks like a body."""
    named = [name for name in BODY_FIELDS if name in scanned.fields]
    if named:
        return next((name for name in named if scanned.fields[name].value is not None), named[0])
    texts = [
        name
        for name, part in scanned.fields.items()
        if part.looks == ENDPOINTS_BODY or (isinstance(part.value, str) and is_body_text(part.value))
    ]
    return texts[0] if len(texts) == 1 else None


def _status(known: RecordFields) -> int | None:
    for value in known.values(_STATUS_FIELDS):
        if isinstance(value, int) or (isinstance(value, str) and value.isdecimal() and len(value) <= len("200")):
            status = int(value)
            if status in _STATUS:
                return status
    return None


def _failure(known: RecordFields, status: int | None) -> str | None:
    error = known.value("error")
    if isinstance(error, str) and error:
        return f"a look that failed: {error}"
    if status not in {None, _OK, _NOT_FOUND}:
        return f"a request that failed (HTTP {status}), which proves nothing"
    return None


def _target(known: RecordFields) -> Target | None:
    """Return the requested path, from an address or a field that names the model. Raises ValueError."""
    details = known.value("detailsPath")
    for path in chain((details,), known.values(_URL_FIELDS)):
        match = _DETAILS_PATH.fullmatch(path) if isinstance(path, str) else None
        if match and (match["end"] or path == details):
            return Target.parse(unquote(match["target"]))
    canonical, author, slug = (known.value(name) for name in ("canonicalSlug", "author", "slug"))
    if isinstance(canonical, str):
        return Target.parse(canonical)
    if details is not None:
        raise ValueError(one_line(f"the detailsPath {details!r} names no model", MAX_REASON))
    if isinstance(author, str) and isinstance(slug, str):
        return Target.parse(slug if slug.startswith(f"{author}/") else f"{author}/{slug}")
    for value in known.values(_TARGET_FIELDS):
        if isinstance(value, str) and TARGET_FORM.fullmatch(value) and len(value) <= TARGET_MAX_LENGTH:
            return Target.parse(value)
    return None
