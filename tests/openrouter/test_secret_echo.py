"""Servers that repeat the API key in the ways that servers repeat what they are sent: nothing of it is kept."""

from __future__ import annotations

import asyncio
import base64
import gzip
import html
import json
from collections.abc import Callable
from urllib.parse import quote

import pytest
from pydantic import SecretStr

from endpoint_history.openrouter.client import Fetcher, Response
from endpoint_history.openrouter.secret_echo import SecretEcho
from models.observation import Target
from tests.support.collecting import settings
from tests.support.raw_http import raw_server, response

KEY = 'sk-or-V1-AB/c+d"e=f&h<i\\0123456789abcdef0123456789abcdef0123456789abcdef'
PLAIN_KEY = "sk-or-v1-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"


def _body(text: str) -> bytes:
    return response(f'{{"message": "{text}"}}'.encode())


ECHOES: dict[str, Callable[[str], bytes]] = {
    "as it is": lambda key: response(key.encode()),
    "in capitals": lambda key: response(key.upper().encode()),
    "in JSON": lambda key: response(json.dumps({"message": key}).encode()),
    "in JSON of PHP": lambda key: response(json.dumps({"message": key}).replace("/", "\\/").encode()),
    "in JSON by numbers": lambda key: _body("".join(f"\\u{ord(sign):04X}" for sign in key)),
    "in HTML": lambda key: response(html.escape(key).encode()),
    "in a query": lambda key: response(quote(key, safe="").encode()),
    "in UTF-16": lambda key: response(key.encode("utf-16")),
    "in base64": lambda key: response(base64.b64encode(b"a" + key.encode())),
    "in base64 of a header": lambda key: response(base64.b64encode(f"Authorization: Bearer {key}".encode())),
    "in base64 of a URL": lambda key: response(base64.urlsafe_b64encode(b"ab" + key.encode())),
    "in gzip": lambda key: response(gzip.compress(key.encode()), b"Content-Encoding: gzip"),
    "cut in the middle": lambda key: response(key[:40].encode()),
    "as an encoding": lambda key: response(b"{}", b"Content-Encoding: " + key.encode()),
    "as a host": lambda _: response(b"", f"Location: http://{PLAIN_KEY.upper()}.test/".encode(), status=b"302 Found"),
    "in a header": lambda key: response(b"{}", b"Server: " + key.encode()),
}


def fetched(echo: Callable[[str], bytes], key: str) -> Response:
    async def run(url: str) -> Response:
        async with Fetcher(settings("sqlite://", url, openrouter_api_key=SecretStr(key))) as fetcher:
            return await fetcher.fetch_endpoints(Target.parse("a/b"))

    with raw_server(lambda *_: echo(key)) as url:
        return asyncio.run(run(url))


@pytest.mark.parametrize("key", [KEY, PLAIN_KEY])
@pytest.mark.parametrize("how", ECHOES)
def test_an_answer_that_repeats_the_key_in_any_form_is_not_kept(how: str, key: str) -> None:
    if how == "as a host":
        key = PLAIN_KEY
    answer = fetched(ECHOES[how], key)
    assert (answer.error, answer.headers, answer.body, answer.url) == ("the answer repeats the API key", {}, None, "")


def test_a_placeholder_for_a_key_fails_no_answer() -> None:
    answer = fetched(lambda _: _body("the latest test"), "test")
    assert (answer.error, answer.status) == (None, 200)


def test_an_answer_that_repeats_the_password_of_a_proxy_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def echo(_: str, request: bytes) -> bytes:
        return response(request)

    async def run() -> Response:
        async with Fetcher(settings("sqlite://", "http://openrouter.test/api/v1")) as fetcher:
            return await fetcher.fetch_endpoints(Target.parse("a/b"))

    with raw_server(echo) as url:
        monkeypatch.setenv("http_proxy", url.replace("http://", "http://somebody:proxy-secret@"))
        monkeypatch.setenv("no_proxy", "")
        answer = asyncio.run(run())
    assert (answer.status, answer.body) == (200, None)


def test_nothing_is_searched_without_a_secret() -> None:
    assert not SecretEcho([]).is_in(b"anything")
