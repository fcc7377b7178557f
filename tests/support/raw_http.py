"""A server on loopback that answers each path with bytes of our choice, valid HTTP or not."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_END_OF_HEADERS = b"\r\n\r\n"

Answers = Callable[[str, bytes], bytes]  # path and whole request -> every byte of the answer


@contextmanager
def raw_server(answers: Answers) -> Iterator[str]:
    """Serve these bytes, each on a connection of its own; yields the address, `http://127.0.0.1:PORT`."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept, args=(listener, answers), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)


def response(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    """A valid answer that closes its connection."""
    lines = [b"HTTP/1.1 " + status, *headers, b"Content-Length: %d" % len(body), b"Connection: close"]
    return b"\r\n".join(lines) + _END_OF_HEADERS + body


def _accept(listener: socket.socket, answers: Answers) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_answer, args=(connection, answers), daemon=True).start()


def _answer(connection: socket.socket, answers: Answers) -> None:
    with connection, contextlib.suppress(OSError):
        request = b""
        while _END_OF_HEADERS not in request:
            piece = connection.recv(65536)
            if not piece:
                return
            request += piece
        connection.sendall(answers(request.split(b" ")[1].decode(), request))
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):  # closing with unread bytes would reset the connection under the answer
            pass
