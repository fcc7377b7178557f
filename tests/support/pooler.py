"""A transaction pooler before a real PostgreSQL, as PgBouncer is in its transaction mode.

It knows no prepared statements, refuses the startup parameter `options`, and gives each transaction the connection that
was idle the longest, so that what a session keeps shows up in another one.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import threading
from collections.abc import Iterator
from queue import SimpleQueue

import psycopg
import sqlalchemy as sa

_PASSED_ON = ("server_version", "server_encoding", "client_encoding", "DateStyle", "TimeZone", "integer_datetimes")
_TAKEN = {"user", "database", "client_encoding", "application_name"}
_NO_TLS = (80_877_103, 80_877_104)


@contextlib.contextmanager
def pooled(url: str, size: int = 4) -> Iterator[str]:
    """Put a pooler of so many connections before the database of this URL, and give the URL through it."""
    parsed = sa.make_url(url)
    plain = parsed.set(drivername="postgresql").render_as_string(hide_password=False)
    with contextlib.ExitStack() as stack:
        sessions = [stack.enter_context(contextlib.closing(psycopg.connect(plain))) for _ in range(size)]
        idle: SimpleQueue[socket.socket] = SimpleQueue()
        for session in sessions:
            backend = stack.enter_context(socket.socket(fileno=os.dup(session.pgconn.socket)))
            backend.setblocking(True)
            idle.put(backend)
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        greeting = _greeting(sessions[0])
        threading.Thread(target=_accept, args=(listener, idle, greeting), daemon=True).start()
        stack.callback(listener.shutdown, socket.SHUT_RDWR)
        through = parsed.set(host="127.0.0.1", port=listener.getsockname()[1])
        yield through.render_as_string(hide_password=False)


def _greeting(session: psycopg.Connection) -> bytes:
    """Authentication is not asked for; then the server's parameters."""
    texts = [(name, session.info.parameter_status(name) or "") for name in _PASSED_ON]
    parameters = [_message(b"S", f"{name}\0{value}\0".encode()) for name, value in texts]
    return b"".join([_message(b"R", b"\0\0\0\0"), *parameters, _message(b"K", b"\0" * 8), _message(b"Z", b"I")])


def _accept(listener: socket.socket, idle: SimpleQueue[socket.socket], greeting: bytes) -> None:
    with contextlib.suppress(OSError):
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_serve, args=(client, idle, greeting), daemon=True).start()


def _serve(client: socket.socket, idle: SimpleQueue[socket.socket], greeting: bytes) -> None:
    with client, contextlib.suppress(EOFError, OSError):
        if refused := _read_startup(client) - _TAKEN:
            text = f"SFATAL\0C08P01\0Munsupported startup parameter: {min(refused)}\0\0"
            client.sendall(_message(b"E", text.encode()))
            return
        client.sendall(greeting)
        while select.select([client], [], [])[0]:
            backend = idle.get()
            try:
                _relay_transaction(client, backend)
            finally:
                _roll_back(backend)
                idle.put(backend)


def _read_startup(client: socket.socket) -> set[str]:
    """The names of the startup parameters."""
    while True:
        (length,) = struct.unpack("!I", _read(client, 4))
        body = _read(client, length - 4)
        if struct.unpack("!I", body[:4])[0] not in _NO_TLS:
            return {name.decode() for name in body[4:].split(b"\0")[:-2:2]}
        client.sendall(b"N")


def _relay_transaction(client: socket.socket, backend: socket.socket) -> None:
    """Relay messages both ways until the server is done with all that was asked and no transaction is open."""
    asked = 0
    while True:
        for ready in select.select([client, backend], [], [])[0]:
            kind, message = _read_message(ready)
            if ready is client:
                if kind == b"X":
                    raise EOFError
                backend.sendall(message)
                asked += kind in {b"Q", b"S"}
                continue
            client.sendall(message)
            asked -= kind == b"Z"
            if kind == b"Z" and not asked and message.endswith(b"I"):
                return


def _roll_back(backend: socket.socket) -> None:
    """End what a client may have left open."""
    backend.sendall(_message(b"Q", b"ROLLBACK\0"))
    while _read_message(backend)[0] != b"Z":
        pass


def _read_message(source: socket.socket) -> tuple[bytes, bytes]:
    head = _read(source, 5)
    (length,) = struct.unpack("!I", head[1:])
    return head[:1], head + _read(source, length - 4)


def _read(source: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        part = source.recv(count - len(found))
        if not part:
            raise EOFError
        found += part
    return found


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body
