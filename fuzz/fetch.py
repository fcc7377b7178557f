"""Any bytes as an answer of the API's server: `python -m fuzz.fetch [libFuzzer's options] [CORPUS]`.

The first byte chooses which part of the answer they are. They come over a real connection on loopback.
"""

from __future__ import annotations

import asyncio
import gzip
import itertools
import logging
import sys
from collections.abc import Callable
from contextlib import suppress

import atheris
import stamina

with atheris.instrument_imports(include=["endpoint_history", "models"]):
    from pydantic import SecretStr

    from endpoint_history.errors import HistoryError
    from endpoint_history.openrouter.client import Fetcher, Response
    from endpoint_history.openrouter.rate_limit import Politeness
    from endpoint_history.settings import Settings
    from models.observation import Target

from tests.support.raw_http import raw_server, response

_KEY = "sk-or-v1-0123456789abcdef"
_MAX_LINE = 200
_OK = b"HTTP/1.1 200 OK\r\n"
_FORMS: tuple[Callable[[bytes], bytes], ...] = (
    lambda data: data,
    lambda data: _OK + data,
    lambda data: response(b"{}", b"X-Request-Id: " + data),
    lambda data: response(b"", b"Location: " + data, status=b"302 Found"),
    lambda data: _OK + b"Transfer-Encoding: chunked\r\n\r\n" + data,
    lambda data: response(data, b"Content-Encoding: gzip"),
    lambda data: response(b"{}", b"Content-Encoding: " + data),
    lambda data: response(b"{}", b"Retry-After: " + data, status=b"429 Too Many Requests"),
    lambda data: response(gzip.compress(data), b"Content-Encoding: gzip"),
)


class FetchAnything:
    """One fetcher for all tries: what an answer does to it must not change what comes of the next."""

    def __init__(self, runner: asyncio.Runner, base_url: str) -> None:
        self.answer = b""
        self._runner = runner
        settings = Settings(openrouter_base_url=base_url, openrouter_api_key=SecretStr(_KEY), request_timeout_seconds=5)
        # A clock that leaps: no silence that a server asks for lasts until the next request.
        self._politeness = Politeness(0, 1, seconds=itertools.count(0, 10**12).__next__)
        self._fetcher = runner.run(_opened(settings, self._politeness))

    def __call__(self, data: bytes) -> None:
        """An answer or one readable line comes of it, whatever it is, and nothing of the key."""
        form = data[0] % len(_FORMS) if data else 0
        self.answer = _FORMS[form](data[1:])
        self._runner.run(self._fetch())

    async def _fetch(self) -> None:
        answer = await self._fetcher.fetch_endpoints(Target("a", "b"))
        check(answer)
        with suppress(HistoryError):
            await self._fetcher.fetch_models()


def check(answer: Response) -> None:
    """Raise AssertionError if the answer breaks what is promised of each."""
    error = answer.error
    if error is not None and not (error and error.isprintable() and len(error) <= _MAX_LINE):
        raise AssertionError(f"not one readable line: {error!r}")
    if error and error.startswith(("unexpected error", "the HTTP client failed")):
        raise AssertionError(error)
    if error is None and (answer.status is None or answer.body is None):
        raise AssertionError(f"neither an answer nor an error: {answer!r}")
    if _KEY in repr(answer):
        raise AssertionError("the answer holds the key")


async def _opened(settings: Settings, politeness: Politeness) -> Fetcher:
    return Fetcher(settings, politeness=politeness)


def main() -> None:
    """Serve and ask until libFuzzer ends the process."""
    logging.disable()
    stamina.set_active(False)
    with asyncio.Runner() as runner, raw_server(lambda *_: tried.answer) as base_url:
        tried = FetchAnything(runner, base_url)
        atheris.Setup(sys.argv, tried)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
