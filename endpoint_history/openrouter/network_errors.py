"""Why no answer came, or none that can be read, in a few words for people.

No text of the server or of the client library is repeated: it may hold anything, the request's headers among it.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence

import aiohttp
from aiohttp.http import HttpProcessingError

# Beyond these an answer is not read. Security policies and cookies of real sites take up to some 20 kB and 100 lines.
MAX_HEADER_BYTES = 64 * 1024
MAX_HEADERS = 512
_NOT_HTTP = "the answer is not valid HTTP"
_SSH = "this is an SSH server"
_TLS = "this is a TLS server, so the address must begin with https"
_OTHER = "it does not begin with HTTP"
# What the client library says (lower case) and what it means, the more special first.
_DEFECTS = (
    ("b'ssh-", _SSH),
    ("b'\\x15\\x03", _TLS),
    ("when reading", f"a header line is longer than {MAX_HEADER_BYTES // 1024} KiB"),
    ("too many headers", f"more than {MAX_HEADERS} header lines"),
    ("expected http/", _OTHER),
    ("http version", "its version of HTTP is unknown"),
    ("bad status line", "its status is not a number from 100 to 999"),
    ("duplicate content-length", "more than one Content-Length"),
    ("can't be present with", "both Content-Length and Transfer-Encoding"),
    ("content-length", "its Content-Length is not a length"),
    ("transfer-encoding", "its Transfer-Encoding can't be read"),
    ("chunk", "the size of a chunk is wrong"),
    ("data after", "bytes after the end of its body"),
    ("duplicate '", "a header that may come once comes twice"),
    ("header", "a header line can't be read"),
)
_UNFINISHED = "not enough data"
_NOT_TLS = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"}


def malformed(causes: Sequence[BaseException]) -> str | None:
    """What is wrong with an answer that is not valid HTTP; None if the error has other causes."""
    for cause in causes:
        if isinstance(cause, aiohttp.ClientHttpProxyError):
            return None
        if isinstance(cause, HttpProcessingError | aiohttp.ClientResponseError):
            message = str(cause.message).lower()
            if _UNFINISHED in message:
                return None
            defect = next((meaning for sign, meaning in _DEFECTS if sign in message), None)
            return f"{_NOT_HTTP}: {defect}" if defect else _NOT_HTTP
    # A certificate that can't be trusted is a ValueError, too.
    is_value = any(isinstance(cause, ValueError) and not isinstance(cause, OSError) for cause in causes)
    return _NOT_HTTP if is_value else None


def is_other_protocol(defect: str) -> bool:
    """Whether what `malformed` gave is no HTTP at all, so that asking again can't help."""
    return defect.endswith((_SSH, _TLS, _OTHER))


def connection_trouble(causes: Sequence[BaseException]) -> str:
    """What kept a connection from being made or kept, by the causes of the error."""
    for cause in causes:
        if isinstance(cause, aiohttp.ClientHttpProxyError):
            return f"the proxy refuses the connection with HTTP {cause.status}"
    if any(isinstance(cause, aiohttp.ClientProxyConnectionError) for cause in causes):
        return f"the proxy can't be reached: {_socket_trouble(causes)}"
    return _socket_trouble(causes)


def _socket_trouble(causes: Sequence[BaseException]) -> str:
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return "host name not found"
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return "connection refused"
    if any(isinstance(cause, ssl.CertificateError) for cause in causes):
        return "the server's certificate can't be trusted"
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        reasons = {getattr(cause, "reason", None) for cause in causes}
        return "the server does not speak TLS" if reasons & _NOT_TLS else "the TLS handshake failed"
    texts = [cause.strerror for cause in causes if isinstance(cause, OSError) and cause.strerror]
    if not texts or any(isinstance(cause, ConnectionError) for cause in causes):
        return "connection closed without an answer"
    return " ".join(str(texts[-1]).lower().split())[:100]


def causes_of(error: BaseException) -> list[BaseException]:
    """The error, what it was raised from, and what aiohttp keeps of the operating system's."""
    found: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in found:
        found.append(following)
        inner = getattr(following, "os_error", None)
        following = inner if isinstance(inner, BaseException) else following.__cause__ or following.__context__
    return found
