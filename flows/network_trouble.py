"""Why no answer came, in a few words for people. Pure."""

from __future__ import annotations

import socket
import ssl


def connection_trouble(causes: list[BaseException]) -> str:
    """What kept a connection from being made or kept, by the causes of the error."""
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return "host name not found"
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return "connection refused"
    if any(isinstance(cause, ssl.SSLError | ssl.CertificateError) for cause in causes):
        return "the server's certificate can't be trusted"
    reasons = [cause.strerror for cause in causes if isinstance(cause, OSError) and cause.strerror]
    if not reasons or any(isinstance(cause, ConnectionError) for cause in causes):
        return "connection closed without an answer"
    return reasons[-1].lower()


def causes_of(error: BaseException) -> list[BaseException]:
    """The error, what it was raised from, and what aiohttp keeps of the operating system's."""
    found: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in found:
        found.append(following)
        inner = getattr(following, "os_error", None)
        following = inner if isinstance(inner, BaseException) else following.__cause__ or following.__context__
    return found
