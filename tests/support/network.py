"""A guard that keeps tests on this machine: whatever would leave it is refused, loudly."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from typing import Any

import pytest


class NetworkRefusedError(BaseException):
    """A test reached for the network. No Exception: what a product catches of a bad network must not hide this."""


def keep_to_loopback(patch: pytest.MonkeyPatch) -> None:
    """Refuse every connection and every name look-up of Python's sockets that is not this machine's own."""
    for name in ("connect", "connect_ex", "sendto"):
        patch.setattr(socket.socket, name, _checked_method(getattr(socket.socket, name)))
    for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
        patch.setattr(socket, name, _checked_lookup(getattr(socket, name)))


def _checked_method(original: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: socket.socket, *arguments: Any) -> Any:
        if self.family in {socket.AF_INET, socket.AF_INET6}:
            _check(arguments[-1][0])
        return original(self, *arguments)

    return method


def _checked_lookup(original: Callable[..., Any]) -> Callable[..., Any]:
    def lookup(host: str | bytes | None, *arguments: Any, **options: Any) -> Any:
        _check(host)
        return original(host, *arguments, **options)

    return lookup


def _check(host: str | bytes | None) -> None:
    name = host.decode() if isinstance(host, bytes) else host
    if name and not _is_loopback(name):
        raise NetworkRefusedError(f"tests keep to this machine; something reached for {name}")


def _is_loopback(name: str) -> bool:
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name.lower() == "localhost"
    # The unspecified address is what servers listen on.
    return address.is_loopback or address.is_unspecified
