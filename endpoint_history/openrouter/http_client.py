"""The HTTP client: one GET with its redirects, decoded within bounds and in time.

No exception of httpx or aiohttp leaves this module: its `repr` holds the request's headers, the API key among them, and
whoever logs or stores the exception would keep the key. What goes out is plain text.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from endpoint_history.errors import ConfigurationError
from endpoint_history.io.decode import MAX_BODY_BYTES, BodyRefusedError, BodyTooLargeError, Decoder
from endpoint_history.io.local_path import local_path
from endpoint_history.openrouter.network_errors import (
    MAX_HEADER_BYTES,
    MAX_HEADERS,
    causes_of,
    connection_trouble,
    is_other_protocol,
    malformed,
)
from endpoint_history.openrouter.proxy_settings import proxy_for
from endpoint_history.openrouter.redirects import RedirectRefusedError, followed, refusal_of

_MAX_REDIRECTS = 5
_KEPT_HEADERS = (
    "age", "cache-control", "cf-cache-status", "content-type", "date", "etag", "last-modified", "retry-after", "server",
    "x-request-id",
)  # fmt: skip


@dataclass(slots=True)
class RawResponse:
    """What was received for one request; a response that was cut off is kept as far as it came.

    `url` is the address that responded last. `error` is one line if no whole response came. `is_final` is true if a
    retry would be of no use, `is_answered` if the server sent anything at all.
    """

    url: str
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    decoder: Decoder | None = None
    expected: str | None = None
    error: str | None = None
    is_final: bool = False
    is_answered: bool = False


class HttpClient:
    """Asks the host of `base_url`, and no other. Raises ConfigurationError for a proxy or certificates of no use."""

    def __init__(self, base_url: str, headers: Mapping[str, str], timeout_seconds: float, max_connections: int) -> None:
        self._base = httpx.URL(base_url)
        self._headers = dict(headers)
        self._timeout_seconds = timeout_seconds
        self._max_connections = max_connections
        self._tls = tls_context()
        self._transport = AiohttpTransport(verify=self._tls, proxy=self._proxy(), client=self._open_session)

    def _proxy(self) -> httpx.Proxy | None:
        proxy = proxy_for(str(self._base))
        if proxy is None:
            return None
        authorization = {"Proxy-Authorization": aiohttp.encode_basic_auth(*proxy.auth)} if proxy.auth else {}
        if self._base.scheme == "http":  # the proxy reads the request itself, and not only where to connect to
            self._headers |= authorization
        return httpx.Proxy(proxy.url, headers=authorization)

    def _open_session(self) -> aiohttp.ClientSession:
        # A connection for each request: what a server or a proxy sends late, or twice, would be taken for the answer to
        # the next request on the same connection, and so put the prices of one model under another.
        connector = aiohttp.TCPConnector(limit=self._max_connections, force_close=True, ssl=self._tls)
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
            max_headers=MAX_HEADERS,
        )

    def credentials(self) -> list[str]:
        """The secrets that its requests carry: the API key, and user and password of a proxy as they are sent."""
        named = (value for name, value in self._headers.items() if name.endswith("Authorization"))
        return [value.partition(" ")[2] for value in named]

    async def aclose(self) -> None:
        """Close all connections; every answer has been read by now."""
        with contextlib.suppress(Exception):
            await self._transport.aclose()

    def refusal_of(self, url: str) -> str | None:
        """Why this address may not be asked, None if it may."""
        return refusal_of(url, self._base)

    async def get(self, url: str) -> RawResponse:
        """Ask for one address. Never raises for what the network or the server does."""
        answer = RawResponse(url)
        try:
            async with asyncio.timeout(3 * self._timeout_seconds) as whole:
                await self._receive(answer)
        except (BodyRefusedError, RedirectRefusedError) as refusal:
            answer.error, answer.is_final = str(refusal), True
            if isinstance(refusal, BodyTooLargeError):
                answer.decoder = None
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            answer.error, answer.is_final = "the address can't be asked for: it is not valid", True
        except Exception as trouble:  # noqa: BLE001 - httpx, aiohttp and yarl raise far more than they document
            self._describe(trouble, answer, self._timeout_seconds * (3 if whole.expired() else 1))
        return answer

    async def _receive(self, answer: RawResponse) -> None:
        url = httpx.URL(answer.url)
        for _ in range(_MAX_REDIRECTS + 1):
            response = await self._send(url)
            try:
                answer.url = str(url)
                answer.is_answered = True
                answer.status = response.status_code
                answer.headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
                if not response.has_redirect_location:
                    await _read_body(response, answer)
                    return
                location = response.headers["location"]
            finally:
                with contextlib.suppress(Exception):  # what was to be read has been read
                    await response.aclose()
            url = followed(url, location, self._base)
        raise RedirectRefusedError(f"more than {_MAX_REDIRECTS} redirects")

    async def _send(self, url: httpx.URL) -> httpx.Response:
        timeout = httpx.Timeout(self._timeout_seconds).as_dict()
        request = httpx.Request("GET", url, headers=self._headers, extensions={"timeout": timeout})
        return await self._transport.handle_async_request(request)

    def _describe(self, trouble: Exception, answer: RawResponse, seconds: float) -> None:
        # The causes tell, not the class of httpx: its aiohttp transport gives ConnectTimeout for a refused connection.
        causes = causes_of(trouble)
        defect = malformed(causes)
        if any(isinstance(cause, TimeoutError) for cause in causes):
            part = "no whole answer" if answer.status else "no answer"
            answer.error = f"{part} within {seconds:g} s"
        elif defect:
            answer.error, answer.is_answered, answer.is_final = defect, True, is_other_protocol(defect)
        elif answer.decoder is not None:
            answer.error = f"connection closed in the middle of the body (of {answer.expected or 'unknown'} bytes)"
        elif isinstance(trouble, httpx.HTTPError | aiohttp.ClientError | OSError):
            answer.error = connection_trouble(causes)
        else:
            answer.error = f"the HTTP client failed: {type(trouble).__name__}"


async def _read_body(response: httpx.Response, answer: RawResponse) -> None:
    expected = response.headers.get("content-length", "")[:20]
    answer.expected = expected if expected.isdecimal() else None
    if answer.expected and int(answer.expected) > MAX_BODY_BYTES:
        raise BodyTooLargeError(f"body larger than {MAX_BODY_BYTES // 1024**2} MiB")
    answer.decoder = Decoder(response.headers.get("content-encoding"))
    async for piece in response.aiter_raw():
        answer.decoder.feed(piece)
    answer.decoder.finish()


def _folders(places: str) -> str:
    folders = [local_path(place) for place in places.split(os.pathsep)]
    if not any(folder.is_dir() for folder in folders):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    return os.pathsep.join(map(str, folders))


def tls_context() -> ssl.SSLContext:
    """Trust what SSL_CERT_FILE or SSL_CERT_DIR names, else certifi's certificates. Raises ConfigurationError."""
    name = next((name for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if os.environ.get(name)), "certifi's certificates")
    place = os.environ.get(name, "")
    try:
        if name == "SSL_CERT_FILE":
            return ssl.create_default_context(cafile=local_path(place))
        if name == "SSL_CERT_DIR":
            return ssl.create_default_context(capath=_folders(place))
        return httpx.create_ssl_context(trust_env=False)
    except ValueError as error:
        reason = str(error)
    except ssl.SSLError:
        reason = "no certificates in it"
    except OSError as error:
        reason = (error.strerror or "it can't be opened").lower()
    raise ConfigurationError(f"{name} can't be used: {place[:200]}: {reason}")
