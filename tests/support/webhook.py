"""A receiver of webhooks on loopback."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web


@contextmanager
def receiving(answers: list[int] | None = None) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Serve from a thread; yields its address, and the list of JSON objects that it has taken so far.

    The first of `answers` is the status of the next answer, and goes; 0 takes the object and closes the connection.
    """
    came: list[dict[str, Any]] = []

    async def take(request: web.Request) -> web.Response:
        status = answers.pop(0) if answers else 200
        if status in {0, 200}:
            came.append(await request.json())
        if not status and request.transport:
            request.transport.close()
        return web.Response(status=status or 200, text="answered")

    application = web.Application()
    application.add_routes([web.post("/hook/{secret}", take)])
    loop = asyncio.new_event_loop()
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0)
    loop.run_until_complete(runner.setup())
    loop.run_until_complete(web.TCPSite(runner, "127.0.0.1", 0).start())
    thread = threading.Thread(target=loop.run_forever, name="webhook", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook/hunter2", came
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
