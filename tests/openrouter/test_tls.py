"""Certificates: which are trusted, and what is said about those that can't be used."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from endpoint_history.openrouter.client import Fetcher, Response
from tests.cli.test_app import Command, command
from tests.support.collecting import settings
from tests.support.raw_http import response
from tests.support.tls_server import tls_server, write_certificate

__all__ = ["command"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_certificate(tmp_path_factory.mktemp("tls") / "server.pem")


@pytest.fixture
def https(certificate: Path) -> Iterator[str]:
    with tls_server(certificate, response(b"{}")) as url:
        yield url


def fetched(base_url: str) -> Response:
    async def run() -> Response:
        async with Fetcher(settings("sqlite://", base_url, request_timeout_seconds=20)) as fetcher:
            return (await fetcher._request(f"{base_url}/models"))[0]

    return asyncio.run(run())


def test_a_certificate_that_nobody_trusts_is_named(https: str) -> None:
    answer = fetched(https)
    assert (answer.reached, answer.error) == (False, "the server's certificate can't be trusted")


def test_a_certificate_of_ssl_cert_file_is_trusted(
    https: str, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert fetched(https).body == b"{}"
    monkeypatch.setenv("HOME", str(certificate.parent))
    monkeypatch.setenv("SSL_CERT_FILE", f"~/{certificate.name}")
    assert fetched(https).body == b"{}"


def test_a_folder_of_certificates_may_be_in_the_home_folder(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv("HOME", str(Path.cwd()))
    Path("certificates").mkdir()
    assert command("targets", "a/b", SSL_CERT_DIR="/nowhere:~/certificates")[0] == 0


def test_a_server_that_speaks_tls_on_a_plain_port_is_named(https: str) -> None:
    answer = fetched(https.replace("https:", "http:"))
    assert answer.error in {
        "the answer is not valid HTTP: this is a TLS server, so the address must begin with https",
        "connection closed without an answer",
    }


@pytest.mark.parametrize(
    ("name", "place", "reason"),
    [
        ("SSL_CERT_FILE", "missing.pem", "missing.pem: no such file or directory"),
        ("SSL_CERT_FILE", ".", ".: is a directory"),
        ("SSL_CERT_FILE", "garbage.pem", "garbage.pem: no certificates in it"),
        ("SSL_CERT_FILE", "empty.pem", "empty.pem: no certificates in it"),
        ("SSL_CERT_FILE", "$x/a.pem", "$x/a.pem: $x is not replaced here; write the path itself"),
        ("SSL_CERT_DIR", "missing", "missing: not a directory"),
        ("SSL_CERT_DIR", "garbage.pem", "garbage.pem: not a directory"),
    ],
)
def test_certificates_that_cannot_be_read_are_told_in_one_line(
    command: Command, monkeypatch: pytest.MonkeyPatch, name: str, place: str, reason: str
) -> None:
    Path("garbage.pem").write_text("no certificate")
    Path("empty.pem").touch()
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    code, printed, error = command("targets", "a/b", **{name: place})
    assert (code, printed, error) == (2, "", f"endpoint-history: {name} can't be used: {reason}\n")
