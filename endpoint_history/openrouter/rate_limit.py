"""How often OpenRouter may be asked: so many requests a second, so many at once, and silence where it asks for that."""

from __future__ import annotations

import asyncio
import email.utils
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Protocol

from aiolimiter import AsyncLimiter

_MAX_RETRY_AFTER = 100  # a date takes 29 characters


class Rate(Protocol):
    """So many requests a second."""

    async def acquire(self) -> None:
        """Wait until one more may be made."""


class Politeness:
    """Gives turns to requests. `seconds` and `sleep` are a monotonic clock and the way to wait on it.

    `rate` stands in the place of one of this process alone.
    """

    def __init__(
        self,
        requests_per_second: float,
        max_connections: int,
        *,
        rate: Rate | None = None,
        seconds: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._seconds = seconds
        self._sleep = sleep
        self._slots = asyncio.Semaphore(max_connections)
        self._limiter = rate or (dripping(requests_per_second) if requests_per_second else None)
        self._silent_until = 0.0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a free place, and hold it until the request is answered."""
        async with self._slots:
            yield

    async def welcome(self, patience_seconds: float) -> bool:
        """Wait until one more request is welcome; False where that takes longer than there is patience."""
        while 0 < (wait := self.silence_seconds()) <= patience_seconds:
            await self._sleep(wait)
        if wait > 0:
            return False
        if self._limiter:
            await self._limiter.acquire()
        return True

    def silence_seconds(self) -> float:
        """How long nothing may be asked from now on."""
        return max(0.0, self._silent_until - self._seconds())

    def keep_silent(self, seconds: float) -> None:
        """Ask for nothing for so long: a Retry-After is for all that we would ask, not for one address."""
        self._silent_until = max(self._silent_until, self._seconds() + seconds)


def dripping(requests_per_second: float) -> Rate:
    """One request at a time drips through: a burst at the start is what the limit is there to avoid."""
    return AsyncLimiter(1, 1 / requests_per_second)


def retry_after_seconds(value: str | None, now: datetime) -> float | None:
    """How long a Retry-After header asks to wait: seconds, or a date. None where it says nothing that can be read."""
    if value is None:
        return None
    text = value.strip()[:_MAX_RETRY_AFTER]
    if text.isascii() and text.isdecimal():
        return float(text[:9])
    try:
        until = email.utils.parsedate_to_datetime(text)
        return max(0.0, (until.replace(tzinfo=until.tzinfo or UTC) - now).total_seconds())
    except Exception:  # noqa: BLE001 - the standard library raises more than it documents for dates that are none
        return None
