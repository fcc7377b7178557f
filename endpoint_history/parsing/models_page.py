"""Read a page of OpenRouter's models listing. Pure.

The listing tells which models there are. Its prices are only those of the cheapest provider, and are never booked.
"""

from __future__ import annotations

from typing import Any

from endpoint_history.io.other_bodies import MAX_MESSAGE
from endpoint_history.io.strict_json import NotJsonError, load_json
from endpoint_history.text import one_line

_OK = 200


def read_page(status: int | None, error: str | None, body: bytes | None) -> tuple[list[str], str | None]:
    """The model ids of one page, and the address of the next. Raises ValueError saying what is wrong."""
    if error is not None:
        raise ValueError(error)
    if status != _OK:
        raise ValueError(f"HTTP {status}: {_reason(body)}")
    match load_json(body or b""):
        case {"data": list(items), **rest}:
            ids = [item["id"] for item in items if isinstance(item, dict) and isinstance(item.get("id"), str)]
            if items and not ids:
                raise ValueError("not a list of models")
            return ids, _following(rest.get("links"))
        case _:
            raise ValueError("not a list of models")


def _reason(body: bytes | None) -> str:
    """What a page that is not the listing says."""
    try:
        match load_json(body or b""):
            case {"error": {"message": str(message)}} | {"error": str(message)} | {"message": str(message)}:
                return one_line(message, MAX_MESSAGE)
    except NotJsonError as error:
        return str(error)
    return "no error message"


def _following(links: Any) -> str | None:
    match links:
        case {"next": str(following)} if following:
            return following
        case _:
            return None
