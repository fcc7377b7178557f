"""The audit of what is pinned, against a service of known vulnerabilities on loopback."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.prefect_server import BIN, ROOT

HASH = "--hash=sha256:" + "0" * 64
LOCKED = f"alpha==1.0 {HASH}\nbeta==2.1 {HASH}\n"
KNOWN = {
    "vulns": [
        {
            "id": "GHSA-0000-0000-0000",
            "summary": "Anybody may do anything.",
            "affected": [{"package": {"name": "beta", "ecosystem": "PyPI"}, "ranges": []}],
        }
    ]
}


@contextmanager
def service(status: int, answer: object, asked: list[str] | None = None) -> Iterator[str]:
    """Answers what is asked of `beta` so, and that nothing is known of others; yields its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            name = question["package"]["name"]
            (asked if asked is not None else []).append(f"{name} {question['version']}")
            self.send_response(status if name == "beta" else 200)
            self.end_headers()
            self.wfile.write(json.dumps(answer if name == "beta" else {}).encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/query"
        server.shutdown()


def audit(address: str, locked: str | None = LOCKED, **variables: str) -> tuple[int, str]:
    """Exit code and all that is printed."""
    file = Path("locked.txt").absolute()
    if locked is not None:
        file.write_text(locked)
    given = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(Path.cwd()), "LOCK_FILE": str(file)}
    words: list[str | Path] = [ROOT / ".ci" / "audit", "--osv-url", address]
    done = subprocess.run(
        words, cwd=ROOT, env=given | variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    return done.returncode, done.stdout


def test_a_known_vulnerability_fails_and_is_named() -> None:
    with service(200, KNOWN) as address:
        code, told = audit(address)
    assert code == 1
    assert "beta 2.1     GHSA-0000-0000-0000" in told


def test_what_nobody_knows_anything_of_passes() -> None:
    asked: list[str] = []
    with service(200, {}, asked) as address:
        assert audit(address) == (0, "No known vulnerabilities found\n")
    assert sorted(asked) == ["alpha 1.0", "beta 2.1"]


def test_a_service_that_is_away_is_told_in_one_line_and_fails_nothing() -> None:
    code, told = audit("http://127.0.0.1:9/query", LOCK_FILE="requirements.lock")
    assert (code, told.count("\n")) == (0, 1)
    assert told.startswith("not audited: ")
    assert "Connection refused" in told


@pytest.mark.slow_unless(status=[200])
@pytest.mark.parametrize(("status", "answer"), [(500, {}), (200, "<html>"), (403, {"message": "no"})])
def test_an_answer_that_tells_nothing_is_none(status: int, answer: object) -> None:
    with service(status, answer) as address:
        code, told = audit(address)
    assert (code, told.count("\n"), told[:13]) == (0, 1, "not audited: "), told


@pytest.mark.slow
def test_a_service_that_hangs_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        address = f"http://127.0.0.1:{deaf.getsockname()[1]}/query"
        assert audit(address, AUDIT_SECONDS="3") == (0, "not audited: no answer within 3 s\n")


@pytest.mark.parametrize(
    ("locked", "told"),
    [
        (None, "invalid requirements input"),
        ("alpha==1.0\n", "does not contain a hash"),
        (f"alpha>=1.0 {HASH}\n", "not pinned"),
        (f"alpha==1.0 {HASH}\n<<<<<<< HEAD\n", "invalid specifier at line 2"),
    ],
)
def test_a_bad_lock_file_fails(locked: str | None, told: str) -> None:
    with service(200, {}) as address:
        code, out = audit(address, locked)
    assert code == 1
    assert told in out
