"""The proxy that the environment names for an address: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY.

NO_PROXY is read as curl reads it, and networks such as 10.0.0.0/8 are understood. An entry that can't be interpreted is
ignored, the others apply.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies

from endpoint_history.errors import ConfigurationError

_DEFAULT_PORTS = {"http": 80, "https": 443}
_SEPARATORS = re.compile(r"[\s,]+")
_PORT = re.compile(r":([0-9]{1,5})$")
_HTTPX_READS = re.compile(r"(?:(?:https?|all)://)?[A-Za-z0-9._-]{1,253}(?::[0-9]{1,4})?|\*")


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy without its user and password in the address; `auth` holds them if there are any."""

    url: str
    auth: tuple[str, str] | None = None


def proxy_for(url: str) -> Proxy | None:
    """The proxy for this address. Raises ConfigurationError, without the value, for one that can't be used."""
    named = getproxies()
    parts = urlsplit(url)
    scheme = next((name for name in (parts.scheme, "all") if named.get(name)), None)
    if scheme is None or bypasses_proxy(url, named.get("no", "")):
        return None
    return _read_proxy(named[scheme], f"{scheme.upper()}_PROXY")


def bypasses_proxy(url: str, no_proxy: str) -> bool:
    """Whether one of the entries, separated by commas or spaces, names the host of this address."""
    parts = urlsplit(url)
    host, port = (parts.hostname or "").rstrip("."), parts.port or _DEFAULT_PORTS.get(parts.scheme)
    return any(_matches(entry, parts.scheme, host, port) for entry in _SEPARATORS.split(no_proxy.lower()))


def _matches(entry: str, scheme: str, host: str, port: int | None) -> bool:
    if entry == "*":
        return True
    wanted_scheme, _, rest = entry.rpartition("://")
    wanted, wanted_port = _host_and_port(rest)
    if wanted_scheme not in {"", "all", scheme} or wanted_port not in {None, port}:
        return False
    address = _address(host)
    if address is not None and _holds(wanted, address):
        return True
    domain = wanted.removeprefix("*").strip(".")
    return bool(domain) and (fnmatchcase(host, domain) or (address is None and host.endswith(f".{domain}")))


def _host_and_port(entry: str) -> tuple[str, int | None]:
    """A bare IPv6 address has no port: it needs brackets for one."""
    is_bare = entry.count(":") > 1 and "[" not in entry
    port = None if is_bare else _PORT.search(entry)
    host = entry[: port.start()] if port else entry
    return host.replace("[", "").replace("]", ""), int(port[1]) if port else None


def _holds(network: str, address: IPv4Address | IPv6Address) -> bool:
    try:
        return address in ip_network(network, strict=False)
    except ValueError:
        return False


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _read_proxy(value: str, name: str) -> Proxy:
    unreadable = ConfigurationError(f"{name} can't be read: expected an address such as http://proxy.example.com:3128")
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        host, port = parts.hostname, parts.port
        auth = (unquote(parts.username or ""), unquote(parts.password or ""))
    except ValueError:
        raise unreadable from None
    if parts.scheme.startswith("socks"):
        raise ConfigurationError(
            f"{name} names a SOCKS proxy, which is not supported: name an http or https proxy, or exclude the host"
            " with NO_PROXY"
        )
    if parts.scheme not in _DEFAULT_PORTS or not host or not re.fullmatch("[!-~]+", host) or port == 0:
        raise unreadable
    if ":" in auth[0] or not "".join(auth).isprintable() or not _is_latin(auth):
        raise ConfigurationError(f"{name}: its user or password holds characters that no proxy takes")
    shown = f"[{host}]" if ":" in host else host
    address = f"{parts.scheme}://{shown}:{port or _DEFAULT_PORTS[parts.scheme]}"
    return Proxy(address, auth if any(auth) else None)


def _is_latin(texts: tuple[str, str]) -> bool:
    return all(ord(sign) < 256 for text in texts for sign in text)  # noqa: PLR2004 - what HTTP can carry


def clean_no_proxy() -> None:
    """Take out of this process's NO_PROXY what httpx, and with it Prefect's client, raises an error for.

    A single IPv6 address stays, in the one form that httpx reads. Networks of IPv6 addresses can't be put into it.
    """
    for name in ("no_proxy", "NO_PROXY"):
        if name in os.environ:
            kept = (_for_httpx(entry) for entry in _SEPARATORS.split(os.environ[name]))
            os.environ[name] = ",".join(entry for entry in kept if entry)


def _for_httpx(entry: str) -> str | None:
    alone, _, length = re.sub(r"^\[([^]]*)\](?!:)", r"\1", entry).partition("/")
    address = _address(alone)
    if isinstance(address, IPv6Address):
        return str(address) if length in {"", "128"} and not address.scope_id else None
    if isinstance(address, IPv4Address):
        return f"{address}/{length}" if length.isdecimal() else str(address)
    entry = entry.removeprefix("*") or entry
    return entry if _HTTPX_READS.fullmatch(entry) else None
