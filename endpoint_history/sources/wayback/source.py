"""Bodies that a Wayback Machine captured, unedited."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import datetime

from endpoint_history.errors import HistoryError
from endpoint_history.openrouter.client import Response
from endpoint_history.refusals import Refused
from endpoint_history.sources.items import KnownBody, SavedBody
from endpoint_history.sources.wayback import WAYBACK_URL
from endpoint_history.sources.wayback.cdx import (
    Capture,
    capture_url,
    cdx_error,
    listing_url,
    page_of,
    read_capture_url,
    read_listing,
)
from models.observation import Target

Get = Callable[[str], Awaitable[Response]]
Had = Callable[[Target, Sequence[datetime]], Iterable[str]]
Item = tuple[int, int, SavedBody | Refused | KnownBody]

_PAGE_URL = "openrouter.ai/api/v1/models/{target}/endpoints"
_AT_ONCE = 2
_MAX_LISTINGS = 1000
_MAX_UNREACHED = 5


def open_wayback(
    get: Get,
    targets: Sequence[Target],
    *,
    had: Had = lambda *_: (),
    base_url: str = WAYBACK_URL,
    since: datetime | None = None,
    until: datetime | None = None,
) -> AsyncGenerator[Item]:
    """Yield (done, size so far, item) for the captures of each target's page, `since` inclusive, `until` exclusive.

    `get` fetches one address of that host, with retries and rate limit, and never raises. `had` returns the addresses
    of the captures of a target, at these times, that the database has: they are not fetched again. Each capture comes
    once, with the time and address of the capture that the archive really returned. What can't be fetched is refused,
    and the rest continues. The size grows, as captures are listed page by page; a capture that was skipped, as another
    had its body, counts as done with the next item. Close the generator if you stop early.

    Raises HistoryError if the archive does not respond at first, or five times in a row.
    """
    return _Walk(get, had, base_url.rstrip("/"), since, until).items(targets)


def nothing_captured(base_url: str, targets: Sequence[str], since: datetime | None, until: datetime | None) -> str:
    """Return the message for an archive without a capture of these targets in this span."""
    more = f" and {len(targets) - 3} more" if len(targets) > 3 else ""  # noqa: PLR2004 - enough to recognise them
    spans = [f"{word} {at:%Y-%m-%d %H:%M}" for word, at in (("from", since), ("until", until)) if at]
    return " ".join([f"{base_url} has no capture of {', '.join(targets[:3])}{more}", *spans])


class _Walk:
    """Goes through the captures of one page after the other."""

    def __init__(self, get: Get, had: Had, base_url: str, since: datetime | None, until: datetime | None) -> None:
        self._get = get
        self._had = had
        self._base = base_url
        self._since = since
        self._until = until
        self._size = 0
        self._asked: set[tuple[datetime, str]] = set()
        self._taken: set[tuple[datetime, str]] = set()
        self._unreached = _MAX_UNREACHED - 1  # fail at once if the first request gets no response

    async def items(self, targets: Sequence[Target]) -> AsyncGenerator[Item]:
        """Yield (done, size so far, item) for all captures of all targets."""
        for target in targets:
            async with aclosing(self._listings(_PAGE_URL.format(target=target))) as listings:
                async for captures, refusals in listings:
                    before = self._size
                    self._size += len(captures)
                    for refused in refusals:
                        yield before, self._size, refused
                    had = self._had_among(target, captures)
                    rest = [capture for capture in captures if capture.key not in had]
                    before += len(captures) - len(rest)
                    for key, origin in had.items():
                        if key not in self._taken:
                            self._taken.add(key)
                            yield before, self._size, KnownBody(origin)
                    async with aclosing(_ahead(self._get, self._requests(rest, before))) as answers:
                        async for request, response in answers:
                            if item := self._take(request, response, target):
                                yield request.number, self._size, item

    async def _listings(self, page_url: str) -> AsyncGenerator[tuple[list[Capture], list[Refused]]]:
        """Yield the captures of one page, list by list, with the unreadable rows of each."""
        seen: set[str | None] = set()
        key: str | None = None
        while key is not None or not seen:
            url = listing_url(self._base, page_url, since=self._since, until=self._until, resume_key=key)
            if key in seen or len(seen) == _MAX_LISTINGS:
                yield [], [Refused(url, "the list of captures has no end")]
                return
            seen.add(key)
            try:
                listing = read_listing(self._body(await self._get(url)), page_of(page_url))
            except ValueError as refusal:
                yield [], [Refused(url, str(refusal))]
                return
            yield listing.captures, [Refused(f"{url} row {number}", reason) for number, reason in listing.refused]
            key = listing.resume_key

    def _had_among(self, target: Target, captures: Sequence[Capture]) -> dict[tuple[datetime, str], str]:
        """Return the addresses of those captures that the database has, by key."""
        listed = {capture.key for capture in captures}
        had: dict[tuple[datetime, str], str] = {}
        for origin in self._had(target, sorted({at for at, _ in listed})):
            with suppress(ValueError):  # its origin is no capture
                had[read_capture_url(origin).key] = origin
        return {key: origin for key, origin in had.items() if key in listed}

    def _requests(self, captures: Iterable[Capture], before: int) -> Iterator[_Request]:
        """Yield the captures still to fetch. Decided as late as possible, as a redirect may have returned one."""
        for number, capture in enumerate(captures, before + 1):
            if capture.key not in self._asked and capture.key not in self._taken:
                self._asked.add(capture.key)
                yield _Request(number, capture, capture_url(self._base, capture))

    def _take(self, request: _Request, response: Response, target: Target) -> SavedBody | Refused | None:
        """Return the item of a response; None if the archive redirected to a capture that came before."""
        try:
            body = self._body(response)
            given = read_capture_url(response.url)
            self._check_given(given, request.capture)
            if given.key in self._taken:
                return None
            self._taken.add(given.key)
            return SavedBody(_not_empty(body), given.observed_at, target, response.url)
        except ValueError as refusal:
            return Refused(request.url, str(refusal))

    def _check_given(self, given: Capture, asked: Capture) -> None:
        if given.page != asked.page:
            raise ValueError(f"led to another page: {given.original[:200]!r}")
        at = given.observed_at
        if (self._since and at < self._since) or (self._until and at >= self._until):
            raise ValueError(f"led to a capture outside the time asked for: {at:%Y-%m-%dT%H:%M:%SZ}")

    def _body(self, response: Response) -> bytes:
        """Return the body of a 200. Raises ValueError for others, HistoryError after five without a response."""
        self._unreached = 0 if response.reached else self._unreached + 1
        if self._unreached == _MAX_UNREACHED:
            how = "can't be reached" if response.url else "is left alone"
            raise HistoryError(f"{self._base} {how}: {response.error}")
        if response.error:
            raise ValueError(response.error)
        if response.status != 200:  # noqa: PLR2004
            raise ValueError(f"HTTP {response.status}: {cdx_error(response.body or b'')}".removesuffix(": "))
        return response.body or b""


@dataclass(frozen=True, slots=True)
class _Request:
    """The `number`th of the listed captures, with its address."""

    number: int
    capture: Capture
    url: str


async def _ahead(get: Get, requests: Iterable[_Request]) -> AsyncGenerator[tuple[_Request, Response]]:
    """Yield the responses in the order of the requests. The next one is fetched meanwhile, as the archive is slow."""
    waiting: deque[tuple[_Request, asyncio.Future[Response]]] = deque()
    try:
        for request in requests:
            waiting.append((request, asyncio.ensure_future(get(request.url))))
            if len(waiting) == _AT_ONCE:
                yield waiting[0][0], await waiting[0][1]
                waiting.popleft()
        while waiting:
            yield waiting[0][0], await waiting[0][1]
            waiting.popleft()
    finally:
        for _, answer in waiting:
            answer.cancel()
        await asyncio.gather(*(answer for _, answer in waiting), return_exceptions=True)


def _not_empty(body: bytes) -> bytes:
    if not body:
        raise ValueError("an empty body")
    return body
