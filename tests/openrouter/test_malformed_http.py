"""Answers that are not valid HTTP, or strange: one target fails with a readable line, all others succeed."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import stamina
from pydantic import SecretStr

from endpoint_history.errors import HistoryError
from endpoint_history.openrouter.client import Fetcher, Response
from endpoint_history.openrouter.rate_limit import retry_after_seconds
from models.observation import Target
from models.tables import observations
from simulator.market import Market
from tests.support.collecting import archived, collect, count, settings
from tests.support.factories import at
from tests.support.raw_http import raw_server, response

OK = b"HTTP/1.1 200 OK\r\n"
END = b"Content-Length: 2\r\nConnection: close\r\n\r\n{}"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
NOT_HTTP = "the answer is not valid HTTP"
CLOSED = "connection closed without an answer"
CUT = "connection closed in the middle of the body"
KEY = "sk-or-v1-0123456789abcdef"

MALFORMED: dict[str, tuple[bytes, str]] = {
    "a header of 100 kB": (OK + b"X-A: " + b"a" * 100_000 + b"\r\n" + END, "a header line is longer than 64 KiB"),
    "a header name of 100 kB": (OK + b"a" * 100_000 + b": 1\r\n" + END, "a header line is longer than 64 KiB"),
    "a reason of 100 kB": (b"HTTP/1.1 200 " + b"a" * 100_000 + b"\r\n" + END, "a header line is longer than 64 KiB"),
    "2,000 headers": (OK + b"X-A: 1\r\n" * 2000 + END, "more than 512 header lines"),
    "two lengths": (OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", "more than one Content-Length"),
    "a length and chunks": (OK + b"Transfer-Encoding: chunked\r\n" + END, "both Content-Length and Transfer-Encoding"),
    "a negative length": (OK + b"Content-Length: -2\r\n\r\n{}", "its Content-Length is not a length"),
    "a length beyond all": (OK + b"Content-Length: " + b"9" * 40 + b"\r\n\r\n{}", "its Content-Length is not a length"),
    "a bad chunk size": (CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n", "the size of a chunk is wrong"),
    "a wrong chunk size": (CHUNKED + b"1\r\n{}\r\n0\r\n\r\n", "the size of a chunk is wrong"),
    "NUL in a header": (OK + b"X-A: a\0b\r\n" + END, "a header line can't be read"),
    "a header without a colon": (OK + b"Bad Header Line\r\n\r\n", "a header line can't be read"),
    "a space before the colon": (OK + b"X-A : 1\r\n" + END, "a header line can't be read"),
    "status 99": (b"HTTP/1.1 99 odd\r\n" + END, "its status is not a number from 100 to 999"),
    "status abc": (b"HTTP/1.1 abc odd\r\n" + END, "its status is not a number from 100 to 999"),
    "HTTP 9.9": (b"HTTP/9.9 200 OK\r\n" + END, "its version of HTTP is unknown"),
    "an SSH server": (b"SSH-2.0-OpenSSH_9.2\r\n", "this is an SSH server"),
    "a TLS server": (b"\x15\x03\x01\x00\x02\x02\x46", "this is a TLS server, so the address must begin with https"),
    "a mail server": (b"220 mail.example.com ESMTP\r\n", "it does not begin with HTTP"),
    "only a body": (b'{"data": []}', "it does not begin with HTTP"),
    "more after its end": (OK + END + b"more", "bytes after the end of its body"),
}
OTHER: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", CLOSED),
    "half a header": (b"HTTP/1.1 200 OK\r\nContent-Ty", CLOSED),
    "half a body": (OK + b"Content-Length: 9\r\n\r\n{}", f"{CUT} (of 9 bytes)"),
    "half a chunk": (CHUNKED + b"ff\r\n{}", f"{CUT} (of unknown bytes)"),
    "a chunk that never comes": (CHUNKED + b"ffffffffff\r\n{}", f"{CUT} (of unknown bytes)"),
    "Brotli": (response(b"{}", b"Content-Encoding: br"), "content encoding 'br' is not supported"),
}


def redirect(location: bytes) -> bytes:
    return response(b"", b"Location: " + location, status=b"302 Found")


NO_ADDRESS = "redirect to an address that can't be read"
WITH_USER = "redirect to an address with a user or password in it"
REDIRECTS: dict[str, tuple[bytes, str]] = {
    "http://[::1": (redirect(b"http://[::1"), NO_ADDRESS),
    "//[x": (redirect(b"//[x"), NO_ADDRESS),
    "port 99999999": (redirect(b"http://127.0.0.1:99999999/"), NO_ADDRESS),
    "http://xn--/": (redirect(b"http://xn--/"), "redirect to another host: xn--"),
    "javascript": (redirect(b"javascript:alert(1)"), "redirect to an address that is not http or https"),
    "a password": (redirect(b"http://u:secret-word@127.0.0.1/"), WITH_USER),
    "a user": (redirect(b"//u@127.0.0.1/"), WITH_USER),
    "60 kB": (redirect(b"http://h/" + b"a" * 60_000), "redirect to another host: h"),
    "a long host": (redirect(b"http://" + b"a" * 5000 + b"/"), f"redirect to another host: {'a' * 100}"),
    "another port": (redirect(b"http://127.0.0.1:1/"), "redirect to another port of the same host: 1"),
}
FAILING = {
    **{name: (raw, f"{NOT_HTTP}: {reason}") for name, (raw, reason) in MALFORMED.items()},
    **OTHER,
    **REDIRECTS,
}
HARMLESS = {
    "a policy of 60 kB": OK + b"Content-Security-Policy: " + b"a" * 60_000 + b"\r\n" + END,
    "500 cookies": OK + b"Set-Cookie: a=b; Path=/; HttpOnly\r\n" * 500 + END,
    "a broken cookie": OK + b'Set-Cookie: \xff=;;;="\x01\r\n' + END,
    "bytes beyond ASCII": OK + b"X-A: caf\xe9 \xff\r\n" + END,
    "a folded header": OK + b"X-A: 1\r\n 2\r\n" + END,
    "HTTP 1.0": b"HTTP/1.0 200 OK\r\n\r\n{}",
    "no length": OK + b"Connection: close\r\n\r\n{}",
    "no reason": b"HTTP/1.1 200\r\n" + END,
    "line feeds alone": (OK + END).replace(b"\r\n", b"\n"),
    "early hints": b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + OK + END,
    "no encoding named": OK + b"Content-Encoding: \r\n" + END,
}


@pytest.fixture(autouse=True)
def _asking_once() -> Iterator[None]:
    with stamina.set_testing(True, attempts=1):
        yield


def fetched(raw: bytes, path: str = "a/b") -> Response:
    async def run(url: str) -> Response:
        async with Fetcher(
            settings("sqlite://", url, openrouter_api_key=SecretStr(KEY), request_timeout_seconds=20)
        ) as fetcher:
            return await fetcher.fetch_endpoints(Target.parse(path))

    with raw_server(lambda *_: raw) as url:
        return asyncio.run(run(url))


@pytest.mark.parametrize("name", FAILING)
def test_an_answer_that_cannot_be_read_fails_with_one_readable_line(name: str) -> None:
    raw, reason = FAILING[name]
    answer = fetched(raw)
    assert answer.error == reason
    assert reason.isprintable()
    assert len(reason) <= 150
    assert answer.reached == (reason != CLOSED)


@pytest.mark.parametrize("name", HARMLESS)
def test_a_strange_answer_of_a_real_server_is_read(name: str) -> None:
    answer = fetched(HARMLESS[name])
    assert (answer.status, answer.error, answer.body) == (200, None, b"{}")


def test_a_redirect_to_https_says_what_to_change() -> None:
    assert fetched(redirect(b"https://127.0.0.1:8443/api/v1/models")).error == (
        "redirect to https on the same host: change the configured address (OPENROUTER_BASE_URL, or --base-url of a web"
        " archive) to https://127.0.0.1:8443"
    )


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("Wed, 21 Oct 2037 07:28:00 +99999999", None),
        ("Wed, 21 Oct 2037 07:28:00 -999999999999999999999", None),
        ("Mon, 01 Jan 0001 00:00:00 +2359", 0),
        ("Fri, 31 Dec 9999 23:59:59 -2359", 251_623_497_539),
        ("Wed, 21 Oct 2037 99:28:00 GMT", None),
        ("Wed, 99 Foo 99999 07:28:00 GMT", None),
        (f"Wed, 21 Oct {'9' * 6000} 07:28:00 GMT", None),
        ("\0", None),
        (",,,,", None),
        ("1e9", None),
        ("٣", None),
        ("-1", None),
        (" 7 ", 7),
        ("9" * 5000, 999_999_999),
        ("Sat, 16 May 2026 00:01:00 GMT", 60),
    ],
)
def test_a_retry_after_that_says_no_time_says_nothing(header: str, seconds: float | None) -> None:
    assert retry_after_seconds(header, datetime(2026, 5, 16, tzinfo=UTC)) == seconds


MARKET = Market(models=20)
PATIENT = {"request_timeout_seconds": 20}


@pytest.fixture
def history(sqlite_template: Path) -> str:
    """A SQLite database with the schema and nothing else."""
    shutil.copy(sqlite_template, "history.db")
    return "sqlite:///history.db"


def market_answers(bad: dict[str, bytes]) -> Callable[[str, bytes], bytes]:
    """The good answers of a market, and these by their paths."""

    def answer(path: str, _: bytes) -> bytes:
        target = path.removeprefix("/models/").removesuffix("/endpoints")
        return bad[target] if target in bad else response(json.dumps(MARKET.body(target, at(0))).encode())

    return answer


def test_every_malformed_answer_fails_alone(database_url: str) -> None:
    bad = {f"bad/m{number}": raw for number, (raw, _) in enumerate(FAILING.values())}
    good = MARKET.paths()[:20]
    with raw_server(market_answers(bad)) as url:
        collected = collect(settings(database_url, url, **PATIENT), [*bad, *good])
    assert (collected.summary.ok, collected.exit_code) == (20, 3)
    assert dict(collected.summary.failed) == {
        target: reason for target, (_, reason) in zip(bad, FAILING.values(), strict=True)
    }
    assert count(database_url, observations) == len(bad) + 20
    assert "secret-word" not in repr(archived())


@pytest.mark.parametrize(
    ("listing", "reason"),
    [
        (OK + b"Bad Header Line\r\n\r\n", f"{NOT_HTTP}: a header line can't be read"),
        (b"", CLOSED),
        (redirect(b"http://[::1"), NO_ADDRESS),
        (response(b"<html>Just a moment...</html>", status=b"403 Forbidden"), "HTTP 403: a web page, not JSON"),
        (response(b'{"error": {"message": "No\\u001b[31m"}}', status=b"402 Pay"), "HTTP 402: No\ufffd[31m"),
        (response(b'{"data": [{"id": "a/b"}], "links": {"next": "http://u:secret-word@127.0.0.1/"}}'), "its next page"),
    ],
)
def test_a_malformed_models_listing_is_replaced_by_the_known_targets(history: str, listing: bytes, reason: str) -> None:
    good = MARKET.paths()[:5]
    with raw_server(market_answers({"/models?output_modalities=all": listing})) as url:
        assert collect(settings(history, url, **PATIENT), good).exit_code == 0
        collected = collect(settings(history, url, **PATIENT), ["*"], minute=30)
    assert (collected.summary.ok, collected.exit_code) == (5, 0)
    assert reason in collected.troubles[0]
    assert "secret-word" not in collected.troubles[0]


@pytest.mark.parametrize(
    ("following", "reason"),
    [
        ("http://[::1", "its next page is an address that can't be read"),
        ("//[x", "its next page is an address that can't be read"),
        ("http://xn--/", "its next page is another host: xn--"),
        ("http://u:secret-word@{host}/", "its next page is an address with a user or password in it"),
        ("https://{host}/", "its next page is https on the same host: .*"),
        ("a" * 70_000, "its next page is an address that can't be read"),
        ("mailto:x@y", "its next page is an address that is not http or https"),
    ],
)
def test_a_next_page_that_cannot_be_asked_for_is_told_without_secrets(following: str, reason: str) -> None:
    async def listed(url: str) -> Any:
        async with Fetcher(settings("sqlite://", url)) as fetcher:
            return await fetcher.fetch_models()

    def page(_: str, request: bytes) -> bytes:
        host = request.lower().partition(b"host: ")[2].partition(b"\r\n")[0].decode()
        return response(json.dumps({"data": [], "links": {"next": following.replace("{host}", host)}}).encode())

    with raw_server(page) as url, pytest.raises(HistoryError, match=f"can't be had: {reason}$") as caught:
        asyncio.run(listed(url))
    assert "secret-word" not in str(caught.value)
