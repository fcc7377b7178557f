"""The door to OpenRouter's API: one client, its politeness, its retries.

No exception of the HTTP client leaves this module: its `repr` holds the request's headers, the API key among them, and
whoever logs or stores the exception would keep the key. What goes out is plain text.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from types import TracebackType
from typing import Self
from urllib.parse import urljoin

import httpx
import stamina
from httpx_aiohttp import HttpxAiohttpClient

from flows.decode import MAX_BODY_BYTES, BodyRefusedError, Decoder
from flows.errors import HistoryError, UnreachableError
from flows.model_list import read_page
from flows.network_trouble import causes_of, connection_trouble
from flows.politeness import Politeness, retry_after_seconds
from flows.settings import Settings
from models.observation import Target

_ATTEMPTS = 4
_BUDGET_SECONDS = 60.0
_MAX_REDIRECTS = 5
# A hanging request takes its whole time-out: without an end to them, a run would outlast its schedule.
_GIVE_UP_AFTER = 50
_MAX_PAGES = 100
_TRANSIENT_STATUS = {429, 500, 502, 503, 504, *range(520, 528)}
_KEPT_HEADERS = (
    "age", "cache-control", "cf-cache-status", "content-type", "date", "etag", "last-modified", "retry-after", "server",
    "x-request-id",
)  # fmt: skip

stamina.instrumentation.set_on_retry_hooks([])  # a retry is no news; what becomes of it is


Clock = Callable[[], datetime]


def now() -> datetime:
    """Our clock: aware UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Response:
    """What came of asking for one address, retries and all.

    `observed_at` is our clock, UTC in whole seconds, when the last answer ended. `error` is one line where no whole
    answer came, and `body` is then what came of it. `reached` tells whether the server answered at all. `elapsed_ms`
    is that of the last attempt. `url` is the address that answered, after redirects within the host; empty where none
    was asked.
    """

    observed_at: datetime
    status: int | None
    error: str | None
    elapsed_ms: int
    headers: dict[str, str]
    body: bytes | None
    reached: bool
    url: str = ""


class _TransientError(Exception):
    """An answer worth asking for again, kept in case it is the last."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.error or f"HTTP {response.status}")
        self.response = response


class _RedirectRefusedError(Exception):
    """A redirect that is not followed; the message says why."""


@dataclass(slots=True)
class _Answer:
    """What has come of an answer so far, so that a cut one is kept as far as it came."""

    url: str
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    decoder: Decoder | None = None
    expected: str | None = None


class Fetcher:
    """Asks OpenRouter, again where that can help, and never faster than is polite."""

    def __init__(self, settings: Settings, *, clock: Clock = now, politeness: Politeness | None = None) -> None:
        self._base = settings.openrouter_base_url.rstrip("/")
        self._origin = _origin(httpx.URL(self._base))
        self._timeout_seconds = settings.request_timeout_seconds
        self._clock = clock
        self._unanswered = 0
        self._last_trouble: str | None = None
        most = settings.max_connections
        self._politeness = politeness or Politeness(settings.requests_per_second, most)
        headers = {
            "User-Agent": f"endpoint-history/{version('endpoint-history')}",
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
        }
        self._key = settings.api_key
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        limits = httpx.Limits(max_connections=most, max_keepalive_connections=most)
        self._client = HttpxAiohttpClient(headers=headers, timeout=self._timeout_seconds, limits=limits)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(Exception):  # every answer has been read by now
            await self._client.aclose()

    async def fetch_endpoints(self, target: Target) -> Response:
        """Ask for the endpoints of one target. Never raises for what the network or the server does."""
        return await self.get(f"{self._base}/models/{target}/endpoints")

    async def fetch_models(self) -> list[str]:
        """The ids of all models of all output modalities, over all pages. Raises HistoryError."""
        url: str | None = f"{self._base}/models?output_modalities=all"
        seen: set[str] = set()
        found: list[str] = []
        while url:
            if url in seen or len(seen) == _MAX_PAGES or not self._is_ours(url):
                raise HistoryError(f"the models listing of {self._base} leads on to a refused page: {url[:200]}")
            seen.add(url)
            response = await self.get(url)
            if not response.reached:
                raise UnreachableError(f"{self._base} can't be reached: {response.error}")
            try:
                ids, following = read_page(response.status, response.error, response.body)
                url = urljoin(url, following) if following else None
            except ValueError as error:
                raise HistoryError(f"the models listing of {self._base} can't be had: {error}") from None
            found += ids
        return found

    def _is_ours(self, url: str) -> bool:
        try:
            return _origin(httpx.URL(url)) == self._origin
        except (httpx.InvalidURL, ValueError):
            return False

    async def get(self, url: str) -> Response:
        """Ask for any address of the same host. Never raises for what the network or the server does."""
        started = time.monotonic()

        def worthwhile(error: Exception) -> bool:
            """Ask again, unless the server wants more patience than there is."""
            if not isinstance(error, _TransientError):
                return False
            wait = self._asked_to_wait(error.response)
            return wait is None or time.monotonic() - started + wait <= _BUDGET_SECONDS

        try:
            async for attempt in stamina.retry_context(
                on=worthwhile, attempts=_ATTEMPTS, timeout=_BUDGET_SECONDS, wait_initial=0.5, wait_max=10, wait_jitter=1
            ):
                with attempt:
                    return await self._attempt(url)
        except _TransientError as last:
            return last.response
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _unasked(self, reason: str) -> Response:
        """What stands for the answer to a request that is not made."""
        return Response(self._clock().replace(microsecond=0), None, reason, 0, {}, None, reached=False)

    async def _attempt(self, url: str) -> Response:
        async with self._politeness.turn():
            if self._unanswered >= _GIVE_UP_AFTER:
                return self._unasked(f"{self._last_trouble}, so often in a row that no more was asked")
            if not await self._politeness.welcome(_BUDGET_SECONDS):
                silence = self._politeness.silence_seconds()
                return self._unasked(f"not asked: the server wants silence for another {silence:.0f} s")
            response, final = await self._request(url)
            self._unanswered = 0 if response.reached else self._unanswered + 1
            self._last_trouble = response.error
        wait = self._asked_to_wait(response)
        if wait is not None:
            self._politeness.keep_silent(wait)
        if not final and (response.error or response.status in _TRANSIENT_STATUS):
            raise _TransientError(response)
        return response

    def _asked_to_wait(self, response: Response) -> float | None:
        if response.status not in {httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE}:
            return None
        return retry_after_seconds(response.headers.get("retry-after"), self._clock())

    async def _request(self, url: str) -> tuple[Response, bool]:
        """One attempt, and whether asking again would be of no use."""
        answer = _Answer(url)
        started = time.monotonic()
        error: str | None = None
        final = False
        try:
            async with asyncio.timeout(3 * self._timeout_seconds):
                await self._receive(url, answer)
        except (BodyRefusedError, _RedirectRefusedError) as refusal:
            error, final = str(refusal), True
        except Exception as trouble:  # noqa: BLE001 - httpx, aiohttp and yarl raise far more than they document
            error = self._describe(trouble, answer)
        response = Response(
            observed_at=self._clock().replace(microsecond=0),
            status=answer.status,
            error=error,
            elapsed_ms=int((time.monotonic() - started) * 1000),
            headers=answer.headers,
            body=bytes(answer.decoder.body) if answer.decoder else None,
            reached=answer.status is not None,
            url=answer.url,
        )
        return (_without_content(response), True) if self._repeats_key(response) else (response, final)

    def _repeats_key(self, response: Response) -> bool:
        """Whether a server that echoes what it is sent put our API key into its answer."""
        if not self._key:
            return False
        texts = (response.error or "", response.url, *response.headers.values())
        return any(self._key in text for text in texts) or self._key.encode() in (response.body or b"")

    async def _receive(self, url: str, answer: _Answer) -> None:
        request = self._client.build_request("GET", url)
        for _ in range(_MAX_REDIRECTS + 1):
            response = await self._client.send(request, stream=True)
            try:
                answer.url = str(response.url)
                answer.status = response.status_code
                answer.headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
                if response.next_request is None:
                    await _read_body(response, answer)
                    return
                request = response.next_request
            finally:
                await response.aclose()
            if _origin(request.url) != self._origin:
                raise _RedirectRefusedError(f"redirect to another host: {request.url.host[:100]}")
        raise _RedirectRefusedError(f"more than {_MAX_REDIRECTS} redirects")

    def _describe(self, trouble: Exception, answer: _Answer) -> str:
        # The causes tell, not the class of httpx: its aiohttp transport gives ConnectTimeout for a refused connection.
        causes = causes_of(trouble)
        if any(isinstance(cause, TimeoutError) for cause in causes):
            part = "no whole answer" if answer.status else "no answer"
            return f"{part} within {self._timeout_seconds:g} s"
        if answer.decoder is not None:
            return f"connection closed in the middle of the body (of {answer.expected or 'unknown'} bytes)"
        if not isinstance(trouble, httpx.HTTPError | OSError):
            return "the answer is not valid HTTP"
        return connection_trouble(causes)


def _without_content(response: Response) -> Response:
    """The answer without anything that the server chose: nothing that repeats the API key may be kept."""
    return dataclasses.replace(response, error="the answer repeats the API key", headers={}, body=None, url="")


async def _read_body(response: httpx.Response, answer: _Answer) -> None:
    answer.expected = response.headers.get("content-length")
    if answer.expected and answer.expected.isdecimal() and int(answer.expected) > MAX_BODY_BYTES:
        raise BodyRefusedError(f"body larger than {MAX_BODY_BYTES // 1024**2} MiB")
    answer.decoder = Decoder(response.headers.get("content-encoding"))
    async for piece in response.aiter_raw():
        answer.decoder.feed(piece)
    answer.decoder.finish()


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port
