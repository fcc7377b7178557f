"""The door to OpenRouter's API: one client, its politeness, its retries."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from types import TracebackType
from typing import Self
from urllib.parse import urljoin

import stamina

from endpoint_history.errors import HistoryError, UnreachableError, unexpected
from endpoint_history.openrouter.http_client import HttpClient
from endpoint_history.openrouter.rate_limit import Politeness, retry_after_seconds
from endpoint_history.openrouter.secret_echo import SecretEcho
from endpoint_history.parsing.models_page import read_page
from endpoint_history.settings import Settings
from models.observation import Target

_ATTEMPTS = 4
_BUDGET_SECONDS = 60.0
# A hanging request takes its whole time-out: without an end to them, a run would outlast its schedule.
_GIVE_UP_AFTER = 50
_MAX_PAGES = 100
# 52x and 53x are what Cloudflare says for the server behind it; 598 and 599 what some proxies say for a time-out.
_TRANSIENT_STATUS = {408, 425, 429, 500, 502, 503, 504, *range(520, 540), 598, 599}
_MAY_ASK_TO_WAIT = {429, 503}

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


class Fetcher:
    """Asks OpenRouter, again where that can help, and never faster than is polite."""

    def __init__(self, settings: Settings, *, clock: Clock = now, politeness: Politeness | None = None) -> None:
        self._base = settings.openrouter_base_url.rstrip("/")
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
        if settings.api_key:
            headers["Authorization"] = f"Bearer {settings.api_key}"
        self._client = HttpClient(self._base, headers, settings.request_timeout_seconds, most)
        self._echo = SecretEcho(self._client.credentials())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
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
            seen.add(url)
            response = await self.get(url)
            if not response.reached:
                raise UnreachableError(f"{self._base} can't be reached: {response.error}")
            try:
                ids, following = read_page(response.status, response.error, response.body)
                url = self._next_page(url, following, seen)
            except ValueError as error:
                raise HistoryError(f"the models listing of {self._base} can't be had: {error}") from None
            found += ids
        if not found:
            raise HistoryError(f"the models listing of {self._base} can't be had: it lists no model")
        return found

    def _next_page(self, url: str, following: str | None, seen: set[str]) -> str | None:
        """The address of the next page of a listing, None at its end. Raises ValueError for one that is not asked."""
        if following is None:
            return None
        try:
            page = urljoin(url, following)
        except ValueError:
            raise ValueError("its next page is an address that can't be read") from None
        if reason := self._client.refusal_of(page):
            raise ValueError(f"its next page is {reason}")
        if page in seen or len(seen) == _MAX_PAGES:
            raise ValueError("its pages have no end")
        return page

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
        except Exception as error:  # noqa: BLE001 - one target that can't be asked must not stop the others
            return self._unasked(unexpected(error))
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
        if response.status not in _MAY_ASK_TO_WAIT:
            return None
        return retry_after_seconds(response.headers.get("retry-after"), self._clock())

    async def _request(self, url: str) -> tuple[Response, bool]:
        """One attempt, and whether asking again would be of no use."""
        started = time.monotonic()
        answer = await self._client.get(url)
        response = Response(
            observed_at=self._clock().replace(microsecond=0),
            status=answer.status,
            error=answer.error,
            elapsed_ms=int((time.monotonic() - started) * 1000),
            headers=answer.headers,
            body=bytes(answer.decoder.body) if answer.decoder else None,
            reached=answer.is_answered,
            url=answer.url,
        )
        return (_without_content(response), True) if self._repeats_secret(response) else (response, answer.is_final)

    def _repeats_secret(self, response: Response) -> bool:
        """Whether a server that echoes what it is sent put our API key, or the proxy's password, into its answer."""
        texts = "\n".join((response.error or "", response.url, *response.headers.values()))
        return self._echo.is_in(texts.encode("utf-8", "replace")) or self._echo.is_in(response.body or b"")


def _without_content(response: Response) -> Response:
    """The answer without anything that the server chose: nothing that repeats the API key may be kept."""
    return dataclasses.replace(response, error="the answer repeats the API key", headers={}, body=None, url="")
