"""What a saved document looks like: an endpoints body, or what else. Pure."""

from __future__ import annotations

import re
from typing import Any, TypeGuard

from endpoint_history.io.other_bodies import FROM_THE_WEBSITE, is_of_the_website
from endpoint_history.io.strict_json import NotJsonError, load_json
from endpoint_history.text import one_line

ENDPOINTS_BODY = "an endpoints body"
ERROR_BODY = "an API error body"
# Fields in which people keep a body, as an object or as text.
BODY_FIELDS = ("response", "body_base64", "body", "payload", "raw_json", "raw", "response_body", "response_json")
NO_ENDPOINTS = "JSON without an endpoints list"
_MODELS = "a list of models (a /models page), whose prices are only the cheapest provider's"
_WHOLE_MESSAGES = ("empty", "not JSON", "a web page", "XML", "UTF-")
_DATA_ALONE = "the content of data without the object around it; put that back, such as with jq '{data: .}'"
LFS_SIGN = re.compile(rb"version https://(?:git-lfs\.github|hawser\.github)\.com/spec/v1\n")
LFS_POINTER = "a Git LFS pointer, not the file itself"
MAX_REASON = 300
_LEVELS = 4  # a list in an object in a list, and a record in it


def looks_like(content: bytes) -> str:
    """What one JSON document is in a few words: ENDPOINTS_BODY, or what else it looks like."""
    if LFS_SIGN.match(content):
        return f"{LFS_POINTER}: run git lfs pull"
    try:
        return value_looks_like(load_json(content))
    except NotJsonError as error:
        return not_json(error)


def value_looks_like(value: Any) -> str:
    """The same of a document that is read."""
    if isinstance(value, list):
        return next((looks for item in value if (looks := item_looks_like(item))), NO_ENDPOINTS)
    return _object_looks_like(value) if isinstance(value, dict) else NO_ENDPOINTS


def item_looks_like(item: Any) -> str | None:
    """What a list of such items is, if that tells."""
    if not isinstance(item, dict):
        return None
    if isinstance(item.get("endpoints"), list):
        return _DATA_ALONE
    if is_of_the_website([item]):
        return FROM_THE_WEBSITE
    return _MODELS if "id" in item and "data" not in item else None


def _object_looks_like(value: dict[str, Any]) -> str:
    data, error = value.get("data"), value.get("error")
    if is_error(error):
        return one_line(f"{ERROR_BODY}: {error.get('message') or error.get('code')}", MAX_REASON)
    if isinstance(data, list):
        return value_looks_like(data)
    if isinstance(value.get("id"), str) and isinstance(value.get("endpoints"), list):
        return _DATA_ALONE
    if not isinstance(data, dict) or not isinstance(data.get("endpoints"), list):
        return NO_ENDPOINTS
    if not isinstance(data.get("id"), str) or not data["id"]:
        return "an endpoints list without a model id"
    return ENDPOINTS_BODY


def is_error(error: Any) -> TypeGuard[dict[str, Any]]:
    """True for what the API's own error body has under `error`."""
    return isinstance(error, dict) and ("code" in error or "message" in error)


def holds_bodies(value: Any, levels: int = _LEVELS) -> bool:
    """True if a body, or a record of one, may be somewhere within a value."""
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
    """True for the text of a JSON object that may be a body or the API's error."""
    return text[:20].lstrip("\ufeff \t\r\n").startswith("{") and ('"endpoints"' in text or '"error"' in text)


def not_json(error: NotJsonError) -> str:
    """What something looks like that can't be read."""
    message = str(error)
    return message if message.startswith(_WHOLE_MESSAGES) else f"not JSON: {message}"
