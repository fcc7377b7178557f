"""What can go wrong with an answer, done for real. Each takes the request and the good body."""

from __future__ import annotations

import asyncio
import gzip
import re
import zlib
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from random import Random

from aiohttp import web

Handler = Callable[[web.Request, bytes], Awaitable[web.StreamResponse]]

_WEB_PAGE = b"<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>"
_PAGE_TYPE = {"Content-Type": "text/html"}
_NEVER = 3600


def error_body(status: int, message: str) -> bytes:
    """The API's own error body."""
    return b'{"error":{"code":%d,"message":"%s"}}' % (status, message.encode())


def answer(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> Handler:
    """Always this answer."""

    async def handler(_: web.Request, __: bytes) -> web.Response:
        return web.Response(status=status, body=body, headers={"Content-Type": "application/json", **(headers or {})})

    return handler


_TOO_MANY = error_body(429, "Rate limit exceeded")


async def truncate(request: web.Request, body: bytes) -> web.StreamResponse:
    """Half of the body under the length of the whole, then the connection closes."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.content_length = len(body)
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    _close(request)
    return response


async def cut_chunks(request: web.Request, body: bytes) -> web.StreamResponse:
    """Half of the body in chunks, and the last one never comes."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.enable_chunked_encoding()
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    _close(request)
    return response


async def cut_close(request: web.Request, body: bytes) -> web.StreamResponse:
    """Half of the body of an answer that has no length and ends with the connection: nothing of HTTP is wrong."""
    if request.transport:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
        request.transport.write(head + body[: len(body) // 2])
    _close(request)
    return web.Response()


async def reset(request: web.Request, _: bytes) -> web.StreamResponse:
    """The connection is reset without an answer."""
    if request.transport:
        request.transport.abort()
    return web.Response()


async def hang(_: web.Request, __: bytes) -> web.StreamResponse:
    """No answer for as long as anyone would wait."""
    await asyncio.sleep(_NEVER)
    return web.Response()


async def hang_in_body(request: web.Request, body: bytes) -> web.StreamResponse:
    """The body begins and does not go on."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.content_length = len(body)
    await response.prepare(request)
    await response.write(body[:20])
    await asyncio.sleep(_NEVER)
    return response


async def drip(request: web.Request, body: bytes) -> web.StreamResponse:
    """One byte at a time, so that no single read takes long."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.content_length = len(body)
    await response.prepare(request)
    for place in range(len(body)):
        await response.write(body[place : place + 1])
        await asyncio.sleep(0.05)
    return response


async def bomb(_: web.Request, __: bytes) -> web.StreamResponse:
    """A small gzip body that becomes 200 MB, and has no end."""
    packer = zlib.compressobj(9, wbits=31)
    megabyte = bytes(1024**2)
    first, next_ = (packer.compress(megabyte) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    return _gzipped(first + 199 * next_)  # to compress all of it would take a second


async def damaged_gzip(_: web.Request, body: bytes) -> web.StreamResponse:
    """A gzip body with its end cut off."""
    return _gzipped(gzip.compress(body)[:-9])


async def large(_: web.Request, __: bytes) -> web.StreamResponse:
    """A body of 20 MB."""
    return web.Response(body=b" " * (20 * 1024**2), headers={"Content-Type": "application/json"})


async def wrong_type(_: web.Request, body: bytes) -> web.StreamResponse:
    """The good body, under the type of a web page."""
    return web.Response(body=body, headers={"Content-Type": "text/html"})


def too_many_until(clock: Callable[[], datetime]) -> Handler:
    """Too many requests, and the date from which more are welcome: a second from now."""

    async def handler(request: web.Request, body: bytes) -> web.StreamResponse:
        date = format_datetime(clock() + timedelta(seconds=1), usegmt=True)
        return await answer(429, _TOO_MANY, {"Retry-After": date})(request, body)

    return handler


async def detour(request: web.Request, body: bytes) -> web.StreamResponse:
    """A redirect to another address of the same host, which has the good body."""
    there = answer(200, body) if request.query_string else redirect(f"{request.path}?again")
    return await there(request, body)


async def loop(request: web.Request, body: bytes) -> web.StreamResponse:
    """A redirect to the same address, for ever."""
    return await redirect(request.path)(request, body)


def redirect(location: str) -> Handler:
    """A redirect to another address."""
    return answer(302, b"", {"Location": location})


def _gzipped(body: bytes) -> web.Response:
    return web.Response(body=body, headers={"Content-Type": "application/json", "Content-Encoding": "gzip"})


def _close(request: web.Request) -> None:
    if request.transport:
        request.transport.close()


KINDS: dict[str, Handler] = {
    "429": answer(429, _TOO_MANY, {"Retry-After": "1"}),
    "429-date": too_many_until(lambda: datetime.now(UTC)),
    "429-bare": answer(429, _TOO_MANY),
    "500": answer(500, error_body(500, "Internal Server Error")),
    "502": answer(502, _WEB_PAGE, _PAGE_TYPE),
    "503": answer(503, error_body(503, "Service Unavailable")),
    "504": answer(504, _WEB_PAGE, _PAGE_TYPE),
    "522": answer(522, _WEB_PAGE, _PAGE_TYPE),
    "html": answer(200, _WEB_PAGE, _PAGE_TYPE),
    "empty": answer(200, b""),
    "notjson": answer(200, b"{not json"),
    "not-utf8": answer(200, b'{"data": "\xff"}'),
    "deep": answer(200, b"[" * 10_000),
    "error-in-200": answer(200, error_body(500, "Internal Server Error")),
    "wrong-shape": answer(200, b'{"data": {"id": 7, "endpoints": []}}'),
    "wrong-type": wrong_type,
    "gone": answer(404, error_body(404, "Model not found")),
    "gone-page": answer(404, _WEB_PAGE, _PAGE_TYPE),
    "redirect": detour,
    "redirect-away": redirect("http://127.0.0.2:9/api/v1/models/a/b/endpoints"),
    "redirect-loop": loop,
    "truncate": truncate,
    "cut-chunks": cut_chunks,
    "cut-close": cut_close,
    "reset": reset,
    "hang": hang,
    "hang-in-body": hang_in_body,
    "drip": drip,
    "bomb": bomb,
    "damaged-gzip": damaged_gzip,
    "large": large,
}


class Faults:
    """Draws a fault for some of the requests.

    Each rule is `KIND:SHARE`, as `500:0.1`: every request draws anew, so that asking again can succeed. `500!:0.1`
    picks paths that always fail. Raises ValueError for a rule that can't be read.
    """

    def __init__(self, rules: list[str], seed: int = 1) -> None:
        self._rules = [_read_rule(rule) for rule in rules]
        self._draw = Random(seed)  # noqa: S311 - a simulation
        self._seed = seed

    def draw(self, path: str) -> Handler | None:
        """The fault of this request, if any."""
        for kind, always, share in self._rules:
            drawn = Random(f"{self._seed} {kind} {path}").random() if always else self._draw.random()  # noqa: S311
            if drawn < share:
                return KINDS[kind]
        return None


def _read_rule(rule: str) -> tuple[str, bool, float]:
    match = re.fullmatch(r"(?P<kind>[a-z0-9-]+)(?P<always>!?):(?P<share>0?\.[0-9]+|0|1(\.0+)?)", rule)
    if not match or match["kind"] not in KINDS:
        raise ValueError(f"{rule!r}: expected KIND:SHARE, SHARE from 0 to 1, KIND one of {', '.join(KINDS)}")
    return match["kind"], bool(match["always"]), float(match["share"])
