"""The API key after every kind of failed request: in nothing that is printed, logged, stored or archived."""

from __future__ import annotations

import gzip
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.prefect_server import ROOT, environment, kept
from tests.support.raw_http import raw_server, response

KEY = "sk-or-v1-0123456789abcdef"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def _echo(request: bytes) -> bytes:
    return response(b'{"error":{"code":401,"message":"bad request"}}' + request, status=b"401 Unauthorized")


def _key_in_header(request: bytes) -> bytes:
    return response(b"{}", b"X-Request-Id: " + request.partition(b"Bearer ")[2].partition(b"\r\n")[0])


def _key_in_redirect(request: bytes) -> bytes:
    location = b"Location: /api/v1/" + request.partition(b"Bearer ")[2].partition(b"\r\n")[0]
    return response(b"", location, status=b"302 Found")


def _unreadable(*parts: bytes) -> Callable[[bytes], bytes]:
    return lambda _: b"".join(parts)


FAILURES: dict[str, Callable[[bytes], bytes]] = {
    "malformed-header": _unreadable(b"HTTP/1.1 200 OK\r\nBad Header Line\r\n\r\n"),
    "huge-header": _unreadable(b"HTTP/1.1 200 OK\r\nX-A: ", b"a" * 2_000_000, b"\r\n\r\n"),
    "no-http": _unreadable(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "two-lengths": _unreadable(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
    "bad-chunk": _unreadable(CHUNKED, b"zz\r\n{}\r\n0\r\n\r\n"),
    "cut-chunk": _unreadable(CHUNKED, b"ff\r\n{}"),
    "status-99": _unreadable(b"HTTP/1.1 99 odd\r\nContent-Length: 2\r\n\r\n{}"),
    "empty": _unreadable(),
    "bad-gzip": lambda _: response(b"no gzip", b"Content-Encoding: gzip"),
    "bad-redirect": lambda _: response(b"", b"Location: http://[::1", status=b"302 Found"),
    "redirect-with-password": lambda _: response(b"", b"Location: http://u:p@127.0.0.1/", status=b"302 Found"),
    "web-page": lambda _: response(b"<html>403</html>", status=b"403 Forbidden"),
    "echo": _echo,
    "key-in-header": _key_in_header,
    "key-in-redirect": _key_in_redirect,
}


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    """A server whose slugs are failures; what is no slug, such as the models listing, is malformed HTTP."""

    def answer(path: str, request: bytes) -> bytes:
        slug = path.removesuffix("/endpoints").rpartition("/")[2]
        return FAILURES.get(slug, FAILURES["malformed-header"])(request)

    with raw_server(answer) as url:
        yield f"{url}/api/v1"


@pytest.fixture
def keyed(tmp_path: Path, upstream: str) -> dict[str, str]:
    """The environment of a collect from this upstream that has a key and a database."""
    variables = environment(
        tmp_path,
        DATABASE_URL=f"sqlite:///{tmp_path}/history.db",
        ARCHIVE_URL=str(tmp_path / "archive"),
        OPENROUTER_BASE_URL=upstream,
        OPENROUTER_API_KEY=KEY,
        REQUESTS_PER_SECOND="0",
    )
    assert run(variables, "-m", "endpoint_history", "db", "upgrade").returncode == 0
    return variables


FLOW = """
import asyncio, sys
from flows.collect import collect
asyncio.run(collect(targets=sys.argv[1:], return_state=True))
"""
WAYS = {
    "plainly": ["-m", "endpoint_history", "collect", "--no-prefect"],
    "with Prefect": ["-m", "endpoint_history", "collect"],
    "as a worker does": ["-c", FLOW],
}


def run(variables: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    variables = variables | {"PYTHONPATH": str(ROOT), "PREFECT_LOGGING_LEVEL": "DEBUG"}
    return subprocess.run(
        [sys.executable, *words], env=variables, capture_output=True, text=True, check=False, timeout=180
    )


def stored(folder: Path) -> str:
    """All that the database and the archive of this folder hold, decompressed."""
    with closing(sqlite3.connect(folder / "history.db")) as connection:
        rows = "\n".join(connection.iterdump())
    bundles = (gzip.decompress(path.read_bytes()).decode() for path in folder.glob("archive/**/*.gz"))
    return rows + "\n".join(bundles)


@pytest.mark.slow_unless(way=["with Prefect"])
@pytest.mark.parametrize("way", list(WAYS))
def test_no_failed_request_shows_the_api_key(
    keyed: dict[str, str], prefect_api: str, prefect_home: Path, tmp_path: Path, way: str
) -> None:
    variables = keyed | {"PREFECT_API_URL": prefect_api}
    done = run(variables, *WAYS[way], *(f"key/{name}" for name in FAILURES))
    printed, archived = done.stdout + done.stderr, stored(tmp_path)
    assert [place for place in (printed, archived, kept(prefect_home)) if KEY in place] == []
    assert "Traceback" not in printed
    assert [name for name in FAILURES if f'"{name}"' not in archived] == []
    assert way == "as a worker does" or done.returncode == 1
    assert way == "as a worker does" or [name for name in FAILURES if f"key/{name}" not in printed] == []


@pytest.mark.slow
def test_a_models_listing_that_fails_shows_no_api_key(
    keyed: dict[str, str], prefect_api: str, prefect_home: Path
) -> None:
    done = run(keyed | {"PREFECT_API_URL": prefect_api}, *WAYS["with Prefect"], "key/*")
    printed = done.stdout + done.stderr
    assert KEY not in printed + kept(prefect_home)
    assert (done.returncode, "Traceback" in printed) == (1, False), printed


@pytest.mark.slow
def test_a_proxy_that_answers_nonsense_shows_no_api_key_and_no_password(
    keyed: dict[str, str], upstream: str, prefect_api: str, prefect_home: Path
) -> None:
    proxy = upstream.removesuffix("/api/v1").replace("http://", "http://user:proxy-secret@")
    variables = keyed | {"OPENROUTER_BASE_URL": "https://openrouter.test/api/v1", "HTTPS_PROXY": proxy}
    done = run(
        variables | {"PREFECT_API_URL": prefect_api, "NO_PROXY": "127.0.0.1"}, *WAYS["with Prefect"], "key/empty"
    )
    printed = done.stdout + done.stderr
    assert [secret for secret in (KEY, "proxy-secret") if secret in printed + kept(prefect_home)] == []
    assert (done.returncode, "Traceback" in printed) == (1, False), printed
