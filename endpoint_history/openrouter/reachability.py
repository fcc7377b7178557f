"""Check that OpenRouter answers at all, before anything else takes time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from endpoint_history.errors import UnreachableError
from endpoint_history.openrouter.client import Fetcher
from endpoint_history.settings import Settings

_QUIET_SECONDS = 3.0


async def check_reachable(settings: Settings, say: Callable[[str], None]) -> None:
    """Ask the base address, which has no body worth naming; any answer will do. Raises UnreachableError.

    It has the patience of every other request, a minute at most; `say` gets a line if an answer takes long.
    """
    async with Fetcher(settings) as fetcher:
        asked = asyncio.ensure_future(fetcher.get(settings.openrouter_base_url))
        await asyncio.wait([asked], timeout=_QUIET_SECONDS)
        if not asked.done():
            say(f"Waiting for {settings.openrouter_base_url} to answer")
        response = await asked
    if not response.reached:
        raise UnreachableError(f"{settings.openrouter_base_url} can't be reached: {response.error}")
