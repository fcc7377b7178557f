"""What an answer is that is not the body we asked for, in one line that says what to do about it. Pure."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any

from endpoint_history.io.signatures import compression_of
from endpoint_history.text import one_line

# A longer mark comes before the shorter one that it begins with.
_ENCODINGS = (
    ("utf-32", (b"\xff\xfe\0\0", b"\0\0\xfe\xff", b"{\0\0\0", b"\0\0\0{", b"[\0\0\0", b"\0\0\0[")),
    ("utf-16", (b"\xff\xfe", b"\xfe\xff", b"{\0", b"\0{", b"[\0", b"\0[")),
)
_TITLE = re.compile(r"<title[^>]*>([^<]{0,500})", re.IGNORECASE)
_WANTS_A_BROWSER = re.compile(
    r"just a moment|attention required|challenge-platform|cf-chl|captcha|enable javascript and cookies"
    r"|error code: 10[0-9]{2}",
    re.IGNORECASE,
)
_PAGE_SEARCHED = 2**16
_MESSAGE_KEYS = ("error", "errors", "message", "detail", "error_description", "title", "description")
_OF_THE_WEBSITE = {"provider_info", "provider_display_name", "provider_name", "model_variant_slug", "endpoint"}
_ASK = "ask /api/v1/models/AUTHOR/SLUG/endpoints"
FROM_THE_WEBSITE = f"a list of endpoints as the website loads it, not the API's body, where 'data' is an object: {_ASK}"
MAX_MESSAGE = 200
_MAX_QUOTE = 60
_MAX_TITLE = 100
_MAX_LEVELS = 4


def undecodable(body: bytes, at: int) -> str:
    """What bytes are that are not UTF-8; `at` is where that shows."""
    if name := compression_of(body):
        return f"{name}-compressed bytes: decompress them first"
    return _other_encoding(body) or f"not UTF-8 at byte {at}"


def not_json(text: str, reason: str) -> str:
    """What a text is that is not JSON; `reason` is the decoder's."""
    start = text.lstrip("\ufeff \t\r\n")
    if start.startswith("<"):
        return _page(start)
    if encoding := _other_encoding(text[:4].encode()):
        return encoding
    if start.startswith(("{", "[")):
        return f"not JSON: {reason}"
    return f"not JSON: a text that begins with {one_line(start, _MAX_QUOTE)!r}{_hint(start)}"


def error_text(body: Any) -> str | None:
    """The message of an error body of any shape, None where nothing in it is one."""
    return next((line for text in _messages(body, _MAX_LEVELS) if (line := one_line(text, MAX_MESSAGE))), None)


def other_json(body: Any) -> str:
    """What a JSON value is that holds no endpoints of one model."""
    data = body.get("data") if isinstance(body, dict) else body
    if isinstance(data, list):
        return _list(data)
    if isinstance(body, dict) and isinstance(body.get("endpoints"), list):
        return "not an endpoints body: only the inner part of one, without the object 'data' around it"
    if isinstance(body, str):
        return "not an endpoints body: a JSON text; if a body was saved as text, take it out of its quotes"
    if message := error_text(body):
        return f"not an endpoints body; it says: {message}"
    return "not an endpoints body: no data with a list of endpoints"


def is_of_the_website(items: list[Any]) -> bool:
    """Whether a list is one of endpoints, as openrouter.ai's own pages load it."""
    return any(isinstance(item, dict) and not _OF_THE_WEBSITE.isdisjoint(item) for item in items)


def _list(items: list[Any]) -> str:
    keys = {key for item in items if isinstance(item, dict) for key in item}
    if "data" in keys or "endpoints" in keys:
        return "a list of bodies, not one body"
    if is_of_the_website(items):
        return FROM_THE_WEBSITE
    if "id" in keys or "slug" in keys:
        return f"a list of models, not the endpoints of one: {_ASK}"
    return f"not an endpoints body: {'a list of neither endpoints nor models' if items else 'an empty list'}"


def _messages(value: Any, levels: int) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list() if levels:
            for item in value[:1]:
                yield from _messages(item, levels - 1)
        case dict() if levels:
            for key in _MESSAGE_KEYS:
                if value.get(key):
                    yield from _messages(value[key], levels - 1)


def _other_encoding(body: bytes) -> str | None:
    for name, beginnings in _ENCODINGS:
        if body.startswith(beginnings):
            return f"{name.upper()} text, expected UTF-8: convert it with iconv -f {name} -t utf-8"
    return None


def _page(text: str) -> str:
    beginning = text[:_PAGE_SEARCHED]
    if beginning.startswith("<?xml") and "<html" not in beginning.lower():
        return "XML, not JSON"
    title = _TITLE.search(beginning)
    name = one_line(html.unescape(title[1]), _MAX_TITLE) if title else ""
    return f"a web page{f' titled {name!r}' if name else ''}, not JSON{_hint(beginning)}"


def _hint(text: str) -> str:
    """What to do where the text is that of a site which keeps programs out."""
    if not _WANTS_A_BROWSER.search(text[:_PAGE_SEARCHED]):
        return ""
    return ": the site lets only browsers in from here; try again later, or from another network"
