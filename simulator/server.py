"""The simulated OpenRouter over HTTP, on loopback."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime

from aiohttp import web

from simulator.faults import Faults, Handler, error_body
from simulator.market import Market

_PAGE = 500
_JSON = {"Content-Type": "application/json", "Cache-Control": "public, s-maxage=300, stale-while-revalidate=600"}


@dataclass(slots=True)
class Simulator:
    """Answers as OpenRouter's API does. `date` gives its Date header; without it there is none.

    `answers` holds what paths answer instead of what the market says; `requests` is every request so far: its path with
    the query, and its headers.
    """

    market: Market = field(default_factory=Market)
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    faults: Faults = field(default_factory=lambda: Faults([]))
    date: Callable[[], datetime] | None = None
    latency_seconds: float = 0
    answers: dict[str, Handler] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def application(self) -> web.Application:
        """The application to be served."""
        application = web.Application()
        application.add_routes(
            [
                web.get("/api/v1/models", self._models),
                web.get("/api/v1/models/{author}/{slug}/endpoints", self._endpoints),
                web.get("/{rest:.*}", self._unknown),
            ]
        )
        application.on_response_prepare.append(self._set_date)
        return application

    async def _set_date(self, _: web.Request, response: web.StreamResponse) -> None:
        response.headers.popall("Date", None)
        if self.date:
            response.headers["Date"] = format_datetime(self.date(), usegmt=True)

    async def _endpoints(self, request: web.Request) -> web.StreamResponse:
        path = f"{request.match_info['author']}/{request.match_info['slug']}"
        body = self.market.body(path, self.clock())
        good = json.dumps(body).encode() if body else error_body(404, "Model not found")
        return await self._answer(request, path, 200 if body else 404, good)

    async def _models(self, request: web.Request) -> web.StreamResponse:
        start = int(request.query.get("offset", 0))
        limit = int(request.query.get("limit", _PAGE))
        models = self.market.listing()
        rest = {key: value for key, value in request.query.items() if key not in {"offset", "limit"}}
        following = request.rel_url.with_query({**rest, "offset": str(start + limit), "limit": str(limit)})
        page = {
            "data": models[start : start + limit],
            "total_count": len(models),
            "links": {"next": str(following) if start + limit < len(models) else None},
        }
        return await self._answer(request, "models", 200, json.dumps(page).encode())

    async def _unknown(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, request.path, 404, b"<!DOCTYPE html><html>Not Found</html>")

    async def _answer(self, request: web.Request, path: str, status: int, body: bytes) -> web.StreamResponse:
        self.requests.append((str(request.rel_url), dict(request.headers)))
        if self.latency_seconds:
            await asyncio.sleep(self.latency_seconds)
        handler = self.answers.get(path) or self.faults.draw(path)
        if handler:
            return await handler(request, body)
        response = web.Response(status=status, body=body, headers=_JSON)
        response.enable_compression()
        return response


@contextmanager
def serving(simulator: Simulator, port: int = 0) -> Iterator[str]:
    """Serve from a thread; yields the base URL for OPENROUTER_BASE_URL. Port 0 takes a free one."""
    loop = asyncio.new_event_loop()
    runner = web.AppRunner(simulator.application(), access_log=None, shutdown_timeout=0, handler_cancellation=True)
    loop.run_until_complete(runner.setup())
    site = web.TCPSite(runner, "127.0.0.1", port)
    loop.run_until_complete(site.start())
    thread = threading.Thread(target=loop.run_forever, name="simulator", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/api/v1"
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
