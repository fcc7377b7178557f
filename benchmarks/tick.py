"""What one collect costs, warm, limits off, against a simulated OpenRouter in a process of its own on loopback.

Beside it in the same run: a bare walk by plain httpx and one by aiohttp, of the same width, that throw the bodies away.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import multiprocessing
import statistics
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path

import aiohttp
import httpx
from pydantic import SecretStr

from benchmarks.conditions import (
    CADENCE,
    START,
    Took,
    command,
    count,
    in_fresh_process,
    machine,
    median,
    peak_mib,
    scratch_database,
    scratch_folder,
    servers,
    stopwatch,
)
from endpoint_history.archive.bundles import Archive
from endpoint_history.collecting.run import collect_targets
from endpoint_history.settings import Settings
from endpoint_history.targets import TargetList
from simulator import faults
from simulator.market import Market
from simulator.server import Simulator, serving

WIDTH = 8  # connections at once, as MAX_CONNECTIONS says by default


def main(arguments: list[str] | None = None) -> None:
    """Measure, and print what was found."""
    parser = command("tick", __doc__)
    parser.add_argument("--models", type=count, nargs="+", default=[350, 3500], help="how many are asked for")
    parser.add_argument("--ticks", type=count, default=10, help="how often, after one that is not counted")
    given = parser.parse_args(arguments)
    with servers(with_postgres=given.postgres) as known:
        print(machine(known.values()))
        for models in given.models:
            paths = Market(models).paths()[:models]
            with served(models) as base_url:
                for name, server in known.items():
                    with scratch_database(server) as url, scratch_folder() as folder:
                        ticks = in_fresh_process(measure, url, base_url, paths, folder / "archive", given.ticks)
                    print(f"{models} models, {name}\n{ticks}", flush=True)


@dataclass(frozen=True, slots=True)
class Ticks:
    """The walks of each kind; the most memory in MiB; a bundle's bytes as a share of those of a gzip for each body."""

    collects: list[Took]
    by_httpx: list[Took]
    by_aiohttp: list[Took]
    peak: float
    share: float

    def __str__(self) -> str:
        ours, plain, floor = (median(took).seconds for took in (self.collects, self.by_httpx, self.by_aiohttp))
        cpu = statistics.median(took.cpu_seconds for took in self.collects)
        worst = max(took.seconds for took in self.collects)
        return (
            f"  collect   {ours:6.3f} s ({cpu:.3f} of CPU), worst {worst:.3f}\n"
            f"  httpx     {plain:6.3f} s, a collect takes {ours / plain:.2f} of it\n"
            f"  aiohttp   {floor:6.3f} s, a collect takes {ours / floor:.2f} of it\n"
            f"  memory    {self.peak:,.0f} MiB\n  bundle    {self.share:.2f} of a gzip for each body"
        )


def measure(url: str, base_url: str, paths: Sequence[str], archive: Path, ticks: int) -> Ticks:
    """Each walk in turn, so often, after one that is not counted."""
    settings = settings_of(url, base_url, archive)
    addresses = addresses_of(base_url, paths)
    collects, by_httpx, by_aiohttp = [], [], []
    for tick in range(ticks + 1):
        collects.append(timed(collect(settings, paths, START + tick * CADENCE)))
        by_httpx.append(timed(walk_httpx(addresses)))
        by_aiohttp.append(timed(walk_aiohttp(addresses)))
    singly = sum(len(gzip.compress(body)) for body in bodies(len(paths)).values())
    share = statistics.median(Archive(str(archive)).sizes().values()) / singly
    return Ticks(collects[1:], by_httpx[1:], by_aiohttp[1:], peak_mib(), share)


def settings_of(url: str, base_url: str, archive: Path) -> Settings:
    """Ours, without limits."""
    return Settings(
        database_url=SecretStr(url),
        archive_url=SecretStr(str(archive)),
        openrouter_base_url=base_url,
        requests_per_second=0,
        max_connections=WIDTH,
    )


def addresses_of(base_url: str, paths: Sequence[str]) -> list[str]:
    """What is asked for."""
    return [f"{base_url}/models/{path}/endpoints" for path in paths]


def timed(walk: Coroutine[None, None, None]) -> Took:
    """Do this on a loop of its own, and say how long it took."""
    with stopwatch() as took:
        asyncio.run(walk)
    return took


async def collect(settings: Settings, paths: Sequence[str], at: datetime, cadence: timedelta = CADENCE) -> None:
    """One collect of ours, which begins at that instant. Raises RuntimeError where not all was observed."""
    seconds = int(cadence.total_seconds())
    collected = await collect_targets(settings, TargetList.given(paths), cadence_seconds=seconds, clock=_Clock(at))
    if collected.exit_code:
        raise RuntimeError(f"{collected.observed} of {collected.targets} observed")


class _Clock:
    """Goes on by a millisecond each time that it is asked."""

    def __init__(self, at: datetime) -> None:
        self._at = at

    def __call__(self) -> datetime:
        self._at += timedelta(milliseconds=1)
        return self._at


async def walk_httpx(addresses: Sequence[str]) -> None:
    """Ask by httpx and throw away what comes."""
    width = asyncio.Semaphore(WIDTH)
    async with httpx.AsyncClient() as client:

        async def ask(address: str) -> None:
            async with width:
                (await client.get(address)).raise_for_status()

        await asyncio.gather(*map(ask, addresses))


async def walk_aiohttp(addresses: Sequence[str]) -> None:
    """The same by aiohttp."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=WIDTH)) as session:

        async def ask(address: str) -> None:
            async with session.get(address) as response:
                response.raise_for_status()
                await response.read()

        await asyncio.gather(*map(ask, addresses))


def served(models: int) -> AbstractContextManager[str]:
    """The base URL of a simulated OpenRouter of so many models in another process, its bodies made beforehand."""
    return served_bodies(bodies(models))


@contextmanager
def served_bodies(bodies: Mapping[str, bytes], latency_seconds: float = 0) -> Iterator[str]:
    """The base URL of a simulated OpenRouter in another process that has these bodies, by their paths."""
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(bodies, latency_seconds, there))
    process.start()
    try:
        yield here.recv()
    finally:
        here.send("stop")
        process.join()


def _serve(bodies: Mapping[str, bytes], latency_seconds: float, parent: Connection) -> None:
    answers = {path: faults.answer(200, body) for path, body in bodies.items()}
    with serving(Simulator(answers=answers, latency_seconds=latency_seconds)) as base_url:
        parent.send(base_url)
        parent.recv()


def bodies(models: int) -> dict[str, bytes]:
    """What so many paths of a simulated OpenRouter answer."""
    market = Market(models)
    return {path: json.dumps(market.body(path, START)).encode() for path in market.paths()[:models]}


if __name__ == "__main__":
    main()
