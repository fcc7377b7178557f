"""Classify saved documents: an endpoints body, or something else. Pure."""

from __future__ import annotations

import re
from enum import Enum
from typing import Any, NamedTuple, TypeGuard

from endpoint_history.io.other_bodies import FROM_THE_WEBSITE, is_of_the_website
from endpoint_history.io.strict_json import NotJsonError, load_json, refuse_depth
from endpoint_history.text import one_line


class Kind(Enum):
    """What a document is to its readers. `NOTHING` is neither a body nor a sign of what went wrong."""

    BODY = "body"
    ERROR = "error"
    NOTHING = "nothing"
    OTHER = "other"


class Looks(NamedTuple):
    """What a document looks like, and that in a few words for people."""

    kind: Kind
    text: str


ENDPOINTS_BODY = Looks(Kind.BODY, "an endpoints body")
NO_ENDPOINTS = Looks(Kind.NOTHING, "JSON without an endpoints list")
# The fields in which people save a body, as an object or as text.
BODY_FIELDS = ("response", "body_base64", "body", "payload", "raw_json", "raw", "response_body", "response_json")
_MODELS = Looks(Kind.OTHER, "a list of models (a /models page), whose prices are only the cheapest provider's")
_WEBSITE = Looks(Kind.OTHER, FROM_THE_WEBSITE)
_WHOLE_MESSAGES = ("empty", "not JSON", "a web page", "XML", "UTF-")
_DATA_ALONE = Looks(
    Kind.OTHER, "the content of data without the object around it; put that back, such as with jq '{data: .}'"
)
LFS_SIGN = re.compile(rb"version https://(?:git-lfs\.github|hawser\.github)\.com/spec/v1\n")
LFS_POINTER = "a Git LFS pointer, not the file itself"
MAX_REASON = 300
_LEVELS = 4  # a list in an object in a list, and a record in it


def looks_like(content: bytes) -> Looks:
    """Return what one JSON document looks like: ENDPOINTS_BODY, or something else."""
    if LFS_SIGN.match(content):
        return Looks(Kind.OTHER, f"{LFS_POINTER}: run git lfs pull")
    try:
        return value_looks_like(load_json(content))
    except NotJsonError as error:
        return Looks(Kind.NOTHING, not_json(error))


def value_looks_like(value: Any) -> Looks:
    """Return the same for a parsed document."""
    if isinstance(value, list):
        return next((looks for item in value if (looks := item_looks_like(item))), NO_ENDPOINTS)
    return _object_looks_like(value) if isinstance(value, dict) else NO_ENDPOINTS


def part_looks_like(value: dict[str, Any], text: str, start: int, end: int) -> Looks | None:
    """Return the same for a parsed part of a text; None if it is nested too deeply to be a body."""
    looks = value_looks_like(value)
    if looks == ENDPOINTS_BODY:
        try:
            refuse_depth(value, text, start, end)
        except NotJsonError:
            return None
    return looks


def item_looks_like(item: Any) -> Looks | None:
    """Return what a list of such items looks like; None if one item does not show it."""
    if not isinstance(item, dict):
        return None
    if isinstance(item.get("endpoints"), list):
        return _DATA_ALONE
    if is_of_the_website([item]):
        return _WEBSITE
    return _MODELS if "id" in item and "data" not in item else None


def _object_looks_like(value: dict[str, Any]) -> Looks:
    data, error = value.get("data"), value.get("error")
    if is_error(error):
        message = error.get("message") or error.get("code")
        return Looks(Kind.ERROR, one_line(f"an API error body: {message}", MAX_REASON))
    if isinstance(data, list):
        return value_looks_like(data)
    if isinstance(value.get("id"), str) and isinstance(value.get("endpoints"), list):
        return _DATA_ALONE
    if not isinstance(data, dict) or not isinstance(data.get("endpoints"), list):
        return NO_ENDPOINTS
    if not isinstance(data.get("id"), str) or not data["id"]:
        return Looks(Kind.OTHER, "an endpoints list without a model id")
    return ENDPOINTS_BODY


def is_error(error: Any) -> TypeGuard[dict[str, Any]]:
    """Return whether this is the `error` of the API's own error body."""
    return isinstance(error, dict) and ("code" in error or "message" in error)


def holds_bodies(value: Any, levels: int = _LEVELS) -> bool:
    """Return whether a value may contain a body, or a record of one."""
    if isinstance(value, str):
        return is_body_text(value)
    if not levels or not isinstance(value, dict | list):
        return False
    if isinstance(value, list):
        return any(holds_bodies(item, levels - 1) for item in value)
    if isinstance(value.get("data"), dict) and isinstance(value["data"].get("endpoints"), list):
        return True
    if not value.keys().isdisjoint(BODY_FIELDS) or is_error(value.get("error")):
        return True
    return any(holds_bodies(item, levels - 1) for item in value.values())


def is_body_text(text: str) -> bool:
    """Return whether a text may be the JSON of a body or of the API's error."""
    return text[:20].lstrip("\ufeff \t\r\n").startswith("{") and ('"endpoints"' in text or '"error"' in text)


def not_json(error: NotJsonError) -> str:
    """Return the reason for people why something is not JSON."""
    message = str(error)
    return message if message.startswith(_WHOLE_MESSAGES) else f"not JSON: {message}"
