"""Captures of a Wayback Machine: lists of its CDX server, and addresses of pages and bodies. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote, urlencode

from endpoint_history.io.strict_json import NotJsonError, load_json
from endpoint_history.text import one_line

ROWS_AT_ONCE = 1000  # some 200 bytes each: far from the size at which a body is refused
_SHOWN = 120
_PAGE = re.compile(
    r"(?:https?:/{1,2})?(?P<host>[A-Za-z0-9.-]+)(?::(?P<port>[0-9]{1,5}))?(?P<path>(?:/[!-~]*?)?)/?", re.IGNORECASE
)
_CAPTURE = re.compile(r"https?://[^/]+(?:/.*?)?/web/(?P<timestamp>[0-9]+)id_/(?P<original>.+)")
_JAVA_NAMES = re.compile(r"^.*Exception:\s*")
_TIMESTAMP = re.compile("[0-9]{14}")
_DEFAULT_PORTS = {None, "80", "443"}


@dataclass(frozen=True, slots=True)
class Capture:
    """One saved response. `observed_at` is aware UTC in whole seconds, `original` the address as the archive spells it.

    `page` is that address as `page_of` gives it.
    """

    observed_at: datetime
    original: str
    page: str

    @property
    def key(self) -> tuple[datetime, str]:
        """The identity of the capture, however its address is spelled."""
        return self.observed_at, self.page


@dataclass(frozen=True, slots=True)
class CaptureList:
    """One response of the CDX server.

    `refused` are unreadable rows, numbered from 1 below the header, each with the reason in one line. `resume_key` is
    the key of the next response; None at the end.
    """

    captures: list[Capture] = field(default_factory=list)
    refused: list[tuple[int, str]] = field(default_factory=list)
    resume_key: str | None = None


def page_of(url: str) -> str:
    """Return the page of an address, without scheme, port 80 or 443, trailing slash and percent encoding.

    Raises ValueError if it is no address.
    """
    match = _PAGE.fullmatch(url)
    if not match:
        raise ValueError(f"not an address: {url[:_SHOWN]!r}")
    port = "" if match["port"] in _DEFAULT_PORTS else f":{match['port']}"
    return f"{match['host'].lower()}{port}{unquote(match['path'])}"


def read_timestamp(text: str) -> datetime:
    """Return the UTC instant of 14 digits. Raises ValueError for fewer, which name a span, and for impossible dates."""
    if not _TIMESTAMP.fullmatch(text):
        raise ValueError(f"expected a time of 14 digits, not {text[:_SHOWN]!r}")
    try:
        return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        raise ValueError(f"there is no such time: {text!r}") from None


def timestamp(at: datetime) -> str:
    """Return the 14 digits of an aware instant, without its fraction of a second."""
    utc = at.astimezone(UTC)
    return f"{utc.year:04}{utc:%m%d%H%M%S}"


def capture_url(base_url: str, capture: Capture) -> str:
    """Return the address of the body as it was captured, without the archive's own additions."""
    return f"{base_url}/web/{timestamp(capture.observed_at)}id_/{capture.original}"


def read_capture_url(url: str) -> Capture:
    """Return the capture that such an address names. Raises ValueError for any other address."""
    match = _CAPTURE.fullmatch(url)
    if not match:
        raise ValueError(f"led to what is no capture: {url[:_SHOWN]!r}")
    return Capture(read_timestamp(match["timestamp"]), match["original"], page_of(match["original"]))


def listing_url(
    base_url: str,
    page_url: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    resume_key: str | None = None,
) -> str:
    """Return the address of the list of a page's 200s, `since` inclusive, `until` exclusive; equal neighbours once."""
    query = {
        "url": page_url,
        "output": "json",
        "filter": "statuscode:200",
        "collapse": "digest",
        "showResumeKey": "true",
        "limit": str(ROWS_AT_ONCE),
    }
    # For the server both ends are inclusive, and times are whole seconds.
    if since:
        query["from"] = timestamp(since + timedelta(microseconds=999_999))
    if until:
        query["to"] = timestamp(until - timedelta(microseconds=1))
    if resume_key:
        query["resumeKey"] = resume_key  # it comes encoded, and the server decodes it twice: encode it once more
    return f"{base_url}/cdx/search/cdx?{urlencode(query)}"


def cdx_error(body: bytes) -> str:
    """Return the first line of an error's body, without the names of the archive's Java exceptions."""
    first = body[:2000].decode("utf-8", "replace").strip().partition("\n")[0]
    if first.startswith("<"):
        return "a web page"
    return one_line(_JAVA_NAMES.sub("", first), _SHOWN)


def read_listing(body: bytes, page: str) -> CaptureList:
    """Read a list of captures of one page. Raises ValueError, in one line, if none of it can be read."""
    try:
        table = load_json(body)
    except NotJsonError:
        if b"Exception" not in body:
            raise
        raise ValueError(f"the archive answers: {cdx_error(body)}") from None
    if not isinstance(table, list):
        raise ValueError("not a list of captures")  # noqa: TRY004 - the refusal of a body
    if not table:
        return CaptureList()
    names, *rows = table
    if not isinstance(names, list) or not {"timestamp", "original"} <= {name for name in names if _is_text(name)}:
        raise ValueError("not a list of captures: its first row names no timestamp and no original")
    listing = CaptureList(resume_key=_resume_key(rows))
    for number, row in enumerate(rows if listing.resume_key is None else rows[:-2], 1):
        try:
            listing.captures.append(_read_row(row, names, page))
        except ValueError as refusal:
            listing.refused.append((number, str(refusal)))
    return listing


def _resume_key(rows: list[Any]) -> str | None:
    """Return the key: it is alone in the last row, below an empty one."""
    match rows:
        case [*_, [], [str(key)]] if key:
            return key
        case _:
            return None


def _read_row(row: Any, names: list[Any], page: str) -> Capture:
    if not isinstance(row, list) or len(row) != len(names):
        raise ValueError(f"expected a row of {len(names)} columns")
    at, original = row[names.index("timestamp")], row[names.index("original")]
    if not _is_text(at) or not _is_text(original):
        raise ValueError("its timestamp and its original are not both text")
    capture = Capture(read_timestamp(at), original, page_of(original))
    if capture.page != page:
        raise ValueError(f"another page: {original[:_SHOWN]!r}")
    return capture


def _is_text(value: Any) -> bool:
    return isinstance(value, str)
