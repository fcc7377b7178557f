"""Hand the shards of a walk to the workers of Prefect's pool, see that each is collected, and keep them all polite."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from prefect import get_run_logger
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.concurrency.asyncio import rate_limit
from prefect.deployments import arun_deployment
from prefect.events.filters import EventFilter, EventNameFilter, EventResourceFilter
from prefect.exceptions import ObjectNotFound
from prefect.settings import get_current_settings
from prefect.states import Cancelled, Cancelling, Crashed

from endpoint_history.collecting.shards import Left, Shard
from endpoint_history.errors import HistoryError
from endpoint_history.openrouter.rate_limit import Rate, dripping
from flows.prefect_client import one_line

RATE_LIMIT = "endpoint-history-requests"
_DEPLOYMENT = "collect-shard/collect-shard"
_HEARTBEAT = "prefect.flow-run.heartbeat"
_MISSED_BEATS = 3  # of what a run sends every half minute, as pyproject.toml asks
_TRIES = 3
_LOOK_EVERY_SECONDS = 2.0
# What a shard asks Prefect for at once: so many seconds' worth of requests.
_WORTH_SECONDS = 10


class SharedRate:
    """So many requests a second over the shards of all walks together.

    Each shard lets its part of them drip through, and asks Prefect's global limit before they go. Once for many: asking
    costs 20 ms and more.
    """

    def __init__(self, requests_per_second: float, shards: int) -> None:
        self._drip: Rate = dripping(requests_per_second / shards)
        self._at_once = _at_once(requests_per_second, shards)
        self._left = 0
        self._lock = asyncio.Lock()

    async def acquire(self) -> None:
        """Wait until one more request may be made."""
        async with self._lock:
            if not self._left:
                await self._ask()
            self._left -= 1
        await self._drip.acquire()

    async def _ask(self) -> None:
        try:
            await rate_limit(RATE_LIMIT, occupy=self._at_once, strict=True)
        except Exception as error:  # noqa: BLE001 - whatever Prefect's client raises: a server that is away stops no walk
            get_run_logger().warning(
                "the limit of requests can't be asked, our part of it goes on: %s", one_line(error)
            )
        self._left = self._at_once


async def limit_requests(requests_per_second: float, shards: int) -> None:
    """Tell Prefect how many requests a second all shards may make together."""
    async with get_client() as client:
        await client.upsert_global_concurrency_limit_by_name(
            RATE_LIMIT, shards * _at_once(requests_per_second, shards), requests_per_second
        )


def _at_once(requests_per_second: float, shards: int) -> int:
    return math.ceil(_WORTH_SECONDS * requests_per_second / shards)


@dataclass(frozen=True, slots=True)
class Workers:
    """Those of the pool that the deployment of shards names. They have until `until`."""

    cadence_minutes: int | None
    until: datetime

    async def hand_out(self, shards: Sequence[Shard], left: Left) -> list[str]:
        """Have each shard collected; give a line for each that was not, or not whole. Raises HistoryError."""
        async with get_client() as client:
            try:
                await client.read_deployment_by_name(_DEPLOYMENT)
            except ObjectNotFound:
                raise HistoryError(f"there is no deployment {_DEPLOYMENT}; run: prefect deploy --all") from None
            lines = await asyncio.gather(*(self._collected(client, shard, left) for shard in shards))
            return [line for line in lines if line]

    async def _collected(self, client: PrefectClient, shard: Shard, left: Left) -> str | None:
        for _ in range(_TRIES):
            state = await self._end_of(client, await self._handed(client, shard))
            if not (state.is_completed() or state.is_crashed()):
                return f"{shard}: {state.message or state.name}"
            shard = replace(shard, targets=await asyncio.to_thread(left, shard.targets))
            if not shard.targets:
                return None
            if state.is_completed():
                return f"{shard}: {len(shard.targets)} targets without a look in the database: {state.message}"
            get_run_logger().warning(
                "%s was lost, its other %d targets are handed out again", shard, len(shard.targets)
            )
        return f"{shard}: lost {_TRIES} times, {len(shard.targets)} targets without a look"

    async def _handed(self, client: PrefectClient, shard: Shard) -> FlowRun:
        name = shard.run_name()
        parameters = {
            "targets": [str(target) for target in shard.targets],
            "run": name,
            "shards": shard.of,
            "cadence_minutes": self.cadence_minutes,
        }
        return await arun_deployment(_DEPLOYMENT, client, parameters, flow_run_name=name, timeout=0)

    async def _end_of(self, client: PrefectClient, run: FlowRun) -> State[None]:
        """How a run ended, or was ended by us: a lost one, or one that takes longer than there is time."""
        while True:
            try:
                if ended := await self._ended(client, run):
                    return ended
            except Exception as error:  # noqa: BLE001 - whatever Prefect's client raises: its server may come back
                if datetime.now(UTC) > self.until:
                    return Cancelled(message=f"Prefect's server can't be asked how it ended: {one_line(error)}")
            await asyncio.sleep(_LOOK_EVERY_SECONDS)

    async def _ended(self, client: PrefectClient, run: FlowRun) -> State[None] | None:
        state = (await client.read_flow_run(run.id)).state
        assert state is not None  # noqa: S101 - for mypy
        if state.is_final():
            return state
        now = datetime.now(UTC)
        if now > self.until:
            by = f"by {self.until:%H:%M} UTC"
            late: State[None] = Cancelled(message=f"no worker took it {by}") if state.is_scheduled() else Cancelling()
            await client.set_flow_run_state(run.id, late, force=True)
            return late if late.is_final() else Cancelled(message=f"not finished {by}")
        if state.is_scheduled() or now - await _last_sign(client, run, state) <= _patience():
            return None
        lost: State[None] = Crashed(message="its worker gave no sign of life any more")
        await client.set_flow_run_state(run.id, lost, force=True)
        return lost


def _patience() -> timedelta:
    """How long a run may give no sign of life."""
    every = get_current_settings().flows.heartbeat_frequency
    return timedelta(seconds=_MISSED_BEATS * every + 5) if every else timedelta.max


async def _last_sign(client: PrefectClient, run: FlowRun, state: State[None]) -> datetime:
    """When a run that a worker has taken last gave a sign of life."""
    beats = EventFilter(
        event=EventNameFilter(name=[_HEARTBEAT]), resource=EventResourceFilter(id=[f"prefect.flow-run.{run.id}"])
    )
    page = await client.read_events(beats, limit=1)
    newest = [event.occurred for event in page.events]
    return max([state.timestamp, *newest])
