"""What a saved document looks like: an endpoints body, or what else. Pure."""

from __future__ import annotations

from typing import Any

from flows.other_bodies import FROM_THE_WEBSITE, is_of_the_website
from flows.strict_json import NotJsonError, clean_text, load_json

ENDPOINTS_BODY = "an endpoints body"
_NO_ENDPOINTS = "JSON without an endpoints list"
_MODELS = "a list of models (a /models page), whose prices are only the cheapest provider's"
_WHOLE_MESSAGES = ("empty", "not JSON", "a web page", "XML", "UTF-")
_MAX_LENGTH = 300


def looks_like(content: bytes) -> str:
    """What one JSON document is in a few words: ENDPOINTS_BODY, or what else it looks like."""
    try:
        return value_looks_like(load_json(content))
    except NotJsonError as error:
        return not_json(error)


def value_looks_like(value: Any) -> str:
    """The same of a document that is read."""
    if isinstance(value, list):
        if is_of_the_website(value):
            return FROM_THE_WEBSITE
        return _MODELS if any(_is_model(item) for item in value) else _NO_ENDPOINTS
    return _object_looks_like(value) if isinstance(value, dict) else _NO_ENDPOINTS


def _object_looks_like(value: dict[str, Any]) -> str:
    data, error = value.get("data"), value.get("error")
    if isinstance(error, dict) and ("code" in error or "message" in error):
        return one_line(f"an API error body: {error.get('message') or error.get('code')}")
    if isinstance(data, list) and is_of_the_website(data):
        return FROM_THE_WEBSITE
    if isinstance(data, list) and any(_is_model(item) for item in data):
        return _MODELS
    if not isinstance(data, dict) or not isinstance(data.get("endpoints"), list):
        return _NO_ENDPOINTS
    if not isinstance(data.get("id"), str) or not data["id"]:
        return "an endpoints list without a model id"
    return ENDPOINTS_BODY


def not_json(error: NotJsonError) -> str:
    """What something looks like that can't be read."""
    message = str(error)
    return message if message.startswith(_WHOLE_MESSAGES) else f"not JSON: {message}"


def one_line(text: str) -> str:
    """A text for people in one short line."""
    return " ".join(clean_text(text).split())[:_MAX_LENGTH]


def _is_model(item: Any) -> bool:
    return isinstance(item, dict) and "id" in item and "endpoints" not in item
