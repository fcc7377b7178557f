"""Which addresses that a server names may be asked: those of its own scheme, host and port, without credentials."""

from __future__ import annotations

import re

import httpx

_MAX_HOST = 100
_MAX_PORT = 65_535
_HOST = re.compile("[a-z0-9._:-]+")
_SCHEMES = {"http", "https"}


class RedirectRefusedError(Exception):
    """A redirect that is not followed; the message says why."""


def followed(url: httpx.URL, location: str, base: httpx.URL) -> httpx.URL:
    """Where a redirect of `url` leads. Raises RedirectRefusedError if that is not a page of `base`."""
    try:
        target = url.join(location)
    except Exception:  # noqa: BLE001 - httpx, idna and urllib raise more than they document
        target = None
    reason = refusal(target, base)
    if target is None or reason:
        raise RedirectRefusedError(f"redirect to {reason}")
    return target


def refusal_of(url: str, base: httpx.URL) -> str | None:
    """Why this address may not be asked, None if it may."""
    try:
        return refusal(httpx.URL(url), base)
    except Exception:  # noqa: BLE001 - as above
        return refusal(None, base)


def refusal(target: httpx.URL | None, base: httpx.URL) -> str | None:
    """What kind of address it is that is refused, without anything secret in it; None if it is a page of `base`."""
    host = _host(target) if target else ""
    if target and (target.scheme not in _SCHEMES or not host):
        return "an address that is not http or https"
    if target is None or not _HOST.fullmatch(host) or (target.port or 0) > _MAX_PORT:
        return "an address that can't be read"
    if target.userinfo:
        return "an address with a user or password in it"
    if host != _host(base):
        return f"another host: {host[:_MAX_HOST]}"
    return _refusal_on_same_host(target, base)


def _refusal_on_same_host(target: httpx.URL, base: httpx.URL) -> str | None:
    if (base.scheme, target.scheme) == ("http", "https"):
        address = f"https://{target.netloc.decode('ascii', 'replace')[:_MAX_HOST]}{base.path.rstrip('/')}"
        return (
            "https on the same host: change the configured address (OPENROUTER_BASE_URL, or --base-url of a web"
            f" archive) to {address}"
        )
    if base.scheme != target.scheme:
        return "http on the same host, which is not encrypted"
    return None if target.port == base.port else f"another port of the same host: {target.port or 'the default one'}"


def _host(url: httpx.URL) -> str:
    """As it is asked for; `URL.host` raises an error for `xn--`."""
    return url.raw_host.decode("ascii", "replace").lower()
