"""Bytes that come after the end of an answer must not become the answer to the next request."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from endpoint_history.openrouter.client import Fetcher
from models.observation import Target
from tests.support.collecting import settings

END_OF_HEADERS = b"\r\n\r\n"


def _answer(path: str) -> bytes:
    body = path.encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def _serve(connection: socket.socket, was_read: threading.Event, answered_twice: threading.Event) -> None:
    """Answer each request with its path, and the first of them once more when it has been read."""
    with connection, contextlib.suppress(OSError):
        while request := connection.recv(65536):
            path = request.split(b" ")[1].decode()
            connection.sendall(_answer(path))
            if not answered_twice.is_set():
                was_read.wait(10)
                with contextlib.suppress(OSError):  # closed by now
                    connection.sendall(_answer(path))
                answered_twice.set()


@contextmanager
def _server(*events: threading.Event) -> Iterator[str]:
    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=_serve, args=(connection, *events), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)


def test_an_answer_that_comes_twice_is_not_the_answer_to_the_next_request() -> None:
    was_read, answered_twice = threading.Event(), threading.Event()

    async def run(url: str) -> list[bytes | None]:
        found = []
        async with Fetcher(settings("sqlite://", url)) as fetcher:
            for slug in ("first", "second", "third"):
                found.append((await fetcher.fetch_endpoints(Target("a", slug))).body)
                was_read.set()
                await asyncio.to_thread(answered_twice.wait, 10)
        return found

    with _server(was_read, answered_twice) as url:
        bodies = asyncio.run(run(url))
    assert bodies == [f"/models/a/{slug}/endpoints".encode() for slug in ("first", "second", "third")]
