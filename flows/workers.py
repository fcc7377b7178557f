"""Hand the shards of a collect to the workers of Prefect's pool, follow each to its end, and share one rate limit.

Prefect alone does not replace this. No service of its server ends the run of a dead worker: foreman marks the worker
offline, the repossessor frees its slots. `retries` run in the process that died. What remains is an automation on
missing heartbeats. `prefect.yaml` can't declare one that sets a state. It starts with the first heartbeat, so a run
that dies before stays pending. And the targets that are not stored must be handed out again anyway.
"""

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
from endpoint_history.text import count_text
from flows.prefect_client import one_line

RATE_LIMIT = "endpoint-history-requests"
_DEPLOYMENT = "collect-shard/collect-shard"
_HEARTBEAT = "prefect.flow-run.heartbeat"
_MISSED_BEATS = 3  # heartbeats; pyproject.toml sets their interval
_TRIES = 3
_POLL_SECONDS = 2.0
# A shard asks Prefect for the requests of this many seconds at once.
_SECONDS_PER_QUESTION = 10


class SharedRate:
    """Limits the requests per second of all shards of all collects together.

    Each shard spreads its part evenly, and first asks Prefect's global limit, once for many requests: one question
    costs 20 ms or more.
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
        except Exception as error:  # noqa: BLE001 - whatever Prefect's client raises: no collect stops for it
            get_run_logger().warning(
                "the shared request limit can't be asked; this shard continues at its own part: %s",
                one_line(error),
            )
        self._left = self._at_once


async def limit_requests(requests_per_second: float, shards: int) -> None:
    """Set Prefect's global limit: how many requests per second all shards may make together."""
    async with get_client() as client:
        await client.upsert_global_concurrency_limit_by_name(
            RATE_LIMIT, shards * _at_once(requests_per_second, shards), requests_per_second
        )


def _at_once(requests_per_second: float, shards: int) -> int:
    return math.ceil(_SECONDS_PER_QUESTION * requests_per_second / shards)


@dataclass(frozen=True, slots=True)
class Workers:
    """The workers of the deployment's pool. A shard that has not ended by `until` is cancelled."""

    cadence_minutes: int | None
    until: datetime

    async def hand_out(self, shards: Sequence[Shard], left: Left) -> list[str]:
        """Run each shard on a worker; return one line for each that is incomplete. Raises HistoryError."""
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
                return (
                    f"{shard}: {count_text(len(shard.targets), 'target')} not stored in the database: {state.message}"
                )
            get_run_logger().warning(
                "%s was lost; %s handed out again", shard, count_text(len(shard.targets), "target")
            )
        return f"{shard}: lost {_TRIES} times, {count_text(len(shard.targets), 'target')} not stored"

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
        """Wait for a run to end, end it if it is lost or late, and return its last state."""
        while True:
            try:
                if ended := await self._ended(client, run):
                    return ended
            except Exception as error:  # noqa: BLE001 - whatever Prefect's client raises: its server may come back
                if datetime.now(UTC) > self.until:
                    return Cancelled(message=f"Prefect's server can't be asked how it ended: {one_line(error)}")
            await asyncio.sleep(_POLL_SECONDS)

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
        if state.is_scheduled() or now - await _last_heartbeat(client, run, state) <= _patience():
            return None
        lost: State[None] = Crashed(message="its worker sent no heartbeat")
        await client.set_flow_run_state(run.id, lost, force=True)
        return lost


def _patience() -> timedelta:
    """Return how long a run may send no heartbeat before it counts as lost."""
    every = get_current_settings().flows.heartbeat_frequency
    return timedelta(seconds=_MISSED_BEATS * every + 5) if every else timedelta.max


async def _last_heartbeat(client: PrefectClient, run: FlowRun, state: State[None]) -> datetime:
    """Return when a run that a worker took last sent a heartbeat or changed its state."""
    beats = EventFilter(
        event=EventNameFilter(name=[_HEARTBEAT]), resource=EventResourceFilter(id=[f"prefect.flow-run.{run.id}"])
    )
    page = await client.read_events(beats, limit=1)
    newest = [event.occurred for event in page.events]
    return max([state.timestamp, *newest])
