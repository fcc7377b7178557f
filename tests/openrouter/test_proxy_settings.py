"""Proxies of the environment: NO_PROXY as people write it, proxies that can't be used, and no secret shown."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from endpoint_history.errors import ConfigurationError
from endpoint_history.openrouter.client import Fetcher, Response
from endpoint_history.openrouter.proxy_settings import Proxy, bypasses_proxy, clean_no_proxy, proxy_for
from models.observation import Target
from simulator.market import Market
from simulator.server import Simulator, serving
from tests.support.collecting import settings
from tests.support.prefect_server import ROOT, environment
from tests.support.raw_http import raw_server, response

ODD = [
    "::1/128", "fd07:b51a::/64", "[::1]", "[::1]:8080", "[fd07::]/64", "fe80::1%eth0", "::ffff:10.0.0.1", "10.0.0.0/8",
    "10.0.0.0/99", "1.2.3.4/abc", ".example.com", "*.example.com", "10.*", "host:8080", "host:99999", "host:0",
    " a , b ", "a b\tc", "[", "]", "[x", "//[x", "http://[::1", "http://host", "xn--", "caf\xe9.test", "a@b", "a/b",
    "%", "a%zz", "\x01", "::1:", "a:b:c", "x" * 70_000, f"host:{'9' * 6000}", "?", "..", "\\", "a;b",
]  # fmt: skip


@pytest.mark.parametrize(
    ("url", "no_proxy", "is_bypassed"),
    [
        ("http://[::1]:8080/", "::1", True),
        ("http://[::1]:8080/", "::1/128", True),
        ("http://[::1]:8080/", "[::1]", True),
        ("http://[::1]:8080/", "[::1]:8080", True),
        ("http://[::1]:8080/", "[::1]:80", False),
        ("http://[fd07:b51a::7]/", "fd07:b51a::/64", True),
        ("http://[fd07:b51a::7]/", "[fd07:b51a::]/64", True),
        ("http://[fd08::7]/", "fd07:b51a::/64", False),
        ("http://10.1.2.3/", "10.0.0.0/8", True),
        ("http://10.1.2.3/", "10.1.2.0/24", True),
        ("http://11.1.2.3/", "10.0.0.0/8", False),
        ("http://10.1.2.3/", "10.*", True),
        ("http://10.1.2.3/", "2.3", False),
        ("https://openrouter.ai/", "openrouter.ai", True),
        ("https://openrouter.ai/", "OpenRouter.AI", True),
        ("https://api.openrouter.ai/", "openrouter.ai", True),
        ("https://api.openrouter.ai/", ".openrouter.ai", True),
        ("https://api.openrouter.ai/", "*.openrouter.ai", True),
        ("https://notopenrouter.ai/", "openrouter.ai", False),
        ("https://openrouter.ai/", "openrouter.ai:443", True),
        ("https://openrouter.ai/", "openrouter.ai:8443", False),
        ("https://openrouter.ai/", "https://openrouter.ai", True),
        ("https://openrouter.ai/", "http://openrouter.ai", False),
        ("https://openrouter.ai/", " a , openrouter.ai ", True),
        ("https://openrouter.ai/", "a openrouter.ai", True),
        ("https://openrouter.ai/", "*", True),
        ("https://openrouter.ai/", "a, *", True),
        ("https://openrouter.ai/", "", False),
        ("https://openrouter.ai/", "fd07::/200, [x, http://[, openrouter.ai", True),
    ],
)
def test_no_proxy_is_read_as_it_is_meant(url: str, no_proxy: str, is_bypassed: bool) -> None:
    assert bypasses_proxy(url, no_proxy) is is_bypassed


@pytest.mark.parametrize("entry", ODD, ids=range(len(ODD)))
def test_an_entry_that_cannot_be_interpreted_is_ignored_and_the_others_apply(
    entry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.test:3128")
    monkeypatch.setenv("NO_PROXY", f"{entry},openrouter.ai")
    assert proxy_for("https://openrouter.ai/api/v1") is None
    assert proxy_for("https://elsewhere.test/") == Proxy("http://proxy.test:3128")


@pytest.mark.parametrize("entry", ODD, ids=range(len(ODD)))
def test_what_is_left_for_prefect_is_read_by_its_client(entry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", f"{entry}, openrouter.ai")
    clean_no_proxy()
    httpx.AsyncClient()
    assert os.environ["NO_PROXY"].endswith("openrouter.ai")


def test_a_single_ipv6_address_is_left_for_prefect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "[::1], ::1/128, fd07::/64, localhost, 10.0.0.0/8")
    clean_no_proxy()
    assert os.environ["NO_PROXY"] == "::1,::1,localhost,10.0.0.0/8"


@pytest.mark.parametrize(
    ("value", "proxy"),
    [
        ("http://proxy.test:3128", Proxy("http://proxy.test:3128")),
        ("proxy.test:3128", Proxy("http://proxy.test:3128")),
        ("https://proxy.test", Proxy("https://proxy.test:443")),
        ("http://[::1]:3128/", Proxy("http://[::1]:3128")),
        ("http://us%40er:pass%3Aword@proxy.test:1", Proxy("http://proxy.test:1", ("us@er", "pass:word"))),
    ],
)
def test_a_proxy_is_read_with_its_user(value: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", value)
    assert proxy_for("https://openrouter.ai/") == proxy


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("socks5://u:secret-word@proxy.test:1080", "ALL_PROXY names a SOCKS proxy, which is not supported"),
        ("socks5h://proxy.test", "ALL_PROXY names a SOCKS proxy, which is not supported"),
        ("http://u:secret-word@[::1", "ALL_PROXY can't be read"),
        ("http://u:secret-word@proxy.test:99999", "ALL_PROXY can't be read"),
        ("ftp://u:secret-word@proxy.test", "ALL_PROXY can't be read"),
        ("http://", "ALL_PROXY can't be read"),
        ("http://u%3Aser:secret-word@proxy.test", "ALL_PROXY: its user or password holds characters"),
        ("http://u:secret-word%0A@proxy.test", "ALL_PROXY: its user or password holds characters"),
        ("http://u:secret-word%E6%97%A5@proxy.test", "ALL_PROXY: its user or password holds characters"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_told_without_its_secrets(
    value: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", value)
    with pytest.raises(ConfigurationError, match=reason) as caught:
        Fetcher(settings("sqlite://", "https://openrouter.ai/api/v1"))
    assert "secret-word" not in str(caught.value)


def test_a_proxy_that_is_not_for_this_address_may_be_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://proxy.test:1080")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.test:3128")
    assert proxy_for("https://openrouter.ai/") == Proxy("http://proxy.test:3128")
    monkeypatch.setenv("NO_PROXY", "localhost")
    assert proxy_for("http://localhost/") is None


def fetched(base_url: str) -> Response:
    async def run() -> Response:
        async with Fetcher(settings("sqlite://", base_url, request_timeout_seconds=20)) as fetcher:
            return (await fetcher._request(f"{base_url}/models/a/b/endpoints"))[0]

    return asyncio.run(run())


def test_requests_go_through_the_proxy_with_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, bytes]] = []

    def proxy(path: str, request: bytes) -> bytes:
        asked.append((path, request))
        return response(b"{}")

    with raw_server(proxy) as url:
        monkeypatch.setenv("HTTP_PROXY", url.replace("http://", "http://user:word@"))
        assert fetched("http://openrouter.test/api/v1").body == b"{}"
    ((path, request),) = asked
    assert path == f"http://openrouter.test/api/v1/models/{Target('a', 'b')}/endpoints"
    assert b"proxy-authorization: basic dxnlcjp3b3jk" in request.lower()


def test_a_proxy_that_is_away_or_refuses_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with raw_server(lambda *_: response(b"", status=b"407 Proxy Authentication Required")) as url:
        monkeypatch.setenv("HTTPS_PROXY", url)
        assert fetched("https://openrouter.test/api/v1").error == "the proxy refuses the connection with HTTP 407"
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    assert fetched("https://openrouter.test/api/v1").error == "the proxy can't be reached: connection refused"


@pytest.mark.slow
def test_a_collect_with_prefect_works_under_a_no_proxy_that_its_client_can_not_read(
    prefect_api: str, sqlite_template: Path, tmp_path: Path
) -> None:
    shutil.copy(sqlite_template, tmp_path / "history.db")
    variables = environment(
        tmp_path,
        DATABASE_URL=f"sqlite:///{tmp_path}/history.db",
        ARCHIVE_URL=str(tmp_path / "archive"),
        PREFECT_API_URL=prefect_api,
        HTTP_PROXY="http://127.0.0.1:9",
        NO_PROXY="fd07:b51a::/64, [::1], ::1/128 127.0.0.0/8, 127.0.0.1",
        PYTHONPATH=str(ROOT),
    )
    with serving(Simulator(Market(models=1))) as base_url:
        words = [sys.executable, "-m", "endpoint_history", "collect", *Market(models=1).paths()[:1]]
        done = subprocess.run(
            words,
            env=variables | {"OPENROUTER_BASE_URL": base_url},
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stdout + done.stderr
